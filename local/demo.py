"""`make demo`: real LLM traffic, charged through the HTTP API and then checked to the last cent."""

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
BUYER = {
    "address": "Domstraße 5\n50668 Köln\nGermany",
    "tax": {"label": "VAT", "rate_percent": "19", "tax_id": "DE811234567"},
}
CUSTOMERS = [
    ("Aurora Labs", "USD", "America/New_York", "100"),
    ("Benteler Chat", "EUR", "Europe/Berlin", "60"),
    ("Cerrado IA", "BRL", "America/Sao_Paulo", "60"),
    ("Dover Legal", "GBP", "Europe/London", "60"),
    ("Empty Pockets", "USD", "UTC", "0.05"),
]
console = Console()


class Call(NamedTuple):
    """One LLM call and its caller."""

    path: str
    body: dict[str, Any]
    key: str
    how: str

    @property
    def amount_usd(self) -> Decimal:
        return Decimal(self.body["amount_usd"])


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
    with _product() as running, _client(running["url"]) as http:
        organizations = {_organization(http, *of): of for of in CUSTOMERS}
        calls = list(_calls(trace, prices, list(organizations)))
        tally = Tally()
        began = time.perf_counter()
        _replay(http, calls, tally)
        seconds = time.perf_counter() - began
        _report_models(http, organizations, tally)
        _report_balances(http, organizations, tally)
        _report_whole(running["database_url"], calls, tally, seconds)
        _invoice(http, next(path for path, of in organizations.items() if of[0] == INVOICED))


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
            yield json.loads(file.read_text())
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


def _calls(trace: list[dict[str, str]], prices: dict[str, Any], paths: list[str]) -> Iterator[Call]:
    """Return each request of the trace, assigned to a customer, a team, a key and a model."""
    chance = random.Random(2023)
    teams = {path: [str(uuid.uuid4()) for _ in range(3)] for path in paths}
    keys = {team: [str(uuid.uuid4()) for _ in range(2)] for of in teams.values() for team in of}
    for row in trace:
        path = chance.choices(paths, weights=[8, 5, 4, 3, 1])[0]
        model, price = chance.choice(list(prices.items()))
        team = chance.choice(teams[path])
        prompt, generated = int(row["ContextTokens"]), int(row["GeneratedTokens"])
        cost = prompt * Decimal(price["input_cost_per_token"])
        cost += generated * Decimal(price["output_cost_per_token"])
        amount = max(cost.quantize(CENT_FRACTION, ROUND_HALF_UP), CENT_FRACTION)
        key = _time_ordered_id()
        body = {
            "amount_usd": f"{amount:f}",
            "description": f"{prompt} + {generated} tokens",
            "request_id": key,
            "team_id": team,
            "virtual_key_id": chance.choice(keys[team]),
            "model": model,
            "provider": price["provider"],
            "tokens": prompt + generated,
            "region": chance.choice(["us-east-1", "eu-central-1", "sa-east-1"]),
        }
        how = chance.choices(["charge", "retried", "hold", "batch"], weights=[5, 1, 2, 4])[0]
        yield Call(path, body, key, how)


def _time_ordered_id() -> str:
    """Return a UUIDv7 (RFC 9562, 5.7), as `uuid.uuid7()` of Python 3.14: the ledger keeps keys in
    their order, so those of one time lie side by side."""
    milliseconds = time.time_ns() // 1_000_000
    value = milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62
    return str(uuid.UUID(int=value | secrets.randbits(62)))


def _replay(http: httpx.Client, calls: list[Call], tally: Tally) -> None:
    batched = [call for call in calls if call.how == "batch"]
    jobs = [[call] for call in calls if call.how != "batch"]
    jobs += [batched[i : i + BATCH] for i in range(0, len(batched), BATCH)]
    random.Random(2024).shuffle(jobs)
    columns = (TextColumn("charging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(CLIENTS) as pool:
        bar = progress.add_task("calls", total=len(calls))
        for job, statuses in pool.map(lambda job: (job, _send(http, job)), jobs):
            for call, status in zip(job, statuses, strict=True):
                tally.add(call, status)
            progress.advance(bar, len(job))


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
    reserved = {"amount_usd": f"{call.amount_usd * 2:f}", "model": call.body["model"]}
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


def _report_models(http: httpx.Client, organizations: dict[str, Any], tally: Tally) -> None:
    spend: dict[str, Decimal] = defaultdict(Decimal)
    tokens: Counter[str] = Counter()
    requests: Counter[str] = Counter()
    for path in organizations:
        answer = http.get(f"{path}/spending", params={"group_by": "model"}).raise_for_status()
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


def _report_whole(database_url: str, calls: list[Call], tally: Tally, seconds: float) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        found = audit(connection)
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
        "period_start": (datetime.now(UTC) - timedelta(days=1)).isoformat(),
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
