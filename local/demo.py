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
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
from rich.console import Console
from rich.table import Table

from local.chart import print_forecast
from local.template import ROOT
from local.traffic import Call, Tally, calls_of, post, replay, set_clock_back
from synaxis_billing.ledger.audit import audit
from synaxis_billing.money import format_money

STATE = Path(os.environ.get("STATE", ROOT / ".local"))
DATA = Path(__file__).parent / "demo_data"
SCOPES = "billing:platform billing:admin billing:topup billing:charge billing:read"
INVOICED = "Benteler Chat"
FORECAST = "Aurora Labs"
HISTORY_DAYS = 56
# A model that the price book does not know yet, and what it costs per million tokens.
NEW_MODEL, NEW_PRICE = "gpt-next-preview", Decimal("3.5")
MODEL = {"provider": "openai", "model": NEW_MODEL}
BUYER = {
    "address": {"line1": "Domstraße 5", "postal_code": "50668", "city": "Köln", "country": "DE"},
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
            set_clock_back(database, days)
        organizations = {_organization(http, *of): of for of in CUSTOMERS}
        calls = list(calls_of(trace, prices, list(organizations), days))
        tally = Tally()
        began = time.perf_counter()
        replay(console, http, database if days else None, calls, tally)
        seconds = time.perf_counter() - began
        paths = {of[0]: path for path, of in organizations.items()}
        _charge_without_price(http, paths[INVOICED], tally)
        charge_id = _exceed_budget(http, paths[INVOICED], tally)
        _report_models(http, organizations, tally)
        _report_balances(http, organizations, tally)
        _report_whole(database, calls, tally, seconds)
        print_forecast(console, http, paths[FORECAST], FORECAST)
        _print_receipt(http, paths[INVOICED], charge_id)
        _keep_statement(http, paths[INVOICED])


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
    post(http, f"{path}/topups", payment, "first").raise_for_status()
    return path


def _charge_without_price(http: httpx.Client, path: str, tally: Tally) -> None:
    """Charge a call of a model that has no price: it is kept, and charged when its price comes."""
    call = _new_model_call(path, "call of a new model")
    kept = post(http, f"{path}/charges", call.body, call.key)
    rates = [{"bucket": name, "usd_per_million": f"{NEW_PRICE}"} for name in ("input", "output")]
    price = {**MODEL, "organization_id": path.rpartition("/")[2], "rates": rates}
    price |= {"effective_from": (datetime.now(UTC) - timedelta(days=1)).isoformat()}
    post(http, "/v1/prices", price).raise_for_status()
    # The retry gets the charge, which the price has made of it.
    charged = _charge(http, call, tally)
    if kept.status_code != httpx.codes.ACCEPTED:
        raise SystemExit(f"{NEW_MODEL} was answered {kept.text}, then {charged}")
    console.print(
        f"A call of {NEW_MODEL}, which had no price, was kept; its price came,"
        f" and it was charged {call.amount_usd:f} USD."
    )


def _exceed_budget(http: httpx.Client, path: str, tally: Tally) -> str:
    """Charge a call that the budget of its key refuses at first; return its transaction's id."""
    call = _new_model_call(path, "call above a budget", virtual_key_id="key of an intern")
    budget = {"subject": "virtual_key", "subject_id": call.body["virtual_key_id"], "window": "day"}
    created = post(http, f"{path}/budgets", budget | {"limit_usd": "0.005"}).raise_for_status()
    refused = post(http, f"{path}/charges", call.body, call.key)
    if refused.json().get("code") != "budget_exceeded":
        raise SystemExit(f"A call above its budget was answered {refused.text}")
    answer = refused.json()
    limit = {"limit_usd": "0.01"}
    http.patch(f"{path}/budgets/{created.json()['id']}", json=limit).raise_for_status()
    charged = _charge(http, call, tally)
    console.print(
        f"A call of {answer['required_usd']} USD was refused, {refused.status_code}"
        f" {answer['code']}: its key may spend {answer['limit_usd']} USD a day."
        f" The limit was raised to {limit['limit_usd']} USD, and the call was charged."
    )
    return str(charged["id"])


def _new_model_call(path: str, key: str, **more: str) -> Call:
    usage = {"format": "openai", "prompt_tokens": 1200, "completion_tokens": 300}
    body = {**MODEL, "usage": usage, "description": "chat completion", **more}
    return Call(path, body, key, "charge", NEW_PRICE * 1500 / 10**6, 0)


def _charge(http: httpx.Client, call: Call, tally: Tally) -> dict[str, Any]:
    charged = post(http, f"{call.path}/charges", call.body, call.key)
    found: dict[str, Any] = charged.json()
    if found.get("amount_usd") != f"-{call.amount_usd:f}":
        raise SystemExit(f"{call} was answered {charged.text}")
    tally.add(call, charged.status_code)
    return found


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


def _print_receipt(http: httpx.Client, path: str, charge_id: str) -> None:
    """Print what a call cost and why, what paid for it, and the proof of it."""
    answer = http.get(f"{path}/transactions/{charge_id}/receipt").raise_for_status()
    receipt = answer.json()
    charge = receipt["transaction"]
    table = Table(title=f"Receipt of a call of {charge['model']}", show_header=False)
    table.add_row("transaction", charge["id"])
    for line in receipt["price"]["lines"]:
        rate = f"{line['tokens']:,} tokens at {line['usd_per_million']} USD a million"
        table.add_row(line["bucket"], f"{rate}: {line['amount_usd']} USD")
    table.add_row("charged", f"{-Decimal(charge['amount_usd']):f} USD")
    for grant in receipt["grants"]:
        table.add_row("paid by", f"{grant['amount_usd']} USD of {grant['kind']} credit")
    table.add_row("hash", charge["hash"])
    console.print(table)


def _keep_statement(http: httpx.Client, organization: str) -> None:
    """Issue the statement of what the organization was charged until now, and keep its PDF. Its
    credit was bought before: the statement asks for nothing."""
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
    currency = issued["billing_currency"]
    settled = sum(Decimal(part["amount_billing_currency"]) for part in issued["settled"])
    console.print(
        f"Statement {issued['invoice_number']} of {INVOICED}:"
        f" {issued['subtotal_billing_currency']} {currency} of usage,"
        f" {settled} {currency} of it settled by credit,"
        f" {issued['amount_due_billing_currency']} {currency} to be paid:"
    )
    # A path in one piece can be opened from the terminal.
    console.print(str(file.resolve()), soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
