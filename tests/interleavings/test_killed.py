"""What pays, refunds, disputes and settles is killed before each of its statements, and comes
again: then everything is as if it had come once."""

import copy
import itertools
import os
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest

from synaxis_billing import procedures
from synaxis_billing.ledger.audit import audit
from synaxis_billing.payments import auto_topups, models
from synaxis_billing.payments.advancing import advance
from tests.conftest import Database
from tests.interleavings import stepping
from tests.interleavings.states import Keeper, difference
from tests.interleavings.stepping import Actor, State
from tests.support import billing, steps
from tests.support.paying import FakeProvider, Object, Payer, no_answer

# Each statement of each story, or STOPS of them, drawn by the seed.
EACH = os.environ.get("INTERLEAVINGS") == "all"
SEED = os.environ.get("INTERLEAVINGS_SEED", "1")
STOPS = 5
BEFORE, NOW = "2026-03-10T12:00:00Z", "2026-03-11T12:00:00Z"

# A delivery, which may come any number of times.
Act = Callable[[Payer], object]


def _settling(payer: Payer, payment: models.Payment) -> Act:
    """Deliver a webhook, whose worker brings the payment forward."""
    procedures.call(
        payer.db,
        "store_payment_event",
        tenant="*",
        provider="stripe",
        event_id=f"evt_{payment.id}",
        type="charge.updated",
        external_ids=[str(payment.id)],
        body="{}",
    )
    return lambda again: again.settle(payment)


def _bought(payer: Payer) -> tuple[models.Payment, Object]:
    """A payment of 100, of which 40 are spent."""
    payment = payer.buy("100")
    steps.charge(payer.db, payer.organization_id, "40")
    return payment, payer.provider.made(payment)


def _purchase(_payer: Payer) -> Act:
    return lambda again: again.ask_for("10", key="once")


def _payment(payer: Payer) -> Act:
    payment = payer.ask_for("10")
    payer.provider.made(payment).paid = payment.amount
    return _settling(payer, payment)


def _invoice(payer: Payer) -> Act:
    steps.charge(payer.db, payer.organization_id, "20")
    stepping.set_clock(payer.db, "2026-03-11T00:00:00Z")
    start, end = (datetime(2026, 3, day, tzinfo=UTC) for day in (10, 11))
    draft = billing.draft(payer.db, payer.organization_id, start, end)
    payment = payer.ask_for_invoice(billing.issue(payer.db, draft).id)
    payer.provider.made(payment).paid = payment.amount
    return _settling(payer, payment)


def _refund(payer: Payer) -> Act:
    """Asked for by us; the provider has not got it yet."""
    payment, _ = _bought(payer)
    payer.provider.fault = no_answer("refund", "before")
    payer.refund(payment, "30")
    payer.provider.fault = lambda _operation, _when: None
    return _settling(payer, payment)


def _refund_request(payer: Payer) -> Act:
    payment, _ = _bought(payer)
    return lambda again: again.refund(payment, "30", key="once")


def _refund_elsewhere(payer: Payer) -> Act:
    """Made in the provider's dashboard, of more than is unspent."""
    payment, made = _bought(payer)
    made.refunded = Decimal(80)
    return _settling(payer, payment)


def _refund_refused(payer: Payer) -> Act:
    """By the bank, after it had taken credit."""
    payment, made = _bought(payer)
    made.refunded = Decimal(80)
    payer.settle(payment)
    made.refunded = Decimal(0)
    return _settling(payer, payment)


def _dispute(payer: Payer) -> Act:
    payment, made = _bought(payer)
    made.dispute()
    return _settling(payer, payment)


def _dispute_won(payer: Payer) -> Act:
    payment, made = _bought(payer)
    made.dispute()
    payer.settle(payment)
    made.win()
    return _settling(payer, payment)


def _dispute_lost(payer: Payer) -> Act:
    payment, made = _bought(payer)
    made.dispute()
    payer.settle(payment)
    made.lose()
    return _settling(payer, payment)


def _auto_topup(payer: Payer) -> Act:
    payer.buy("25")
    steps.charge(payer.db, payer.organization_id, "20")
    request = auto_topups.AutoTopupRequest.model_validate(
        {"threshold_usd": "20", "target_usd": "100", "monthly_limit_usd": "1000"}
    )
    auto_topups.set_auto_topup(payer.db, steps.PLATFORM, payer.organization_id, request)
    at = (payer.access(), payer.rates, billing.ISSUER)
    [(_, payment_id)] = auto_topups.claim_auto_topups(*at)
    return lambda again: advance(again.access(), again.organization_id, payment_id)


def _credit(payer: Payer) -> Act:
    """A grant pays a debt, and its rest expires; another begins, and a hold ends."""
    at = (payer.db, payer.organization_id)
    steps.charge(*at, "2")
    steps.grant(*at, "5", expires_at="2026-03-11T00:00:00Z")
    steps.grant(*at, "7", effective_at="2026-03-11T06:00:00Z")
    steps.hold(*at, "1", expires_in_seconds=60)
    asked = {"tenant": "*", "organization_id": payer.organization_id}
    return lambda again: procedures.call(again.db, "settle_organization", **asked)


STORIES: dict[str, Callable[[Payer], Act]] = {
    "a purchase": _purchase,
    "a payment": _payment,
    "the payment of an invoice": _invoice,
    "a refund that is asked for": _refund_request,
    "a refund": _refund,
    "a refund in the dashboard": _refund_elsewhere,
    "a refund that the bank refused": _refund_refused,
    "a dispute": _dispute,
    "a dispute that is won": _dispute_won,
    "a dispute that is lost": _dispute_lost,
    "an automatic top-up": _auto_topup,
    "credit that expires and begins": _credit,
}


class Stage:
    """A database and a provider, put back as they were before each delivery."""

    def __init__(self, database: Database, admin: psycopg.Connection, story: str) -> None:
        stepping.prepare(admin)
        self._database, self._admin = database, admin
        self._provider = FakeProvider()
        self._rates = billing.rates()
        with database.connect() as db:
            stepping.set_clock(db, BEFORE)
            self._id = steps.new_organization(db, credit_limit_usd="100")
            self._act = STORIES[story](self._payer(db))
        stepping.set_clock(admin, NOW)
        self._objects, self._charges = self._provider.objects, self._provider.charges
        self._keeper = Keeper(admin)

    def restore(self) -> None:
        self._keeper.restore()
        self._provider.objects = copy.deepcopy(self._objects)
        self._provider.charges = self._charges
        # An instance's own, so that each time objects are named alike.
        self._provider._numbers = itertools.count(1000)

    def deliver(self, db: psycopg.Connection) -> object:
        return self._act(self._payer(db))

    def _payer(self, db: psycopg.Connection) -> Payer:
        payer = Payer(db, self._id, self._provider)
        payer.rates = self._rates
        return payer

    def count_statements(self) -> int:
        self.restore()
        with closing(Actor(self._database)) as actor:
            actor.set_clock(NOW)
            actor.start(self.deliver)
            assert actor.wait() is State.done
            actor.result()
            return actor.count_statements()

    def kill(self, stops_at: int) -> str:
        """Kill a delivery before a statement; return where it stood."""
        with closing(Actor(self._database)) as actor:
            actor.set_clock(NOW)
            actor.start(self.deliver, stops_at)
            assert actor.wait() is State.stopped
            actor.kill()
            with pytest.raises(psycopg.OperationalError):
                actor.result()
            return actor.place

    def outcome(self) -> str:
        """Deliver, and return all that there is then, here and at the provider."""
        with self._database.connect() as db:
            stepping.set_clock(db, NOW)
            # Ids that the killed one has not made.
            db.execute("SELECT set_config('stepping.made', 'again', false)")
            self.deliver(db)
        assert audit(self._admin).all_broken == []
        there = sorted(
            (made.external_id, made.paid, made.refunded, made.disputed, made.lost)
            for made in self._provider.objects.values()
        )
        return f"{self._keeper.compare_by([])}\n{there} {self._provider.charges}"


@pytest.fixture
def admin(database: Database) -> Iterator[psycopg.Connection]:
    with database.admin() as admin:
        yield admin


@pytest.mark.parametrize("story", STORIES)
def test_what_is_killed_before_a_statement_and_comes_again_happens_once(
    database: Database, admin: psycopg.Connection, story: str
) -> None:
    stage = Stage(database, admin, story)
    count = stage.count_statements()
    stops = list(range(1, count + 1))
    if not EACH:
        stops = sorted(random.Random(f"{SEED} {story}").sample(stops, min(count, STOPS)))
    stage.restore()
    undisturbed = stage.outcome()
    for stop in stops:
        stage.restore()
        place = stage.kill(stop)
        outcome = stage.outcome()
        assert outcome == undisturbed, f"{place}:\n{difference(undisturbed, outcome)}"
    print(f"{story}: killed before {len(stops)} of {count} statements")
    assert count > STOPS
