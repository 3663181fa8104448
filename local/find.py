"""`make find REQUEST_ID=...`: what the running product knows of a call, for a support person."""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx

from local.__main__ import CommandError, running_url

SCOPE = "billing:platform billing:read"
# Of each list of an organization: who finds more asks for less.
MOST = 100
FILTERS = ("request_id", "reference_id", "end_user", "team_id", "virtual_key_id")


def find(api: httpx.Client, asked: dict[str, str], organization_id: str | None) -> Iterator[str]:
    """Yield lines about what every field of `asked` names, by organization; without any, about all
    open holds."""
    for organization in _organizations(api, organization_id):
        path = f"/v1/organizations/{organization['id']}"
        lines = list(_lines(api, path, asked))
        if lines:
            balance = api.get(f"{path}/balance").raise_for_status().json()
            yield (
                f"{organization['name']}  {organization['id']}  {organization['status']},"
                f" available {balance['available_usd']} USD, held {balance['held_usd']} USD"
            )
            yield from lines


def _organizations(api: httpx.Client, organization_id: str | None) -> Iterator[dict[str, Any]]:
    if organization_id is None:
        yield from _items(api, "/v1/organizations", {}, sys.maxsize)
    else:
        yield api.get(f"/v1/organizations/{organization_id}").raise_for_status().json()


def _lines(api: httpx.Client, path: str, asked: dict[str, str]) -> Iterator[str]:
    now = datetime.now(UTC)
    if not asked or asked.keys() == {"request_id"}:
        for hold in _items(api, f"{path}/holds", asked or {"status": "held"}):
            age = _rounded(now - datetime.fromisoformat(hold["created_at"]))
            yield (
                f"  hold {hold['id']}  {hold['status']}, {hold['amount_usd']} USD, {age} old,"
                f" until {hold['expires_at']}{_call(hold)}"
            )
    if not asked:
        return
    for entry in _items(api, f"{path}/transactions", asked):
        yield (
            f"  {entry['transaction_type']} {entry['id']}  {entry['amount_usd']} USD at"
            f" {entry['created_at']}, balance {entry['balance_after_usd']} USD{_call(entry)}"
        )
        yield from _receipt(api, f"{path}/transactions/{entry['id']}/receipt")
    for log in _items(api, f"{path}/spend-logs", asked):
        if log["transaction_id"] is None:
            yield (
                f"  spend log {log['id']}  {log['amount_usd']} USD at {log['created_at']},"
                f" not charged{_call(log)}"
            )


def _receipt(api: httpx.Client, path: str) -> Iterator[str]:
    receipt = api.get(path).raise_for_status().json()
    for grant in receipt["grants"]:
        yield f"    paid by {grant['kind']} grant {grant['grant_id']}: {grant['amount_usd']} USD"
    for refund in receipt["refunds"]:
        yield f"    refunded by {refund['id']}: {refund['amount_usd']} USD"
    if receipt["invoice"]:
        yield f"    on invoice {receipt['invoice']['number']}, {receipt['invoice']['status']}"


def _items(
    api: httpx.Client, path: str, asked: dict[str, str], most: int = MOST
) -> Iterator[dict[str, Any]]:
    """Yield the newest items of a list, page after page."""
    query = {**asked, "limit": "100"}
    found = 0
    while True:
        page = api.get(path, params=query).raise_for_status().json()
        for item in page["items"]:
            if found == most:
                return
            yield item
            found += 1
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


def _call(row: dict[str, Any]) -> str:
    """Return what is known of a row's call."""
    names = ("provider", "model", "tokens", *FILTERS)
    return "".join(f", {name} {row[name]}" for name in names if row.get(name))


def _rounded(age: Any) -> str:
    return str(age).partition(".")[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make find", description=__doc__)
    for name in FILTERS:
        parser.add_argument(f"--{name.replace('_', '-')}")
    parser.add_argument("--organization", help="id of the only organization to look into")
    options = vars(parser.parse_args())
    organization_id = options.pop("organization")
    asked = {name: of for name, of in options.items() if of}
    try:
        url = running_url()
    except CommandError as error:
        sys.exit(str(error))
    issued = httpx.post(f"{url}/_local/token", json={"scope": SCOPE}).raise_for_status().json()
    headers = {"authorization": f"Bearer {issued['access_token']}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as api:
        found = list(find(api, asked, organization_id))
    if not found:
        sys.exit("Nothing is found." if asked else "No hold is open.")
    print("\n".join(found))


if __name__ == "__main__":
    main()
