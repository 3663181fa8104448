"""Budgets do not have the bugs that those of other gateways had, each by its story."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from synaxis_billing.budgets.budgets import Budget, BudgetExceeded
from synaxis_billing.errors import Conflict
from synaxis_billing.ledger import charges
from synaxis_billing.ledger.charges import Charged, Refused
from synaxis_billing.ledger.transactions import InsufficientCredits, Transaction
from synaxis_billing.prices.unpriced import charge_unpriced
from tests.conftest import Database
from tests.prices.test_book import add, rate
from tests.support import steps
from tests.support.clock import move_clock, set_clock_to, set_clock_to_noon
from tests.support.racing import at_once, of_type

DAY = timedelta(days=1)


def counted(db: psycopg.Connection, budget: Budget) -> tuple[Decimal, Decimal]:
    """What a budget shows as spent and as held."""
    now = steps.budget_now(db, budget)
    return now.spent_usd, now.held_usd


def usd(spent: str, held: str = "0") -> tuple[Decimal, Decimal]:
    return Decimal(spent), Decimal(held)


def test_many_containers_that_begin_cold_count_real_spend_once(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        steps.charge(db, organization_id, "3", virtual_key_id="k")
        budget = steps.budget(db, organization_id, "1000", virtual_key="k")
        at_once(
            database,
            *[lambda db: steps.charge(db, organization_id, "1", virtual_key_id="k")] * 10,
        )
        assert counted(db, budget) == usd("13")
    assert database.audit().whole


def test_the_first_requests_of_an_unknown_user_are_within_the_budget(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        budget = steps.budget(db, organization_id, "5", end_user="nobody saw her yet")
        results = at_once(
            database,
            *[lambda db: steps.charge(db, organization_id, "1", end_user="nobody saw her yet")] * 9,
        )
        assert len(of_type(Transaction, results)) == 5
        assert len(of_type(BudgetExceeded, results)) == 4
        assert counted(db, budget) == usd("5")
    assert database.audit().whole


def test_a_charge_that_fails_or_comes_again_counts_what_was_charged(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        budget = steps.budget(db, organization_id, "100")
        first = steps.charge(db, organization_id, "4", "k", request_id="r")
        assert steps.charge(db, organization_id, "4", "k", request_id="r") == first
        with pytest.raises(Conflict):
            steps.charge(db, organization_id, "4", request_id="r")
        with pytest.raises(InsufficientCredits):
            steps.charge(db, organization_id, "7")
        assert counted(db, budget) == usd("4")
    assert database.audit().whole


def test_a_window_that_ends_under_an_open_hold_neither_goes_negative_nor_blocks(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock_to_noon(admin)
        organization_id = steps.new_organization(db, "100")
        budget = steps.budget(db, organization_id, "10", "day")
        released, captured, expired = (
            steps.hold(db, organization_id, "3", expires_in_seconds=86_400) for _ in range(3)
        )
        assert counted(db, budget) == usd("0", "9")
        move_clock(admin, DAY - timedelta(seconds=10))
        assert counted(db, budget) == usd("0", "9")
        steps.release(db, released)
        steps.capture(db, captured, "2")
        assert counted(db, budget) == usd("2", "3")
        move_clock(admin, timedelta(seconds=20))
        assert counted(db, budget)[1] == 0
        # All of it is free, although no statement has marked the last hold as expired.
        steps.charge(db, organization_id, "8")
        with pytest.raises(Conflict):
            steps.release(db, captured)
        steps.release(db, expired)
        assert counted(db, budget)[1] == 0
    assert database.audit().whole


def test_each_budget_ends_with_its_own_window(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        # A Monday, two days before a month's end.
        set_clock_to(admin, datetime(2027, 3, 29, 12, tzinfo=UTC))
        organization_id = steps.new_organization(db, "100")
        made = {
            window: steps.budget(db, organization_id, "50", window, team="t")
            for window in ("day", "week", "month", "lifetime")
        }
        spent = []
        for days in (1, 2, 4):
            steps.charge(db, organization_id, "1", team_id="t")
            move_clock(admin, days * DAY)
            spent.append([int(counted(db, budget)[0]) for budget in made.values()])
        assert spent == [[0, 1, 1, 1], [0, 2, 0, 2], [0, 0, 1, 3]]
    assert database.audit().whole


def test_room_that_is_there_again_is_used_at_once(database: Database) -> None:
    with database.connect() as db, database.connect() as other, database.admin() as admin:
        set_clock_to_noon(admin)
        organization_id = steps.new_organization(db, "100")
        budget = steps.budget(db, organization_id, "10", "day", virtual_key="k")

        def refused(amount: str) -> BudgetExceeded:
            with pytest.raises(BudgetExceeded) as refusal:
                steps.charge(other, organization_id, amount, virtual_key_id="k")
            return refusal.value

        charged = steps.charge(db, organization_id, "10", virtual_key_id="k")
        assert refused("1").facts["spent_usd"] == "10.00"
        steps.refund(db, charged, "4")
        steps.charge(other, organization_id, "4", virtual_key_id="k")
        refused("0.00000001")
        steps.change_budget(db, budget, limit_usd="11")
        steps.charge(other, organization_id, "1", virtual_key_id="k")
        held = steps.hold(db, organization_id, "5", virtual_key_id="other")
        refused("0.00000001")
        move_clock(admin, DAY)
        steps.charge(other, organization_id, "11", virtual_key_id="k")
        assert held.status == "held"
    assert database.audit().whole


def test_a_model_without_a_price_is_counted_when_it_has_one(database: Database) -> None:
    million = {"format": "openai", "prompt_tokens": 10**6, "completion_tokens": 0}
    call = {"provider": "openai", "model": "new", "usage": million, "description": "chat"}
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        budget = steps.budget(db, organization_id, "10", model="new")
        for key in ("a", "b", "c"):
            request = charges.ChargeRequest.model_validate(call)
            charges.charge(db, steps.PLATFORM, organization_id, key, request)
        assert counted(db, budget) == usd("0")
        add(db, rate("input", "4"), model="new")
        charge_unpriced(db, steps.PLATFORM)
        # The calls were made: all three are charged, and the next one is refused.
        assert counted(db, budget) == usd("12")
        with pytest.raises(BudgetExceeded):
            steps.charge(db, organization_id, "0.01", model="new")
        with pytest.raises(BudgetExceeded):
            steps.hold(db, organization_id, "0.01", model="new")
    assert database.audit().whole


def _by_charge(db: psycopg.Connection, organization_id: Any, amount: str) -> None:
    steps.charge(db, organization_id, amount, virtual_key_id="k")


def _by_batch(db: psycopg.Connection, organization_id: Any, amount: str) -> None:
    [result] = steps.charge_batch(db, steps.item(organization_id, amount, virtual_key_id="k"))
    if isinstance(result, Refused):
        assert result.status == 402
        assert result.error["code"] == "budget_exceeded"
        raise BudgetExceeded(result.error["detail"])
    assert isinstance(result, Charged)


def _by_hold(db: psycopg.Connection, organization_id: Any, amount: str) -> None:
    held = steps.hold(db, organization_id, amount, virtual_key_id="k")
    steps.capture(db, held, amount)


def _by_larger_hold(db: psycopg.Connection, organization_id: Any, amount: str) -> None:
    held = steps.hold(db, organization_id, "0.5", virtual_key_id="k")
    try:
        larger = steps.change_hold(db, held, amount_usd=amount)
    except BudgetExceeded:
        steps.release(db, held)
        raise
    steps.capture(db, larger, amount)


@pytest.mark.parametrize("spend", [_by_charge, _by_batch, _by_hold, _by_larger_hold])
def test_no_way_of_spending_goes_past_a_budget(
    database: Database, spend: Callable[[psycopg.Connection, Any, str], None]
) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        budget = steps.budget(db, organization_id, "5", "lifetime", virtual_key="k")
        spend(db, organization_id, "4")
        with pytest.raises(BudgetExceeded):
            spend(db, organization_id, "1.00000001")
        spend(db, organization_id, "1")
        assert counted(db, budget) == usd("5")
    assert database.audit().whole


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Kiritimati"])
def test_a_window_ends_in_the_time_zone_of_the_organization(database: Database, zone: str) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "100", timezone=zone)
        budget = steps.budget(db, organization_id, "10", "day")
        assert budget.resets_at
        row = admin.execute(
            "SELECT (date_trunc('day', billing.now() AT TIME ZONE %(zone)s) + interval '1 day')"
            " AT TIME ZONE %(zone)s",
            {"zone": zone},
        ).fetchone()
        assert row == (budget.resets_at,)
        set_clock_to(admin, budget.resets_at - timedelta(seconds=5))
        steps.charge(db, organization_id, "10")
        with pytest.raises(BudgetExceeded) as refusal:
            steps.charge(db, organization_id, "1")
        assert datetime.fromisoformat(refusal.value.facts["resets_at"]) == budget.resets_at
        set_clock_to(admin, budget.resets_at)
        assert counted(db, budget) == usd("0")
        steps.charge(db, organization_id, "10")
    assert database.audit().whole


def test_a_key_over_its_budget_is_not_served(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        budget = steps.budget(db, organization_id, "10", virtual_key="k")
        held = steps.hold(db, organization_id, "9", virtual_key_id="k")
        steps.capture(db, held, "12", overrun="charge")
        assert steps.budget_now(db, budget).remaining_usd == -2
        for amount in ("0.00000001", "5"):
            with pytest.raises(BudgetExceeded):
                steps.charge(db, organization_id, amount, virtual_key_id="k")
            with pytest.raises(BudgetExceeded):
                steps.hold(db, organization_id, amount, virtual_key_id="k")
        steps.change_budget(db, budget, limit_usd="13")
        steps.charge(db, organization_id, "1", virtual_key_id="k")
        steps.change_budget(db, budget, limit_usd="2")
        with pytest.raises(BudgetExceeded) as refusal:
            steps.charge(db, organization_id, "0.5", virtual_key_id="k")
        assert refusal.value.facts == {
            "budget_id": str(budget.id),
            "subject": "virtual_key",
            "subject_id": "k",
            "limit_usd": "2.00",
            "spent_usd": "13.00",
            "held_usd": "0.00",
            "required_usd": "0.50",
            "resets_at": None,
        }
        # A call that costs nothing needs no budget, and another key has its own.
        steps.charge(db, organization_id, "0", virtual_key_id="k")
        steps.charge(db, organization_id, "1", virtual_key_id="other")
    assert database.audit().whole
