"""`make demo`: real LLM traffic, charged by its tokens through the HTTP API and then checked to the
last cent.

A product that the demo starts for itself gets the traffic as that of eight weeks, by moving its
clock, so that there is something to forecast. A product that runs already gets it now.
"""

import argparse
import contextlib
import csv
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from local.chart import print_forecast
from local.template import ROOT
from synaxis_billing.ledger.audit import audit
from synaxis_billing.money import format_money

STATE = Path(os.environ.get("STATE", ROOT / ".local"))
DATA = Path(__file__).parent / "demo_data"
SCOPES = "billing:platform billing:admin billing:topup billing:charge billing:read"
CLIENTS = 8
BATCH = 20
RETRY_SECONDS = (0.2, 1, 2, 4)
CENT_FRACTION = Decimal("0.00000001")
INVOICED = "Benteler Chat"
FORECAST = "Aurora Labs"
HISTORY_DAYS = 56
# A model that the price book does not know yet, and what it costs per million tokens.
NEW_MODEL, NEW_PRICE = "gpt-next-preview", Decimal("3.5")
BUYER = {
    "address": "Domstraße 5\n50668 Köln\nGermany",
    "tax": {"label": "VAT", "rate_percent": "19", "tax_id": "DE811234567"},
}
CUSTOMERS = [
    (FORECAST, "USD", "America/New_York", "5"),
    ("Benteler Chat", "EUR", "Europe/Berlin", "60"),
    ("Cerrado IA", "BRL", "America/Sao_Paulo", "60"),
    ("Dover Legal", "GBP", "Europe/London", "60"),
    ("Empty Pockets", "USD", "UTC", "0.05"),
]
console = Console()


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


def main() -> None:
    options = _options()
    prices = json.loads(options.prices.read_text())
    with options.trace.open() as file:
        trace = list(csv.DictReader(file))[: options.requests]
    with (
        _product() as running,
        _client(running["url"]) as http,
        psycopg.connect(running["database_url"], autocommit=True) as database,
    ):
        days = HISTORY_DAYS if running.get("own") else 0
        if days:
            _set_clock_back(database, days)
        organizations = {_organization(http, *of): of for of in CUSTOMERS}
        calls = list(_calls(trace, prices, list(organizations), days))
        tally = Tally()
        began = time.perf_counter()
        _replay(http, database if days else None, calls, tally)
        seconds = time.perf_counter() - began
        paths = {of[0]: path for path, of in organizations.items()}
        _charge_without_price(http, paths[INVOICED], tally)
        _report_models(http, organizations, tally)
        _report_balances(http, organizations, tally)
        _report_whole(database, calls, tally, seconds)
        print_forecast(console, http, paths[FORECAST], FORECAST)
        _invoice(http, paths[INVOICED])


def _set_clock_back(database: psycopg.Connection, days: int) -> None:
    """Set the clock of a database that is the demo's own."""
    database.execute(
        "CREATE OR REPLACE FUNCTION billing.now() RETURNS timestamptz LANGUAGE sql VOLATILE"
        f" RETURN clock_timestamp() - interval '{days * 24} hours'".encode()
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo ARGS=...", description=__doc__)
    parser.add_argument("--trace", type=Path, default=DATA / "llm_requests.csv")
    parser.add_argument("--prices", type=Path, default=DATA / "model_prices.json")
    parser.add_argument("--requests", type=int, help="only the first so many")
    return parser.parse_args()


@contextlib.contextmanager
def _product() -> Iterator[dict[str, str]]:
    """Return the product that runs from this folder, or one that is started for the demo alone."""
    file = STATE / "run.json"
    if file.exists():
        yield json.loads(file.read_text())
        return
    with tempfile.TemporaryDirectory(prefix="synaxis-demo-") as state:
        Path(state).chmod(0o711)
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "run"],
            env={**os.environ, "STATE": state, "PORT": "0"},
            stdout=subprocess.DEVNULL,
        )
        try:
            file = Path(state) / "run.json"
            while not file.exists():
                if process.poll() is not None:
                    raise SystemExit(process.returncode)
                time.sleep(0.05)
            yield json.loads(file.read_text()) | {"own": "yes"}
        finally:
            process.terminate()
            process.wait()


def _client(url: str) -> httpx.Client:
    token = httpx.post(f"{url}/_local/token", json={"scope": SCOPES}).json()["access_token"]
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=60)


def _organization(
    http: httpx.Client, name: str, currency: str, timezone: str, credit_usd: str
) -> str:
    body: dict[str, Any] = {"name": name, "billing_currency": currency, "timezone": timezone}
    if name == INVOICED:
        body |= BUYER
    created = http.post("/v1/organizations", json=body).raise_for_status().json()
    path = f"/v1/organizations/{created['id']}"
    payment = {"amount_usd": credit_usd, "reference_id": "first payment"}
    _post(http, f"{path}/topups", payment, "first").raise_for_status()
    return path


def _calls(
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


def _replay(
    http: httpx.Client, database: psycopg.Connection | None, calls: list[Call], tally: Tally
) -> None:
    """Charge the calls, day by day where the clock of the database may be set."""
    columns = (TextColumn("charging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(CLIENTS) as pool:
        bar = progress.add_task("calls", total=len(calls))
        for days_ago in sorted({call.days_ago for call in calls} | {0}, reverse=True):
            if database is not None:
                _set_clock_back(database, days_ago)
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
        answer = _post(http, "/v1/charges/batch", {"charges": items}).raise_for_status()
        return [result["status"] for result in answer.json()["results"]]
    [call] = job
    if call.how == "hold":
        return [_hold_and_capture(http, call)]
    statuses = [_post(http, f"{call.path}/charges", call.body, call.key).status_code]
    if call.how == "retried":
        # The answer was lost: the retry must charge nothing more.
        statuses.append(_post(http, f"{call.path}/charges", call.body, call.key).status_code)
    return statuses[-1:]


def _hold_and_capture(http: httpx.Client, call: Call) -> int:
    usage = call.body["usage"]
    reserved = {
        "usage": usage | {"completion_tokens": 2 * usage["completion_tokens"]},
        **{name: call.body[name] for name in ("provider", "model")},
    }
    held = _post(http, f"{call.path}/holds", reserved, f"{call.key} hold")
    if held.status_code != httpx.codes.CREATED:
        return held.status_code
    capture = f"{call.path}/holds/{held.json()['id']}/capture"
    return _post(http, capture, call.body, call.key).status_code


def _post(http: httpx.Client, path: str, body: Any, key: str | None = None) -> httpx.Response:
    """Send until the answer is no 5xx; the idempotency key, the batch's own too, stays the same."""
    headers = {} if key is None else {"idempotency-key": key}
    for delay_seconds in RETRY_SECONDS:
        with contextlib.suppress(httpx.TransportError):
            answer = http.post(path, json=body, headers=headers)
            if not answer.is_server_error:
                return answer
        time.sleep(delay_seconds)
    return http.post(path, json=body, headers=headers)


def _charge_without_price(http: httpx.Client, path: str, tally: Tally) -> None:
    """Charge a call of a model that has no price: it is kept, and charged when its price comes."""
    usage = {"format": "openai", "prompt_tokens": 1200, "completion_tokens": 300}
    model = {"provider": "openai", "model": NEW_MODEL}
    body = {**model, "usage": usage, "description": "chat completion"}
    amount = NEW_PRICE * 1500 / 10**6
    call = Call(path, body, "call of a new model", "charge", amount, 0)
    kept = _post(http, f"{path}/charges", body, call.key)
    rates = [{"bucket": name, "usd_per_million": f"{NEW_PRICE}"} for name in ("input", "output")]
    price = {**model, "organization_id": path.rpartition("/")[2], "rates": rates}
    price |= {"effective_from": (datetime.now(UTC) - timedelta(days=1)).isoformat()}
    _post(http, "/v1/prices", price).raise_for_status()
    # The retry gets the charge, which the price has made of it.
    charged = _post(http, f"{path}/charges", body, call.key)
    if kept.status_code != httpx.codes.ACCEPTED or charged.json()["amount_usd"] != f"-{amount:f}":
        raise SystemExit(f"{NEW_MODEL} was answered {kept.text}, then {charged.text}")
    tally.add(call, charged.status_code)
    console.print(
        f"A call of {NEW_MODEL}, which had no price, was kept; its price came,"
        f" and it was charged {amount:f} USD."
    )


def _report_models(http: httpx.Client, organizations: dict[str, Any], tally: Tally) -> None:
    spend: dict[str, Decimal] = defaultdict(Decimal)
    tokens: Counter[str] = Counter()
    requests: Counter[str] = Counter()
    asked = {"group_by": "model", "from": _start().isoformat()}
    asked["to"] = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for path in organizations:
        answer = http.get(f"{path}/spending", params=asked).raise_for_status()
        for item in answer.json()["items"]:
            spend[item["model"]] += Decimal(item["amount_usd"])
            tokens[item["model"]] += item["tokens"]
            requests[item["model"]] += item["requests"]
            if tally.charged[path, item["model"]] != Decimal(item["amount_usd"]):
                raise SystemExit(f"Spend on {item['model']} is not what was charged.")
    table = Table("model", "requests", "tokens", "spend USD", title="Spend by model")
    for model, amount in sorted(spend.items(), key=lambda one: -one[1]):
        table.add_row(model, f"{requests[model]:,}", f"{tokens[model]:,}", format_money(amount))
    console.print(table)


def _report_balances(http: httpx.Client, organizations: dict[str, Any], tally: Tally) -> None:
    table = Table("organization", "credit USD", "spent USD", "left USD", "left", title="Balances")
    for path, (name, currency, _, credit) in organizations.items():
        balance = http.get(f"{path}/balance").raise_for_status().json()
        spent = sum((of for (at, _), of in tally.charged.items() if at == path), Decimal(0))
        if Decimal(balance["balance_usd"]) != Decimal(credit) - spent:
            raise SystemExit(f"The balance of {name} is not its credit minus its spend.")
        left = f"{balance['balance']} {currency}"
        table.add_row(name, credit, format_money(spent), balance["balance_usd"], left)
    console.print(table)


def _start() -> datetime:
    """An instant before the demo's first call."""
    return datetime.now(UTC) - timedelta(days=HISTORY_DAYS + 1)


def _report_whole(
    database: psycopg.Connection, calls: list[Call], tally: Tally, seconds: float
) -> None:
    found = audit(database)
    drift = sum((one.drift_usd for one in found.organizations), Decimal(0))
    console.print(
        f"{len(calls):,} LLM calls in {seconds:.1f} s, {len(calls) / seconds:,.0f} a second:"
        f" {tally.counts['charged']:,} charged, {tally.counts['refused']:,} refused for want of"
        f" credit. Drift {format_money(drift)} USD;"
        f" every promise of the ledger {'holds' if found.whole else 'does NOT hold'}."
    )
    if not found.whole or drift:
        raise SystemExit(1)


def _invoice(http: httpx.Client, organization: str) -> None:
    """Invoice what the organization was charged until now, and keep the PDF."""
    period = {
        "period_start": _start().isoformat(),
        "period_end": datetime.now(UTC).isoformat(),
    }
    draft = http.post(f"{organization}/invoices", json=period).raise_for_status().json()
    path = f"{organization}/invoices/{draft['id']}"
    issued = http.post(f"{path}/issue").raise_for_status().json()
    document = http.get(path, headers={"accept": "application/pdf"}).raise_for_status()
    file = STATE / "invoices" / f"{issued['invoice_number']}.pdf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(document.content)
    total = f"{issued['total_amount_billing_currency']} {issued['billing_currency']}"
    console.print(f"Invoice {issued['invoice_number']} of {INVOICED}, {total}:")
    # A path in one piece can be opened from the terminal.
    console.print(str(file.resolve()), soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
