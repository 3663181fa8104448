"""Real LLM requests as the calls of the demo's customers, and how they are sent."""

import contextlib
import random
import secrets
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

import httpx
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

CLIENTS = 8
BATCH = 20
RETRY_SECONDS = (0.2, 1, 2, 4)
CENT_FRACTION = Decimal("0.00000001")


class Call(NamedTuple):
    """One LLM call, its caller, and what it must cost by the price list."""

    path: str
    body: dict[str, Any]
    key: str
    how: str
    amount_usd: Decimal
    days_ago: int


class Tally:
    """The sums that the API reported as charged and as refused."""

    def __init__(self) -> None:
        self.charged: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.counts: Counter[str] = Counter()

    def add(self, call: Call, status: int) -> None:
        if status == httpx.codes.CREATED:
            self.charged[call.path, call.body["model"]] += call.amount_usd
            self.counts["charged"] += 1
        elif status == httpx.codes.PAYMENT_REQUIRED:
            self.counts["refused"] += 1
        else:
            raise SystemExit(f"The API answered {status} to {call}.")


def set_clock_back(database: psycopg.Connection, days: int) -> None:
    """Set the clock of a database that is the demo's own."""
    database.execute(
        "CREATE OR REPLACE FUNCTION billing.now() RETURNS timestamptz LANGUAGE sql VOLATILE"
        f" RETURN clock_timestamp() - interval '{days * 24} hours'".encode()
    )


def calls_of(
    trace: list[dict[str, str]], prices: dict[str, Any], paths: list[str], days: int
) -> Iterator[Call]:
    """Return each request of the trace, with a day, a customer, a team, a key and a model."""
    chance = random.Random(2023)
    today = datetime.now(UTC).date()
    # Fewer at weekends, and more each week.
    weights = [
        (1 if (today - timedelta(ago)).weekday() < 5 else 0.4) * 1.08 ** -(ago // 7)
        for ago in range(days + 1)
    ]
    teams = {path: [str(uuid.uuid4()) for _ in range(3)] for path in paths}
    keys = {team: [str(uuid.uuid4()) for _ in range(2)] for of in teams.values() for team in of}
    for row in trace:
        path = chance.choices(paths, weights=[8, 5, 4, 3, 1])[0]
        model, price = chance.choice(list(prices.items()))
        team = chance.choice(teams[path])
        prompt, generated = int(row["ContextTokens"]), int(row["GeneratedTokens"])
        cost = prompt * Decimal(price["input_cost_per_token"])
        cost += generated * Decimal(price["output_cost_per_token"])
        key = _time_ordered_id()
        body = {
            "usage": {
                "format": "openai",
                "prompt_tokens": prompt,
                "completion_tokens": generated,
            },
            "description": "chat completion",
            "request_id": key,
            "team_id": team,
            "virtual_key_id": chance.choice(keys[team]),
            "model": model,
            "provider": price["provider"],
            "region": chance.choice(["us-east-1", "eu-central-1", "sa-east-1"]),
        }
        how = chance.choices(["charge", "retried", "hold", "batch"], weights=[5, 1, 2, 4])[0]
        amount = cost.quantize(CENT_FRACTION, ROUND_HALF_UP)
        [days_ago] = chance.choices(range(days + 1), weights)
        yield Call(path, body, key, how, amount, days_ago)


def _time_ordered_id() -> str:
    """Return a UUIDv7 (RFC 9562, 5.7), as `uuid.uuid7()` of Python 3.14: the ledger keeps keys in
    their order, so those of one time lie side by side."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62
    return str(uuid.UUID(int=value | secrets.randbits(62)))


def replay(
    console: Console,
    http: httpx.Client,
    database: psycopg.Connection | None,
    calls: list[Call],
    tally: Tally,
) -> None:
    """Charge the calls, day by day where the clock of the database may be set."""
    columns = (TextColumn("charging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(CLIENTS) as pool:
        bar = progress.add_task("calls", total=len(calls))
        for days_ago in sorted({call.days_ago for call in calls} | {0}, reverse=True):
            if database is not None:
                set_clock_back(database, days_ago)
            jobs = _jobs([call for call in calls if call.days_ago == days_ago])
            for job, statuses in pool.map(lambda job: (job, _send(http, job)), jobs):
                for call, status in zip(job, statuses, strict=True):
                    tally.add(call, status)
                progress.advance(bar, len(job))


def _jobs(calls: list[Call]) -> list[list[Call]]:
    """Return the calls that go out together: batches, and all others one by one."""
    batched = [call for call in calls if call.how == "batch"]
    jobs = [[call] for call in calls if call.how != "batch"]
    jobs += [batched[i : i + BATCH] for i in range(0, len(batched), BATCH)]
    random.Random(2024).shuffle(jobs)
    return jobs


def _send(http: httpx.Client, job: list[Call]) -> list[int]:
    if job[0].how == "batch":
        items = [
            {
                **call.body,
                "organization_id": call.path.rsplit("/", 1)[1],
                "idempotency_key": call.key,
            }
            for call in job
        ]
        answer = post(http, "/v1/charges/batch", {"charges": items}).raise_for_status()
        return [result["status"] for result in answer.json()["results"]]
    [call] = job
    if call.how == "hold":
        return [_hold_and_capture(http, call)]
    statuses = [post(http, f"{call.path}/charges", call.body, call.key).status_code]
    if call.how == "retried":
        # The answer was lost: the retry must charge nothing more.
        statuses.append(post(http, f"{call.path}/charges", call.body, call.key).status_code)
    return statuses[-1:]


def _hold_and_capture(http: httpx.Client, call: Call) -> int:
    usage = call.body["usage"]
    reserved = {
        "usage": usage | {"completion_tokens": 2 * usage["completion_tokens"]},
        **{name: call.body[name] for name in ("provider", "model")},
    }
    held = post(http, f"{call.path}/holds", reserved, f"{call.key} hold")
    if held.status_code != httpx.codes.CREATED:
        return held.status_code
    capture = f"{call.path}/holds/{held.json()['id']}/capture"
    return post(http, capture, call.body, call.key).status_code


def post(http: httpx.Client, path: str, body: Any, key: str | None = None) -> httpx.Response:
    """Send until the answer is no 5xx; the idempotency key, the batch's own too, stays the same."""
    headers = {} if key is None else {"idempotency-key": key}
    for delay_seconds in RETRY_SECONDS:
        with contextlib.suppress(httpx.TransportError):
            answer = http.post(path, json=body, headers=headers)
            if not answer.is_server_error:
                return answer
        time.sleep(delay_seconds)
    return http.post(path, json=body, headers=headers)
