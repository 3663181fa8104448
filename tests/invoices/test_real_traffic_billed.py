"""Real LLM traffic, billed for a month in five currencies at real rates, to the eighth decimal."""

import csv
import itertools
import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

from local.demo import DATA
from synaxis_billing import currencies
from synaxis_billing.invoices import month_end
from synaxis_billing.invoices.month_end import Job
from synaxis_billing.rates import rates
from tests.conftest import Database
from tests.invoices.test_month_end import MONTH, issued, local
from tests.support.billing import ISSUER, set_clock
from tests.support.clock import move_clock
from tests.support.steps import charge_batch, item, new_organization

DECIMALS = {"USD": 2, "EUR": 2, "BRL": 2, "GBP": 2, "JPY": 0}
EIGHTH = Decimal("1e-8")


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


def test_the_sum_of_all_invoices_is_the_sum_of_all_charges(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(currencies.CURRENCIES, "JPY", currencies.Currency(0, Decimal(150)))
    prices = list(json.loads((DATA / "model_prices.json").read_text()).items())
    with (DATA / "llm_requests.csv").open() as file:
        trace = list(csv.DictReader(file))
    rates = european_central_bank_rates()
    charged = dict.fromkeys(DECIMALS, Decimal(0))
    with database.connect() as db, database.admin() as admin:
        ids = {name: new_organization(db, "9000", billing_currency=name) for name in DECIMALS}
        for number, calls in enumerate(itertools.batched(trace, 100)):
            # Twenty batches over the days of a month.
            for one in ids.values():
                set_clock(admin, one, local("UTC", 3) + number * timedelta(days=1.5))
            items = []
            for at, call in enumerate(calls):
                model, price = prices[(number + at) % len(prices)]
                currency = list(ids)[at % len(ids)]
                cost = Decimal(call["ContextTokens"]) * Decimal(price["input_cost_per_token"])
                cost += Decimal(call["GeneratedTokens"]) * Decimal(price["output_cost_per_token"])
                cost = max(cost.quantize(EIGHTH, ROUND_HALF_UP), EIGHTH)
                charged[currency] += cost
                tokens = int(call["ContextTokens"]) + int(call["GeneratedTokens"])
                more = {"model": model, "provider": price["provider"], "tokens": tokens}
                items.append(item(ids[currency], f"{cost:f}", **more))
            assert {one.status for one in charge_batch(db, *items)} == {201}
        invoices = {}
        for currency, one in ids.items():
            set_clock(admin, one, local("UTC", 4))
            assert month_end.bill_month(db, Job(month=MONTH, organization_id=one), rates, ISSUER)
            [invoices[currency]] = issued(db, one)
    assert sum(one.subtotal_usd for one in invoices.values()) == sum(charged.values())
    assert sum(line.requests for one in invoices.values() for line in one.line_items) == len(trace)
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
