"""`make month-end PERIOD=2026-02`: the month-end functions over local queues, watched."""

import re
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
from rich.progress import Progress

POLL_SECONDS = 0.2
SCOPE = "billing:platform billing:read"


class MonthError(Exception):
    """The month could not be billed; the message is one sentence for the person at the terminal."""


def run(url: str, month: str, now: datetime) -> None:
    """Plan the month, and show the progress until nothing is left. Raises MonthError."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month) or not 1 <= int(month[:4]) <= 9998:
        raise MonthError("Which month? make month-end PERIOD=2026-02")
    if now < (ends := _end(month)):
        raise MonthError(
            f"{month} has not ended yet: it ends everywhere on Earth at {ends:%Y-%m-%d %H:%M} UTC."
        )
    with httpx.Client(base_url=url, timeout=900) as client:
        issued = client.post("/_local/token", json={"scope": SCOPE}).raise_for_status().json()
        client.headers["authorization"] = f"Bearer {issued['access_token']}"
        before = _progress(client, month)
        client.post("/_local/invoke/MonthEndPlanFunction", json={"month": month}).raise_for_status()
        after = _watched(client, month)
    print(
        f"{month}: {after['issued']} invoices ({after['issued'] - before['issued']} new),"
        f" {after['empty']} organizations had nothing to bill, {after['failed']} failed"
    )
    for failure in after["failures"]:
        print(f"{failure['organization_id']}: {failure['error']}")
    if after["failed"]:
        raise MonthError(
            "What failed is tried again by the queue, or by the same command once it is mended."
        )


def _end(month: str) -> datetime:
    """The instant at which the month has ended in every time zone."""
    year, number = int(month[:4]), int(month[5:])
    year, number = (year + 1, 1) if number == 12 else (year, number + 1)
    return datetime(year, number, 1, tzinfo=timezone(timedelta(hours=-12))).astimezone(UTC)


def _watched(client: httpx.Client, month: str) -> dict[str, Any]:
    with Progress() as bar:
        task = bar.add_task(month)
        while True:
            now = _progress(client, month)
            done = now["organizations"] - now["pending"]
            bar.update(task, total=now["organizations"], completed=done)
            if now["pending"] == 0:
                return now
            time.sleep(POLL_SECONDS)


def _progress(client: httpx.Client, month: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/month-end/{month}").raise_for_status().json()
    return found
