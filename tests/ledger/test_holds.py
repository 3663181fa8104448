"""A hold reserves credit for a while, and lets go of it by itself."""

import psycopg
import pytest

from synaxis_billing.errors import Conflict, NotFound, Unprocessable
from synaxis_billing.ledger import holds
from synaxis_billing.ledger.transactions import InsufficientCredits
from synaxis_billing.organizations import balance
from tests.conftest import Database
from tests.support import steps


def _expire(database: Database, held: holds.Hold) -> None:
    with database.admin() as admin:
        admin.execute("UPDATE billing.holds SET expires_at = now() WHERE id = %s", [held.id])


def test_a_hold_leaves_the_balance_and_shrinks_what_is_available(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        steps.hold(db, organization_id, "4")
        now = balance.get_balance(lambda: db, steps.NO_CACHE, steps.PLATFORM, organization_id)
        assert [now.balance_usd, now.held_usd, now.available_usd] == [10, 4, 6]
        with pytest.raises(InsufficientCredits) as refused:
            steps.charge(db, organization_id, "7")
    assert refused.value.facts == {
        "available_usd": "6.00",
        "required_usd": "7.00",
        "deficit_usd": "1.00",
    }


def test_a_part_is_captured_and_the_rest_is_free_at_once(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        held = steps.hold(db, organization_id, "10", model="gpt-4o", request_id="req-1")
        charged = steps.capture(db, held, "2.5")
        assert charged.hold_id == held.id
        assert steps.charge(db, organization_id, "7.5").balance_after_usd == 0
        with pytest.raises(Conflict, match="req-1"):
            steps.charge(db, organization_id, "1", request_id="req-1")
    assert database.audit().whole


def test_an_expired_hold_reserves_nothing_though_nothing_has_swept_it(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        _expire(database, steps.hold(db, organization_id, "10"))
        assert steps.available(db, organization_id) == 10
        assert steps.charge(db, organization_id, "10").balance_after_usd == 0
    assert database.audit().whole


@pytest.mark.parametrize("noticed", [False, True])
def test_a_late_capture_succeeds_while_the_credit_is_there(
    database: Database, noticed: bool
) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        held = steps.hold(db, organization_id, "6")
        _expire(database, held)
        if noticed:
            steps.charge(db, organization_id, "5")
            with pytest.raises(InsufficientCredits):
                steps.capture(db, held, "6")
        assert steps.capture(db, held, "5").transaction_type == "charge"
    assert database.audit().whole


@pytest.mark.parametrize("first", ["capture", "release"])
def test_a_hold_ends_once(database: Database, first: str) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        held = steps.hold(db, organization_id, "6")
        _end(db, held, first)
        for again in ("capture", "release"):
            with pytest.raises(Conflict):
                _end(db, held, again)
    assert database.audit().whole


def _end(db: psycopg.Connection, held: holds.Hold, how: str) -> None:
    if how == "capture":
        steps.capture(db, held, "1")
    else:
        steps.release(db, held)


def test_an_expired_hold_can_still_be_released_and_then_not_captured(database: Database) -> None:
    with database.connect() as db:
        held = steps.hold(db, steps.new_organization(db, "10"), "6")
        _expire(database, held)
        assert steps.release(db, held).status == "released"
        with pytest.raises(Conflict):
            steps.capture(db, held, "1")


def test_a_capture_is_at_most_what_is_held(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        held = steps.hold(db, organization_id, "6")
        with pytest.raises(Unprocessable) as refused:
            steps.capture(db, held, "6.00000001")
        assert refused.value.code == "capture_exceeds_hold"
        steps.capture(db, held, "6")


def test_replays_of_a_hold_answer_as_they_did_first(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        held = steps.hold(db, organization_id, "6", "h")
        captured = steps.capture(db, held, "2", "c")
        assert steps.hold(db, organization_id, "6", "h") == held
        assert steps.capture(db, held, "2", "c") == captured
        other = steps.hold(db, organization_id, "1")
        released = steps.release(db, other, "r")
        assert steps.release(db, other, "r") == released


def test_another_organizations_hold_is_not_found(database: Database) -> None:
    with database.connect() as db:
        held = steps.hold(db, steps.new_organization(db, "10"), "6")
        stranger = steps.new_organization(db, "10")
        with pytest.raises(NotFound) as refused:
            steps.release(db, held.model_copy(update={"organization_id": stranger}))
    assert refused.value.code == "hold_not_found"
