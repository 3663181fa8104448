"""Whatever the providers' answers and webhooks do, money is the same at both sides in the end."""

import contextlib
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest

from local.payments.server import Standin
from synaxis_billing.payments import models, payments
from tests.chaos.paying import People, at_once, at_providers
from tests.chaos.seeds import RUNS, new_seed
from tests.conftest import Database
from tests.support import steps
from tests.support.clock import move_clock
from tests.support.receiver import receiving

THREADS, ACTIONS = 4, 90
FAULTS = {
    "timeout_before": 0.08,
    "timeout_after": 0.08,
    "error_before": 0.04,
    "error_after": 0.04,
    "rate_limit": 0.02,
    "conflict": 0.02,
}
WEBHOOKS = {"held": True, "lost": 0.2, "doubled": 0.3, "late": 0.3}
# Until each is asked for, and beyond what providers remember of keys and orders.
_SOON, _LATE = timedelta(minutes=10), timedelta(days=8)
WAITS = [_SOON, _SOON, timedelta(hours=2), _LATE, _SOON, _LATE, _SOON]


@pytest.mark.parametrize("_run", range(RUNS))
def test_credit_provider_and_ledger_agree_after_a_run_of_faults(
    database: Database, _run: int
) -> None:
    seed = new_seed()
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        standin = stack.enter_context(Standin().running())
        admin = stack.enter_context(database.admin())
        connections = [stack.enter_context(database.connect()) for _ in range(THREADS)]
        standin.webhooks |= {name: f"{receiver.url}/{name}" for name in ("stripe", "paypal")}
        standin.deliveries.configure({**WEBHOOKS, "seed": seed})
        standin.faults.configure({"rates": FAULTS, "seed": seed})
        organizations = [
            steps.new_organization(
                connections[0],
                billing_currency=currency,
                tax={"label": "VAT", "rate_percent": tax},
            )
            for currency, tax in (("EUR", "19"), ("USD", "0"), ("GBP", "20"))
        ]
        people = [
            People(db, standin, receiver, organizations, f"{seed} {number}")
            for number, db in enumerate(connections)
        ]
        at_once(people, ACTIONS)
        done = sum((Counter(one.done) for one in people), Counter[str]())
        print(dict(done), dict(standin.faults.drawn))
        standin.faults.configure({})
        for wait in WAITS:
            move_clock(admin, wait)
            standin.state.advanced_seconds += wait.total_seconds()
            people[0].sweep()
            people[0].clear_all()
        _assert_agreement(connections[0], admin, standin, organizations)
    # A run in which little happened proves nothing.
    assert min(done[name] for name in ("buy", "pay", "refund", "dispute", "webhooks")) > 0
    assert database.audit().whole


def _assert_agreement(
    db: psycopg.Connection,
    admin: psycopg.Connection,
    standin: Standin,
    organizations: list[UUID],
) -> None:
    provider = at_providers(standin)
    assert {one.charges for one in provider.values()} == {1}
    known = set()
    for organization_id in organizations:
        gained = Decimal(0)
        for payment in _every(db, organization_id):
            known.add(payment.id)
            assert payment.status in ("succeeded", "failed", "expired"), payment
            if payment.status != "succeeded":
                assert payment.id not in provider, payment
                assert payment.credited_usd == 0
                continue
            there = provider[payment.id]
            gone = there.refunded + there.lost
            assert payment.captured == there.captured == payment.amount
            assert payment.refunded == there.refunded, payment
            assert payment.credited_usd == payment.credit_usd
            left = payment.paid_out_usd + payment.charged_back_usd
            assert abs(left - payment.credit_usd * gone / payment.captured) < Decimal("0.01")
            assert (left == payment.credit_usd) == (gone == payment.captured)
            gained += payment.credited_usd - left
        [(balance, spent)] = admin.execute(
            "SELECT sum(amount_usd), coalesce(sum(amount_usd) FILTER (WHERE transaction_type"
            " = 'charge'), 0) FROM billing.credit_transactions WHERE organization_id = %s",
            [organization_id],
        ).fetchall()
        assert balance == gained + spent
    assert provider.keys() <= known


def _every(db: psycopg.Connection, organization_id: UUID) -> list[models.Payment]:
    found: list[models.Payment] = []
    cursor = None
    while True:
        page = payments.list_payments(db, steps.PLATFORM, organization_id, None, 100, cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
