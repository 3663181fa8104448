"""Credit limits, suspension, free calls, changed holds, and calls that cost more than was held."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from synaxis_billing.errors import Conflict, NotFound
from synaxis_billing.ledger import holds
from synaxis_billing.ledger.charges import Charged, Refused
from synaxis_billing.ledger.transactions import InsufficientCredits, OrganizationSuspended
from synaxis_billing.organizations import profile
from synaxis_billing.organizations.balance import Balance, get_balance
from tests.conftest import Database
from tests.support import steps
from tests.support.clock import move_clock


def set_profile(db: psycopg.Connection, organization_id: UUID, **fields: Any) -> None:
    change = profile.OrganizationChange.model_validate(fields)
    profile.update_organization(db, steps.PLATFORM, organization_id, change)


def change_hold(db: psycopg.Connection, held: holds.Hold, **fields: Any) -> holds.Hold:
    change = holds.HoldChange.model_validate(fields)
    return holds.change(db, steps.PLATFORM, held.organization_id, held.id, change)


def balance(db: psycopg.Connection, organization_id: UUID) -> Balance:
    return get_balance(lambda: db, steps.NO_CACHE, steps.PLATFORM, organization_id)


def test_charges_take_the_balance_below_zero_as_far_as_the_limit(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "5", credit_limit_usd="10")
        assert steps.charge(db, organization_id, "12").balance_after_usd == -7
        steps.hold(db, organization_id, "2")
        found = balance(db, organization_id)
        assert [found.available_usd, found.debt_usd, found.credit_limit_usd] == [1, 7, 10]
        for refused in (
            lambda: steps.charge(db, organization_id, "1.00000001"),
            lambda: steps.hold(db, organization_id, "1.00000001"),
            lambda: steps.adjust(db, organization_id, "-1.00000001"),
        ):
            with pytest.raises(InsufficientCredits):
                refused()
        [item] = steps.charge_batch(db, steps.item(organization_id, "2"))
        assert isinstance(item, Refused)
        assert item.error["available_usd"] == "1.00"
        assert steps.charge(db, organization_id, "1").balance_after_usd == -8
    assert database.audit().whole


def test_an_organization_without_credit_has_nothing_held_or_frozen(database: Database) -> None:
    with database.connect() as db:
        found = balance(db, steps.new_organization(db))
        amounts = [found.balance_usd, found.held_usd, found.frozen_usd, found.available_usd]
        assert amounts == [0, 0, 0, 0]


def test_a_lower_limit_takes_nothing_back_and_lends_nothing_more(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, credit_limit_usd="10")
        steps.charge(db, organization_id, "9")
        set_profile(db, organization_id, credit_limit_usd="2")
        assert database.audit().whole
        with pytest.raises(InsufficientCredits):
            steps.charge(db, organization_id, "0.01")
        assert steps.charge(db, organization_id, "0").balance_after_usd == -9
        steps.top_up(db, organization_id, "8")
        assert steps.charge(db, organization_id, "1").balance_after_usd == -2
        with pytest.raises(InsufficientCredits):
            steps.charge(db, organization_id, "0.01")
    assert database.audit().whole


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_who_is_suspended_pays_for_what_was_begun_and_begins_nothing(
    database: Database, status: str
) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        steps.charge(db, organization_id, "1", "before")
        captured, released = (steps.hold(db, organization_id, "5") for _ in range(2))
        set_profile(db, organization_id, status=status)
        for refused in (
            lambda: steps.charge(db, organization_id, "1"),
            lambda: steps.charge(db, organization_id, "0"),
            lambda: steps.hold(db, organization_id, "1"),
            lambda: change_hold(db, captured, amount_usd="6"),
        ):
            with pytest.raises(OrganizationSuspended):
                refused()
        [item] = steps.charge_batch(db, steps.item(organization_id, "1"))
        assert isinstance(item, Refused)
        assert (item.status, item.error["code"]) == (402, "organization_suspended")
        # A retry gets its first answer.
        assert steps.charge(db, organization_id, "1", "before").balance_after_usd == 99
        assert steps.capture(db, captured, "5").balance_after_usd == 94
        assert steps.release(db, released).status == "released"
        set_profile(db, organization_id, status="active")
        assert steps.charge(db, organization_id, "1").balance_after_usd == 93
    assert database.audit().whole


def test_a_free_call_is_counted(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db)
        assert steps.charge(db, organization_id, "0", tokens=7).amount_usd == 0
        [item] = steps.charge_batch(db, steps.item(organization_id, "0"))
        assert isinstance(item, Charged)
        assert steps.log_spend(db, organization_id, "0").amount_usd == 0
        steps.top_up(db, organization_id, "1")
        held = steps.hold(db, organization_id, "1")
        assert steps.capture(db, held, "0").balance_after_usd == 1
        assert balance(db, organization_id).available_usd == 1
    assert database.audit().whole


def test_a_cost_above_the_hold_is_charged_whole_when_asked_to(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        refused = steps.hold(db, organization_id, "2")
        with pytest.raises(holds.CaptureExceedsHold):
            steps.capture(db, refused, "3")
        # From the hold, then from what is available, then as debt.
        first = steps.hold(db, organization_id, "2")
        assert steps.capture(db, first, "7", overrun="charge").balance_after_usd == 3
        assert balance(db, organization_id).available_usd == 1
        second = steps.hold(db, organization_id, "1")
        assert steps.capture(db, second, "20", overrun="charge").balance_after_usd == -17
        found = balance(db, organization_id)
        assert [found.debt_usd, found.available_usd, found.held_usd] == [17, -19, 2]
        assert database.audit().whole
        with pytest.raises(InsufficientCredits):
            steps.charge(db, organization_id, "1")
        # What is held was promised, and is taken.
        assert steps.capture(db, refused, "2", overrun="charge").balance_after_usd == -19
        steps.top_up(db, organization_id, "20")
        assert steps.charge(db, organization_id, "1").balance_after_usd == 0
    assert database.audit().whole


def test_a_hold_is_changed_while_it_is_open(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "10")
        held = steps.hold(db, organization_id, "4", "key", expires_in_seconds=60)
        assert change_hold(db, held, amount_usd="9").amount_usd == 9
        with pytest.raises(InsufficientCredits):
            change_hold(db, held, amount_usd="10.00000001")
        assert balance(db, organization_id).available_usd == 1
        assert change_hold(db, held, amount_usd="1").amount_usd == 1
        longer = change_hold(db, held, expires_in_seconds=3600)
        assert (longer.amount_usd, longer.expires_at > held.expires_at) == (Decimal(1), True)
        assert balance(db, organization_id).available_usd == 9
        # The key's first answer stays.
        assert steps.hold(db, organization_id, "4", "key", expires_in_seconds=60) == held
        move_clock(admin, longer.expires_at - held.created_at)
        with pytest.raises(Conflict, match="expired"):
            change_hold(db, held, amount_usd="2")
        other = steps.hold(db, organization_id, "1")
        steps.release(db, other)
        with pytest.raises(Conflict, match="released"):
            change_hold(db, other, expires_in_seconds=60)
        with pytest.raises(NotFound):
            change_hold(db, other.model_copy(update={"id": UUID(int=7)}), amount_usd="1")
        assert balance(db, organization_id).available_usd == 10
    assert database.audit().whole


def test_a_clock_that_was_ahead_leaves_refunds_and_holds_as_promised(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "100")
        move_clock(admin, timedelta(days=2))
        ahead = steps.charge(db, organization_id, "1")
        move_clock(admin, -timedelta(days=2))
        charged = steps.charge(db, organization_id, "2")
        assert charged.created_at > ahead.created_at
        for one in (ahead, charged):
            assert steps.refund(db, one).amount_usd == -one.amount_usd
        held = steps.hold(db, organization_id, "100", expires_in_seconds=60)
        move_clock(admin, timedelta(seconds=61))
        assert steps.charge(db, organization_id, "100").balance_after_usd == 0
        assert holds.get_hold(db, steps.PLATFORM, organization_id, held.id).status == "expired"
    broken = {line.partition(":")[0] for line in database.audit().organizations[0].broken}
    assert broken == {"no transaction lies in the future"}
