"""Whatever calls and webhooks are lost, doubled or late: in the end credit, provider and ledger
agree, and nothing was paid or refunded twice."""

import random
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from uuid import UUID

import pytest

from synaxis_billing.errors import BillingError
from synaxis_billing.payments.providers import NoAnswer
from tests.conftest import Database
from tests.support import steps
from tests.support.paying import FakeProvider, Payer

PAYMENTS, THREADS, STEPS = 4, 4, 25


class Unreliable(FakeProvider):
    """Loses a third of the calls, half of them after their effect."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.reliable = False
        self.fault = self._lose

    def _lose(self, operation: str, when: str) -> None:
        if not self.reliable and self.random.random() < 0.17:
            raise NoAnswer(f"{operation}, {when} its effect")


def _live(payer: Payer, own: random.Random, keys: list[str]) -> None:
    """Do something that a payer, a bank, the platform or a webhook does."""
    key = own.choice(keys)
    payment = payer.ask_for("10", key=key)
    made = payer.provider.made(payment)
    match own.randrange(8):
        case 0 | 1:
            made.paid = payment.amount
        case 2:
            payer.refund(payment, str(own.randint(1, 4)), key=f"{key} {own.randrange(3)}")
        case 3 if made.paid and made.dispute_state is None:
            made.dispute()
        case 4 if made.dispute_state == "open":
            own.choice([made.win, made.lose])()
        case 5:
            steps.charge(payer.db, payer.organization_id, "1")
        case _:
            payer.settle(payment)


@pytest.mark.parametrize("seed", range(4))
def test_after_all_faults_provider_and_ledger_agree(database: Database, seed: int) -> None:
    provider = Unreliable(seed)
    keys = [f"payment {number}" for number in range(PAYMENTS)]
    with database.connect() as db:
        organization_id = steps.new_organization(db)
    together = threading.Barrier(THREADS)

    def run(number: int) -> None:
        own = random.Random(f"{seed} {number}")
        with database.connect() as db:
            payer = Payer(db, organization_id, provider)
            together.wait()
            for _ in range(STEPS):
                try:
                    _live(payer, own, keys)
                except (NoAnswer, BillingError):
                    # Whoever asked tries again, or a sweep does.
                    continue

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, range(THREADS)))
    provider.reliable = True
    with database.connect() as db:
        payer = Payer(db, organization_id, provider)
        left = -_spent(database)
        for key in keys:
            payment = payer.settle(payer.ask_for("10", key=key))
            made = provider.made(payment)
            assert payment.captured == made.paid
            assert payment.refunded == made.refunded == _asked(made.refunds, database)
            gone = min(made.refunded + made.lost, made.paid)
            assert payment.paid_out_usd + payment.charged_back_usd == gone
            left += made.paid - gone - min(made.disputed, made.paid - gone)
        # What is disputed is frozen as far as it was not spent, so more may be available.
        assert steps.available(db, organization_id) >= left
        assert len(provider.objects) == len(keys)
    assert database.audit().whole


def _asked(refunds: Iterable[UUID], database: Database) -> Decimal:
    """The sum of the refunds that the provider has made for us."""
    with database.admin() as admin:
        rows = admin.execute(
            "SELECT amount FROM billing.payment_refunds WHERE id = ANY (%s)", [list(refunds)]
        ).fetchall()
    return sum((row[0] for row in rows), Decimal(0))


def _spent(database: Database) -> Decimal:
    with database.admin() as admin:
        row = admin.execute(
            "SELECT coalesce(sum(-amount_usd), 0) FROM billing.credit_transactions"
            " WHERE transaction_type = 'charge'"
        ).fetchone()
    assert row
    return Decimal(row[0])
