"""What calls that come at once must not be able to do to granted credit."""

from datetime import timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

import psycopg
import pytest

from synaxis_billing.ledger.transactions import InsufficientCredits, Transaction
from tests.conftest import Database
from tests.grants.test_grants import DAY, balance, expiring, grants, now, types
from tests.support import steps
from tests.support.billing import set_clock
from tests.support.clock import move_clock
from tests.support.racing import at_once, of_type

ROUNDS = 8


def test_two_charges_never_claim_one_range_of_the_odometer(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        for _ in range(4):
            expiring(db, admin, organization_id)
        results = at_once(
            database,
            *[lambda db: [steps.charge(db, organization_id, "0.5") for _ in range(5)]] * 8,
        )
        charges = sorted((made for run in results for made in run), key=lambda made: made.version)
        assert [made.drawn_usd for made in charges] == [number / Decimal(2) for number in range(40)]
        assert balance(db, organization_id).balance_usd == 0
    assert database.audit().whole


def test_charges_at_the_instant_of_an_expiry_never_use_the_credit_twice(
    database: Database,
) -> None:
    """One of them settles; each is before the expiry or after it, and paid credit stays."""
    with database.connect() as db, database.admin() as admin:
        for number in range(ROUNDS):
            organization_id = steps.new_organization(db, "1")
            given = expiring(db, admin, organization_id)
            assert given.expires_at
            # Each change takes at least a microsecond: some come before the instant.
            early = timedelta(microseconds=number)
            set_clock(admin, organization_id, given.expires_at - early)
            results = at_once(
                database,
                *[partial(steps.charge, organization_id=organization_id, amount_usd="1")] * 6,
            )
            accepted = of_type(Transaction, results)
            before = [made for made in accepted if made.created_at < given.expires_at]
            # The given credit pays until the instant, and from then on what was bought.
            assert len(before) == min(number, 6)
            assert len(accepted) == min(number + 1, 6)
            assert len(of_type(InsufficientCredits, results)) == 6 - len(accepted)
            move_clock(admin, 2 * DAY)
            assert balance(db, organization_id).balance_usd == 0
            move_clock(admin, -2 * DAY)
        move_clock(admin, 2 * DAY)
    assert database.audit().whole


def test_an_expiry_and_a_capture_at_once_are_one_after_the_other(database: Database) -> None:
    """The hold ends with the grant; the capture comes before both, or is refused."""
    with database.connect() as db, database.admin() as admin:
        for _ in range(ROUNDS):
            organization_id = steps.new_organization(db)
            expiring(db, admin, organization_id)
            move_clock(admin, DAY / 2)
            held = steps.hold(db, organization_id, "5", expires_in_seconds=24 * 3600)
            move_clock(admin, DAY / 2)
            results = at_once(
                database,
                partial(steps.capture, held=held, amount_usd="3"),
                partial(steps.release, held=held),
                partial(steps.log_spend, organization_id=organization_id, amount_usd="1"),
                partial(steps.top_up, organization_id=organization_id, amount_usd="2"),
            )
            captured = len(of_type(Transaction, results)) == 2
            now_left = balance(db, organization_id).balance_usd
            steps.log_spend(db, organization_id, "1")
            moved = types(admin, organization_id)
            assert ("charge", -3) in moved if captured else ("charge", -3) not in moved
            assert sum(amount for kind, amount in moved if kind == "expiry") >= -5
            # The top-up may have freed the expired credit before the capture took the new.
            assert now_left == sum(amount for _, amount in moved)
            assert now_left >= 0
            assert steps.available(db, organization_id) == now_left
    assert database.audit().whole


def test_an_expiry_takes_no_paid_credit_while_top_ups_and_charges_come(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        for _ in range(3):
            expiring(db, admin, organization_id)
        steps.charge(db, organization_id, "1")
        move_clock(admin, DAY)
        results = at_once(
            database,
            *[lambda db: steps.top_up(db, organization_id, "2")] * 4,
            *[lambda db: steps.log_spend(db, organization_id, "1")] * 4,
            *[lambda db: steps.charge(db, organization_id, "1")] * 4,
        )
        charged = sum(
            -made.amount_usd
            for made in of_type(Transaction, results)
            if made.transaction_type == "charge"
        )
        assert balance(db, organization_id).balance_usd == 8 - charged
        expired = [amount for kind, amount in types(admin, organization_id) if kind == "expiry"]
        assert sum(expired) == -14
    assert database.audit().whole


def test_a_void_and_charges_at_once_use_the_credit_once(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        for _ in range(ROUNDS):
            organization_id = steps.new_organization(db)
            given = expiring(db, admin, organization_id)
            results = at_once(
                database,
                partial(steps.void, granted=given),
                partial(steps.void, granted=given),
                *[partial(steps.charge, organization_id=organization_id, amount_usd="1")] * 4,
            )
            charged = [
                made for made in of_type(Transaction, results) if made.transaction_type == "charge"
            ]
            [voided] = [
                made for made in of_type(Transaction, results) if made.transaction_type == "void"
            ]
            assert voided.amount_usd == len(charged) - 5
            assert grants(db, organization_id)[given.id].status == "voided"
            assert balance(db, organization_id).balance_usd == 0
    assert database.audit().whole


def test_a_grant_that_is_due_starts_once_for_many_callers(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        steps.grant(db, organization_id, "5", effective_at=(now(admin) + DAY).isoformat())
        steps.grant(db, organization_id, "1", every="month")
        move_clock(admin, 40 * DAY)
        at_once(database, *[lambda db: steps.charge(db, organization_id, "0.1")] * 8)
        given = [amount for kind, amount in types(admin, organization_id) if kind == "grant"]
        assert sorted(given)[-1] == 5
        assert given.count(Decimal(5)) == 1
        assert len(given) == 1 + len(
            [
                g
                for g in steps.list_grants(db, organization_id)
                if g.schedule_id and g.transaction_id
            ]
        )
        assert balance(db, organization_id).balance_usd == Decimal("5.2")
    assert database.audit().whole


def test_refunds_of_one_charge_at_once_restore_it_once(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "1")
        expiring(db, admin, organization_id)
        charged = steps.charge(db, organization_id, "6")
        move_clock(admin, DAY)
        at_once(database, *[lambda db: steps.refund(db, charged, "2")] * 6)
        assert balance(db, organization_id).balance_usd == 6
    assert database.audit().whole


def _statements(database: Database, organization_id: UUID) -> int:
    """How many rows a settlement writes before it is done."""
    with database.admin() as admin:
        [(count,)] = admin.execute(
            "SELECT count(*) FROM billing.credit_transactions WHERE organization_id = %s",
            [organization_id],
        ).fetchall()
    return int(count)


@pytest.mark.parametrize(
    "table", ["allocations", "credit_grants", "credit_transactions", "idempotency", "organizations"]
)
def test_a_settlement_that_dies_is_made_again_whole(database: Database, table: str) -> None:
    """Its connection is killed as it writes each of its tables."""
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        expiring(db, admin, organization_id)
        steps.grant(db, organization_id, "1", effective_at=(now(admin) + DAY / 2).isoformat())
        steps.charge(db, organization_id, "2")
        move_clock(admin, DAY)
        written = _statements(database, organization_id)
        admin.execute(
            "CREATE FUNCTION billing.die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$"
            " BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$"
        )
        admin.execute(
            f"CREATE TRIGGER die AFTER INSERT OR UPDATE ON billing.{table}"
            " FOR EACH ROW EXECUTE FUNCTION billing.die()".encode()
        )
        with database.connect() as dying, pytest.raises(psycopg.OperationalError):
            steps.charge(dying, organization_id, "0.5")
        assert _statements(database, organization_id) == written
        admin.execute("DROP FUNCTION billing.die CASCADE")
        assert balance(db, organization_id).balance_usd == 1
        assert steps.charge(db, organization_id, "0.5").balance_after_usd == Decimal("0.5")
    assert database.audit().whole
