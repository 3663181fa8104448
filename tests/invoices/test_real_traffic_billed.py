"""Real LLM traffic, billed for a month in five currencies at real rates, to the eighth decimal."""

import csv
import itertools
import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from local.demo import DATA
from synaxis_billing import currencies
from synaxis_billing.grants import revenue
from synaxis_billing.invoices import month_end
from synaxis_billing.invoices.invoices import Invoice
from synaxis_billing.invoices.month_end import Job
from synaxis_billing.rates import rates
from tests.conftest import Database
from tests.invoices.test_month_end import MONTH, issued, local
from tests.support.billing import ISSUER, set_clock
from tests.support.clock import move_clock
from tests.support.steps import (
    PLATFORM,
    charge_batch,
    grant,
    item,
    new_organization,
    top_up,
)

DECIMALS = {"USD": 2, "EUR": 2, "BRL": 2, "GBP": 2, "JPY": 0}
EIGHTH = Decimal("1e-8")
REQUESTS = 2000
TAX = {"label": "VAT", "rate_percent": "19", "tax_id": "DE811"}


def european_central_bank_rates() -> list[rates.Rate]:
    """Those of the newest day, per dollar."""
    history = (Path(__file__).parents[1] / "data/ecb_rates.csv").read_text().splitlines()
    day = next(csv.DictReader(history))
    at = datetime.fromisoformat(day.pop("Date")).replace(tzinfo=UTC)
    per_euro = {"EUR": Decimal(1)} | {name: Decimal(rate) for name, rate in day.items()}
    return [
        rates.Rate(name, rate / per_euro["USD"], at, "ecb", False)
        for name, rate in per_euro.items()
    ]


# What settles the usage of an organization that is ...
USED: dict[str, set[str]] = {
    "prepaid": {"prepaid"},
    "postpaid": set(),
    "mixed": {"promotional", "prepaid"},
}


def charge_the_trace[Name](
    db: psycopg.Connection, admin: psycopg.Connection, ids: dict[Name, UUID]
) -> dict[Name, Decimal]:
    """Charge the requests to the organizations in turn, in twenty batches over the days of a month;
    return what each was charged."""
    prices = list(json.loads((DATA / "model_prices.json").read_text()).items())
    with (DATA / "llm_requests.csv").open() as file:
        trace = list(csv.DictReader(file))
    assert len(trace) == REQUESTS
    charged = dict.fromkeys(ids, Decimal(0))
    for number, calls in enumerate(itertools.batched(trace, 100)):
        for one in ids.values():
            set_clock(admin, one, local("UTC", 3) + number * timedelta(days=1.5))
        items = []
        for at, (call, name) in enumerate(zip(calls, itertools.cycle(ids), strict=False)):
            model, price = prices[(number + at) % len(prices)]
            read, written = int(call["ContextTokens"]), int(call["GeneratedTokens"])
            cost = read * Decimal(price["input_cost_per_token"])
            cost += written * Decimal(price["output_cost_per_token"])
            cost = max(cost.quantize(EIGHTH, ROUND_HALF_UP), EIGHTH)
            charged[name] += cost
            more = {"model": model, "provider": price["provider"], "tokens": read + written}
            items.append(item(ids[name], f"{cost:f}", **more))
        assert {one.status for one in charge_batch(db, *items)} == {201}
    return charged


def test_prepaid_postpaid_and_mixed_usage_is_what_credit_settled_and_what_is_due(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(currencies.CURRENCIES, "JPY", currencies.Currency(0, Decimal(150)))
    rates = european_central_bank_rates()
    with database.connect() as db, database.admin() as admin:
        move_clock(admin, local("UTC", 3) - datetime.now(UTC))
        ids = {
            (name, way): new_organization(
                db,
                "9000" if way == "prepaid" else None,
                credit_limit_usd="0" if way == "prepaid" else "9000",
                billing_currency=name,
                tax=TAX,
            )
            for name, way in itertools.product(DECIMALS, USED)
        }
        for (_, way), one in ids.items():
            if way == "mixed":
                grant(db, one, "0.05", expires_at=local("UTC", 4).isoformat())
                top_up(db, one, "0.11")
        charged = charge_the_trace(db, admin, ids)
        move_clock(admin, local("UTC", 4) - local("UTC", 3))
        invoices = {}
        for key, one in ids.items():
            assert month_end.bill_month(db, Job(month=MONTH, organization_id=one), rates, ISSUER)
            [invoices[key]] = [found for found in issued(db, one) if found.kind == "usage"]
        total = revenue.get_revenue(lambda: db, PLATFORM, MONTH).total
    settled = dict.fromkeys(("promotional", "prepaid", "due"), Decimal(0))
    for (currency, way), invoice in invoices.items():
        parts = settled_once(invoice, charged[currency, way])
        assert parts.keys() - {"due"} == USED[way]
        assert (parts["due"] > 0) == (invoice.status == "issued") == (way != "prepaid")
        for kind, amount in parts.items():
            settled[kind] += amount
    assert sum(settled.values()) == sum(charged.values())
    assert (total.recognized_usd, total.promotional_used_usd, total.debt_usd) == (
        settled["prepaid"],
        settled["promotional"],
        settled["due"],
    )
    assert total.opening_deferred_usd + total.sold_usd == (
        total.recognized_usd + total.breakage_usd + total.paid_out_usd + total.closing_deferred_usd
    )
    assert database.audit().whole


def settled_once(invoice: Invoice, charged: Decimal) -> dict[str, Decimal]:
    """What settles the usage of an invoice by its kind, and what is due, net; exact in both
    currencies."""
    unit = Decimal(1).scaleb(-DECIMALS[invoice.billing_currency])
    due = invoice.amount_due_usd - invoice.tax_usd
    parts = {part.kind: part.amount_usd for part in invoice.settled} | {"due": due}
    assert sum(parts.values()) == invoice.subtotal_usd == charged
    assert invoice.tax_usd == (due * Decimal("0.19")).quantize(EIGHTH, ROUND_HALF_UP)
    paid = sum(part.amount_billing_currency for part in invoice.settled)
    asked = invoice.amount_due_billing_currency - invoice.tax_billing_currency
    exact = (charged * invoice.exchange_rate).quantize(unit, ROUND_HALF_UP)
    assert paid + asked == invoice.subtotal_billing_currency == exact
    return parts


def test_the_sum_of_all_invoices_is_the_sum_of_all_charges(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(currencies.CURRENCIES, "JPY", currencies.Currency(0, Decimal(150)))
    rates = european_central_bank_rates()
    with database.connect() as db, database.admin() as admin:
        ids = {name: new_organization(db, "9000", billing_currency=name) for name in DECIMALS}
        charged = charge_the_trace(db, admin, ids)
        invoices = {}
        for currency, one in ids.items():
            set_clock(admin, one, local("UTC", 4))
            assert month_end.bill_month(db, Job(month=MONTH, organization_id=one), rates, ISSUER)
            [invoices[currency]] = issued(db, one)
    assert sum(one.subtotal_usd for one in invoices.values()) == sum(charged.values())
    assert sum(line.requests for one in invoices.values() for line in one.line_items) == REQUESTS
    for currency, invoice in invoices.items():
        unit = Decimal(1).scaleb(-DECIMALS[currency])
        exact = charged[currency] * invoice.exchange_rate
        assert invoice.subtotal_usd == charged[currency]
        assert invoice.total_amount_billing_currency == exact.quantize(unit, ROUND_HALF_UP)
        lines = [line.amount_billing_currency for line in invoice.line_items]
        assert sum(lines) == invoice.total_amount_billing_currency
    with database.admin() as admin:
        move_clock(admin, local("UTC", 4) - datetime.now(UTC))
    assert database.audit().whole
