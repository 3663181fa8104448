"""What must never happen to granted credit."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import UUID

import psycopg
import pytest

from synaxis_billing.errors import BillingError, Conflict, InvalidRequest, NotFound
from synaxis_billing.grants.grants import Grant
from synaxis_billing.ledger.charges import Charged, Refused
from synaxis_billing.ledger.transactions import InsufficientCredits
from synaxis_billing.organizations.balance import Balance, get_balance
from synaxis_billing.organizations.listing import OrganizationFilter, list_organizations
from tests.conftest import Database
from tests.support import steps
from tests.support.billing import set_clock
from tests.support.clock import move_clock

DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


def now(admin: psycopg.Connection) -> datetime:
    [(instant,)] = admin.execute("SELECT billing.now()").fetchall()
    assert isinstance(instant, datetime)
    return instant


def balance(db: psycopg.Connection, organization_id: UUID) -> Balance:
    return get_balance(lambda: db, steps.NO_CACHE, steps.PLATFORM, organization_id)


def grants(db: psycopg.Connection, organization_id: UUID) -> dict[UUID, Grant]:
    return {grant.id: grant for grant in steps.list_grants(db, organization_id)}


def expiring(
    db: psycopg.Connection, admin: psycopg.Connection, organization_id: UUID, **more: Any
) -> Grant:
    """A grant of 5 that expires tomorrow."""
    return steps.grant(db, organization_id, "5", expires_at=(now(admin) + DAY).isoformat(), **more)


def types(admin: psycopg.Connection, organization_id: UUID) -> list[tuple[str, Any]]:
    return admin.execute(
        "SELECT transaction_type::text, amount_usd FROM billing.credit_transactions"
        " WHERE organization_id = %s ORDER BY version",
        [organization_id],
    ).fetchall()


def test_expired_credit_is_never_spent(database: Database) -> None:
    """Neither by a charge, nor a batch, nor a hold, nor the capture of an expired hold, before any
    job has run."""
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        expiring(db, admin, organization_id)
        held = steps.hold(db, organization_id, "1", expires_in_seconds=60)
        move_clock(admin, DAY)
        for spend in (
            lambda: steps.charge(db, organization_id, "0.01"),
            lambda: steps.hold(db, organization_id, "0.01"),
            lambda: steps.capture(db, held, "0.01"),
        ):
            with pytest.raises(InsufficientCredits):
                spend()
        [refused] = steps.charge_batch(db, steps.item(organization_id, "0.01"))
        assert isinstance(refused, Refused)
        assert types(admin, organization_id) == [("grant", 5), ("expiry", -5)]
    assert database.audit().whole


def test_a_live_hold_keeps_the_credit_that_it_needs(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "2")
        given = expiring(db, admin, organization_id, priority=90)
        move_clock(admin, DAY / 2)
        held = steps.hold(db, organization_id, "4", expires_in_seconds=24 * 3600)
        move_clock(admin, DAY / 2)
        # The hold can take 2 of the paid credit; 2 of the expired credit stays for it.
        assert balance(db, organization_id).available_usd == 0
        found = grants(db, organization_id)[given.id]
        assert [found.status, found.remaining_usd] == ["expired", 2]
        with pytest.raises(InsufficientCredits):
            steps.charge(db, organization_id, "0.01")
        steps.capture(db, held, "3")
        # What the capture has left of it is gone.
        assert balance(db, organization_id).balance_usd == 0
        steps.log_spend(db, organization_id, "1")
        assert types(admin, organization_id) == [
            ("topup", 2),
            ("grant", 5),
            ("expiry", -3),
            ("charge", -3),
            ("expiry", -1),
        ]
    assert database.audit().whole


def test_credit_that_waited_for_a_hold_goes_when_the_hold_expires(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        expiring(db, admin, organization_id)
        move_clock(admin, DAY - timedelta(minutes=1))
        held = steps.hold(db, organization_id, "5", expires_in_seconds=3600)
        move_clock(admin, timedelta(minutes=2))
        assert balance(db, organization_id).balance_usd == 5
        move_clock(admin, timedelta(hours=1))
        assert balance(db, organization_id).balance_usd == 0
        with pytest.raises(InsufficientCredits):
            steps.capture(db, held, "1")
    assert database.audit().whole


def test_the_order_of_use_does_not_depend_on_the_order_of_creation(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        start = (now(admin) + DAY).isoformat()
        soon, late = ((now(admin) + days * DAY).isoformat() for days in (10, 20))
        # In the order in which they are used.
        terms: list[dict[str, Any]] = [
            {"priority": 0, "expires_at": late},
            {"expires_at": soon},
            {"expires_at": late},
            {},
        ]
        seen = []
        for order in permutations(range(4)):
            organization_id = steps.new_organization(db)
            made = {
                number: steps.grant(
                    db, organization_id, "1", effective_at=start, **terms[number]
                ).id
                for number in order
            }
            seen.append((organization_id, [made[number] for number in range(4)]))
        move_clock(admin, 2 * DAY)
        for organization_id, expected in seen:
            steps.charge(db, organization_id, "3.5")
            steps.refund(db, steps.charge(db, organization_id, "0.5"))
            rows = admin.execute(
                "SELECT grant_id FROM billing.allocations WHERE organization_id = %s"
                " AND refund_id IS NULL ORDER BY from_usd",
                [organization_id],
            ).fetchall()
            assert [grant_id for (grant_id,) in rows] == expected
    assert database.audit().whole


def test_a_refund_cannot_be_refunded(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "5")
        refunded = steps.refund(db, steps.charge(db, organization_id, "2"))
        with pytest.raises(Conflict, match="only a charge"):
            steps.refund(db, refunded)
        assert balance(db, organization_id).balance_usd == 5


def test_a_refund_gives_back_what_was_drawn_last(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, credit_limit_usd="10")
        given = expiring(db, admin, organization_id)
        steps.top_up(db, organization_id, "3")
        charged = steps.charge(db, organization_id, "10")
        [paid] = (grant for grant in grants(db, organization_id).values() if grant.kind == "paid")
        for amount, debt, of_paid, of_given in (("1", 1, 0, 0), ("2", 0, 1, 0), ("4", 0, 3, 2)):
            steps.refund(db, charged, amount)
            found = grants(db, organization_id)
            assert balance(db, organization_id).debt_usd == debt
            assert found[paid.id].remaining_usd == of_paid
            assert found[given.id].remaining_usd == of_given
    assert database.audit().whole


@pytest.mark.parametrize("days", [1, 30, 90])
def test_refunded_credit_of_an_expired_grant_lives_on_for_the_days_of_grace(
    database: Database, days: int
) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        steps.top_up(
            db,
            organization_id,
            "6",
            expires_at=(now(admin) + DAY).isoformat(),
            paid={"amount": "3", "currency": "USD"},
        )
        charged = steps.charge(db, organization_id, "4")
        move_clock(admin, DAY)
        back = steps.refund(db, charged, "3", grace_days=days)
        assert balance(db, organization_id).balance_usd == 3
        newest, old = steps.list_grants(db, organization_id)
        assert [newest.kind, newest.amount_usd, newest.origin_id] == ["refund", 3, old.id]
        assert newest.cost_basis_usd == Decimal("1.5")
        assert newest.expires_at == back.created_at + days * DAY
        move_clock(admin, days * DAY)
        assert balance(db, organization_id).balance_usd == 0
    assert database.audit().whole


def test_the_grants_of_one_payment_together_cost_what_was_paid(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        ends = (now(admin) + DAY).isoformat()
        paid = {"amount": "1", "currency": "USD"}
        steps.top_up(db, organization_id, "3", expires_at=ends, paid=paid)
        charges = [steps.charge(db, organization_id, "1") for _ in range(3)]
        move_clock(admin, DAY)
        for charged in charges:
            steps.refund(db, charged, "0.7")
            steps.refund(db, charged)
        refunds = [g for g in steps.list_grants(db, organization_id) if g.kind == "refund"]
        assert len(refunds) == 6
        assert sum(grant.cost_basis_usd for grant in refunds) == 1


def test_given_credit_stays_credit_that_nobody_paid_for(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        expiring(db, admin, organization_id)
        charged = steps.charge(db, organization_id, "5")
        move_clock(admin, DAY)
        steps.refund(db, charged)
        assert [grant.cost_basis_usd for grant in steps.list_grants(db, organization_id)] == [0, 0]


@pytest.mark.parametrize("batch", [False, True])
def test_at_the_instant_of_expiry_the_credit_is_gone(database: Database, batch: bool) -> None:
    with database.connect() as db, database.admin() as admin:
        for early, accepted in ((MICROSECOND, True), (timedelta(0), False)):
            organization_id = steps.new_organization(db)
            given = expiring(db, admin, organization_id)
            assert given.expires_at
            set_clock(admin, organization_id, given.expires_at - early)
            if batch:
                [result] = steps.charge_batch(db, steps.item(organization_id, "5"))
                assert isinstance(result, Charged) == accepted
            elif accepted:
                assert steps.charge(db, organization_id, "5").balance_after_usd == 0
            else:
                with pytest.raises(InsufficientCredits):
                    steps.charge(db, organization_id, "5")
            # Used or expired, never both.
            move_clock(admin, 2 * DAY)
            assert balance(db, organization_id).balance_usd == 0
            steps.log_spend(db, organization_id, "1")
            used = ("charge", -5) if accepted else ("expiry", -5)
            assert types(admin, organization_id) == [("grant", 5), used]
            move_clock(admin, -2 * DAY)


def test_a_clock_that_jumps_back_revives_nothing(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        expiring(db, admin, organization_id)
        move_clock(admin, DAY)
        steps.log_spend(db, organization_id, "1")
        move_clock(admin, -DAY)
        assert balance(db, organization_id).balance_usd == 0
        assert [grant.status for grant in steps.list_grants(db, organization_id)] == ["expired"]
        with pytest.raises(InsufficientCredits):
            steps.charge(db, organization_id, "0.01")


def test_a_reader_does_not_see_credit_that_has_expired(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "1")
        given = expiring(db, admin, organization_id)
        move_clock(admin, DAY)
        found = balance(db, organization_id)
        assert [found.balance_usd, found.available_usd, found.expiring] == [1, 1, []]
        assert grants(db, organization_id)[given.id].remaining_usd == 0
        listed = list_organizations(db, steps.PLATFORM, OrganizationFilter(), 10, None)
        assert [one.balance_usd for one in listed.items] == [1]


def test_credit_of_the_future_cannot_be_spent(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        given = steps.grant(db, organization_id, "5", effective_at=(now(admin) + DAY).isoformat())
        assert (given.status, given.transaction_id) == ("scheduled", None)
        assert balance(db, organization_id).balance_usd == 0
        with pytest.raises(InsufficientCredits):
            steps.charge(db, organization_id, "0.01")
        move_clock(admin, DAY)
        assert balance(db, organization_id).available_usd == 5
        assert steps.charge(db, organization_id, "5").balance_after_usd == 0
        started = grants(db, organization_id)[given.id]
        transaction = admin.execute(
            "SELECT created_at, description FROM billing.credit_transactions WHERE id = %s",
            [started.transaction_id],
        ).fetchone()
        assert transaction == (given.effective_at, "welcome")
    assert database.audit().whole


def test_reads_write_nothing(database: Database) -> None:
    """A region that only replicates can answer them."""
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        expiring(db, admin, organization_id)
        steps.grant(db, organization_id, "1", every="month")
        move_clock(admin, 70 * DAY)
        db.execute("SET default_transaction_read_only = on")
        assert balance(db, organization_id).balance_usd == 1
        assert len(steps.list_grants(db, organization_id)) >= 4
    assert database.audit().whole


def test_a_void_takes_what_is_left_but_for_holds(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        given = expiring(db, admin, organization_id)
        steps.charge(db, organization_id, "1")
        held = steps.hold(db, organization_id, "3")
        voided = steps.void(db, given, "void-1")
        assert [voided.amount_usd, voided.grant_id] == [-1, given.id]
        assert steps.void(db, given, "void-1") == voided
        assert balance(db, organization_id).available_usd == 0
        with pytest.raises(Conflict, match="already voided"):
            steps.void(db, given)
        steps.release(db, held)
        assert balance(db, organization_id).balance_usd == 0
        steps.log_spend(db, organization_id, "1")
        assert types(admin, organization_id)[-1] == ("void", -3)
    assert database.audit().whole


def test_of_credit_that_waits_for_a_hold_goes_first_what_ended_first(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        first = steps.grant(db, organization_id, "2")
        then = expiring(db, admin, organization_id)
        steps.hold(db, organization_id, "7")
        steps.void(db, first)
        steps.void(db, then)
        steps.top_up(db, organization_id, "1")
        found = grants(db, organization_id)
        assert [found[grant.id].remaining_usd for grant in (first, then)] == [1, 5]
    assert database.audit().whole


def test_a_void_of_a_recurring_grant_to_come_ends_it(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        given = steps.grant(db, organization_id, "5", every="month")
        [following] = steps.list_grants(db, organization_id, "scheduled")
        assert following.effective_at == given.expires_at
        assert steps.void(db, following).amount_usd == 0
        move_clock(admin, 70 * DAY)
        assert balance(db, organization_id).balance_usd == 0
        assert len(steps.list_grants(db, organization_id)) == 2
    assert database.audit().whole


@pytest.mark.parametrize("recurring", [{}, {"every": "month"}])
def test_a_grant_that_is_sent_again_is_given_once(
    database: Database, recurring: dict[str, str]
) -> None:
    """The first answer comes again, also when the credit is used by then."""
    with database.connect() as db:
        organization_id = steps.new_organization(db, "1", credit_limit_usd="10")
        steps.charge(db, organization_id, "3")
        first = steps.grant(db, organization_id, "5", "grant-1", **recurring)
        assert first.remaining_usd == 3
        steps.charge(db, organization_id, "1")
        assert steps.grant(db, organization_id, "5", "grant-1", **recurring) == first
        assert balance(db, organization_id).balance_usd == 2


def test_a_grant_that_would_end_before_it_starts_is_refused(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        past = (now(admin) - DAY).isoformat()
        start, before = ((now(admin) + days * DAY).isoformat() for days in (2, 1))
        for give in (
            lambda: steps.grant(db, organization_id, "1", expires_at=past),
            lambda: steps.grant(db, organization_id, "1", effective_at=start, expires_at=before),
            lambda: steps.top_up(db, organization_id, "1", expires_at=past),
            lambda: steps.adjust(db, organization_id, "1", expires_at=past),
        ):
            with pytest.raises(InvalidRequest, match="`expires_at` must be later"):
                give()
        assert steps.list_grants(db, organization_id) == []


def test_a_grant_of_another_organization_does_not_exist(database: Database) -> None:
    with database.connect() as db:
        own, others = (steps.new_organization(db) for _ in range(2))
        given = steps.grant(db, others, "1")
        with pytest.raises(NotFound) as refused:
            steps.void(db, given.model_copy(update={"organization_id": own}))
        assert refused.value.code == "grant_not_found"
        assert isinstance(refused.value, BillingError)


def test_a_list_of_grants_has_pages_and_a_status(database: Database) -> None:
    from synaxis_billing.grants.grants import list_grants

    with database.connect() as db:
        organization_id = steps.new_organization(db)
        made = [steps.grant(db, organization_id, "1").id for _ in range(5)]
        seen: list[UUID] = []
        cursor = None
        while True:
            page = list_grants(db, steps.PLATFORM, organization_id, None, 2, cursor)
            seen += [grant.id for grant in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == made[::-1]
        steps.charge(db, organization_id, "2.5")
        assert len(steps.list_grants(db, organization_id, "depleted")) == 2
        assert len(steps.list_grants(db, organization_id, "active")) == 3


def test_an_erasure_empties_the_texts_of_grants(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        later = (now(admin) + DAY).isoformat()
        steps.grant(db, organization_id, "1", effective_at=later, description="for Anna")
        steps.erase(db, organization_id)
        assert admin.execute(
            "SELECT description, initiated_by FROM billing.credit_grants"
        ).fetchall() == [(None, None)]
        move_clock(admin, DAY)
        assert steps.charge(db, organization_id, "1").balance_after_usd == 0
    assert database.audit().whole
