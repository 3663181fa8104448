"""Budgets count exactly what their subjects spend, in the windows that a calendar says."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from pydantic import ValidationError

from synaxis_billing.budgets import budgets
from synaxis_billing.budgets.budgets import Budget, BudgetExceeded, BudgetExists, NewBudget
from synaxis_billing.errors import Conflict, NotFound
from synaxis_billing.ledger.charges import Charged, Refused
from synaxis_billing.ledger.transactions import InsufficientCredits
from synaxis_billing.organizations import personal_data, profile
from tests.conftest import GUARDED, Database
from tests.support import steps
from tests.support.clock import move_clock, set_clock_to, set_clock_to_noon

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def counted(db: psycopg.Connection, budget: Budget) -> tuple[Any, Any, Any]:
    """What a budget has spent, holds, and has left."""
    now = steps.budget_now(db, budget)
    return now.spent_usd, now.held_usd, now.remaining_usd


def events(admin: psycopg.Connection, organization_id: UUID) -> list[tuple[str, Any]]:
    """The events of an organization's budgets, oldest first: the type, and the percentage."""
    return admin.execute(
        "SELECT type, (data ->> 'percent')::int FROM billing.webhook_events"
        " WHERE organization_id = %s AND type LIKE 'budget.%%' ORDER BY created_at",
        [organization_id],
    ).fetchall()


def test_each_subject_counts_its_own_calls(database: Database) -> None:
    names = {
        "team": "team_id",
        "virtual_key": "virtual_key_id",
        "end_user": "end_user",
        "model": "model",
        "provider": "provider",
    }
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        # One name for all of them, with a space in it.
        made = {kind: steps.budget(db, organization_id, "50", **{kind: "a b"}) for kind in names}
        whole = steps.budget(db, organization_id, "50")
        for number, field in enumerate(names.values(), 1):
            steps.charge(db, organization_id, str(number), **{field: "a b"})
            steps.charge(db, organization_id, "0.1", **{field: "a"})
        steps.charge(db, organization_id, "10", **dict.fromkeys(names.values(), "a b"))
        assert [counted(db, budget)[0] for budget in made.values()] == [11, 12, 13, 14, 15]
        assert counted(db, whole) == (Decimal("25.5"), 0, Decimal("24.5"))
        now = steps.budget_now(db, made["team"])
        assert (now.subject, now.subject_id) == ("team", "a b")
        assert (whole.subject, whole.subject_id) == ("organization", None)
    assert database.audit().whole


def test_a_charge_that_one_of_its_budgets_refuses_leaves_everything_as_it_was(
    database: Database,
) -> None:
    def stored() -> list[Any]:
        return admin.execute(
            "SELECT o.balance_usd, o.drawn_usd, o.version, o.floor_usd, o.head_hash, b.subject,"
            " b.spent_usd FROM billing.organizations AS o"
            " JOIN billing.budgets AS b ON b.organization_id = o.id ORDER BY b.subject"
        ).fetchall()

    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "10", credit_limit_usd="20")
        steps.adjust(db, organization_id, "-15")
        steps.budget(db, organization_id, "9")
        steps.budget(db, organization_id, "1", model="m")
        steps.budget(db, organization_id, "9", team="t")
        before = stored()
        with pytest.raises(BudgetExceeded):
            steps.charge(db, organization_id, "2", model="m", team_id="t")
        assert stored() == before
        steps.charge(db, organization_id, "1", model="m", team_id="t")
    assert database.audit().whole


def test_spend_that_is_not_charged_does_not_count(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        budget = steps.budget(db, organization_id, "1", model="gpt-4o")
        steps.log_spend(db, organization_id, "5", model="gpt-4o")
        steps.adjust(db, organization_id, "-5")
        assert counted(db, budget) == (0, 0, 1)
    assert database.audit().whole


def test_a_new_budget_counts_what_its_window_contains_already(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock_to(admin, datetime(2027, 5, 12, 12, tzinfo=UTC))
        organization_id = steps.new_organization(db, "100")
        usage = {"team_id": "t", "virtual_key_id": "k", "end_user": "u", "model": "m"}
        for days in (10, 1, 0):
            steps.charge(db, organization_id, "4", **usage)
            refunded = steps.charge(db, organization_id, "4", **usage)
            steps.refund(db, refunded, "3")
            steps.charge(db, organization_id, "1", team_id="other")
            steps.log_spend(db, organization_id, "9", **usage)
            move_clock(admin, days * DAY)
        # A Sunday: all calls are of this month, those of the last two days of this week.
        subjects: list[dict[str, str]] = [{"team": "t"}, {"end_user": "u"}, {"model": "m"}]
        for subject in subjects:
            spent = [
                steps.budget(db, organization_id, "5", window, **subject).spent_usd
                for window in ("day", "week", "month", "lifetime")
            ]
            assert spent == [5, 10, 15, 15]
        held = steps.hold(db, organization_id, "2", team_id="new", expires_in_seconds=60)
        steps.hold(db, organization_id, "1", team_id="new", expires_in_seconds=3600)
        budget = steps.budget(db, organization_id, "9", team="new")
        assert counted(db, budget) == (0, 3, 6)
        move_clock(admin, timedelta(seconds=60))
        assert counted(db, budget) == (0, 1, 8)
        steps.capture(db, held, "2")
        assert counted(db, budget) == (2, 1, 6)
    assert database.audit().whole


def test_a_budget_of_the_same_kind_exists_once(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        hard = steps.budget(db, organization_id, "5", team="t")
        with pytest.raises(BudgetExists):
            steps.budget(db, organization_id, "6", team="t")
        soft = steps.budget(db, organization_id, "6", team="t", mode="soft")
        with pytest.raises(BudgetExists):
            steps.change_budget(db, soft, mode="hard")
        budgets.delete_budget(db, steps.PLATFORM, organization_id, hard.id)
        assert steps.change_budget(db, soft, mode="hard").mode == "hard"
        with pytest.raises(BudgetExceeded):
            steps.charge(db, organization_id, "6.1", team_id="t")


def test_without_budgets_nothing_is_refused_again(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        made = [steps.budget(db, organization_id, "5", team=name) for name in "ab"]
        held = steps.hold(db, organization_id, "1", team_id="a")
        for budget in made:
            gone = budgets.delete_budget(db, steps.PLATFORM, organization_id, budget.id)
            assert gone.id == budget.id
            with pytest.raises(budgets.BudgetNotFound):
                steps.budget_now(db, budget)
        steps.charge(db, organization_id, "9", team_id="a")
        steps.capture(db, held, "1")
    assert database.audit().whole


def test_a_hold_counts_until_it_ends_and_its_capture_when_it_is_captured(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock_to_noon(admin)
        organization_id = steps.new_organization(db, "100")
        budget = steps.budget(db, organization_id, "10", "day", model="m")
        held = steps.hold(db, organization_id, "6", model="m")
        assert counted(db, budget) == (0, 6, 4)
        with pytest.raises(BudgetExceeded):
            steps.charge(db, organization_id, "5", model="m")
        with pytest.raises(BudgetExceeded):
            steps.change_hold(db, held, amount_usd="10.1")
        held = steps.change_hold(db, held, amount_usd="9")
        assert counted(db, budget) == (0, 9, 1)
        held = steps.change_hold(db, held, amount_usd="7")
        steps.charge(db, organization_id, "3", model="m")
        # The capture is within its hold, although nothing is left.
        steps.capture(db, held, "7")
        assert counted(db, budget) == (10, 0, 0)
        with pytest.raises(BudgetExceeded):
            steps.hold(db, organization_id, "0.01", model="m")
        steps.charge(db, organization_id, "0", model="m")
        move_clock(admin, DAY)
        expired = steps.hold(db, organization_id, "8", model="m", expires_in_seconds=60)
        move_clock(admin, timedelta(seconds=60))
        assert counted(db, budget) == (0, 0, 10)
        steps.charge(db, organization_id, "10", model="m")
        # The call was made: an overrun of the budget is visible.
        steps.capture(db, expired, "8")
        assert counted(db, budget) == (18, 0, -8)
    assert database.audit().whole


def test_a_refund_makes_room_while_the_window_of_its_charge_is_open(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock_to_noon(admin)
        organization_id = steps.new_organization(db, "100")
        day = steps.budget(db, organization_id, "10", "day")
        lifetime = steps.budget(db, organization_id, "20")
        charged = steps.charge(db, organization_id, "10")
        steps.refund(db, charged, "4")
        assert counted(db, day) == (6, 0, 4)
        move_clock(admin, DAY)
        steps.charge(db, organization_id, "3")
        steps.refund(db, charged, "2")
        assert counted(db, day) == (3, 0, 7)
        assert counted(db, lifetime) == (7, 0, 13)
    assert database.audit().whole


def test_a_batch_refuses_the_items_of_an_exhausted_key_alone(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        first = steps.budget(db, organization_id, "5", virtual_key="a")
        other = steps.budget(db, organization_id, "5", virtual_key="b")
        results = steps.charge_batch(
            db,
            *(
                steps.item(organization_id, amount, virtual_key_id=key)
                for key, amount in (
                    ("a", "2"),
                    ("a", "2"),
                    ("a", "2"),
                    ("b", "4"),
                    ("a", "1"),
                    ("c", "9"),
                )
            ),
        )
        assert [result.status for result in results] == [201, 201, 402, 201, 201, 201]
        refused = results[2]
        assert isinstance(refused, Refused)
        assert refused.error["budget_id"] == str(first.id)
        assert isinstance(results[3], Charged)
        assert counted(db, first) == (5, 0, 0)
        assert counted(db, other) == (4, 0, 1)
    assert database.audit().whole


def test_a_soft_budget_alerts_and_refuses_nothing(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock_to_noon(admin)
        organization_id = steps.new_organization(db, "1000")
        budget = steps.budget(
            db, organization_id, "10", "day", mode="soft", alert_percents=[150, 50, 100, 50]
        )
        assert budget.alert_percents == [50, 100, 150]
        told: list[list[Any]] = []
        for amount in ("4.99999999", "0.00000001", "1", "9", "90"):
            before = len(events(admin, organization_id))
            steps.charge(db, organization_id, amount)
            told.append([percent for _, percent in events(admin, organization_id)[before:]])
        assert told == [[], [50], [], [100, 150], []]
        assert counted(db, budget) == (105, 0, -95)
        move_clock(admin, DAY)
        held = steps.hold(db, organization_id, "20")
        assert len(events(admin, organization_id)) == 3
        steps.capture(db, held, "10")
        assert events(admin, organization_id)[3:] == [("budget.alert", 50), ("budget.alert", 100)]
    assert database.audit().whole


def test_a_percentage_is_told_once_in_a_window_whatever_becomes_of_the_limit(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "1000")
        charged = steps.charge(db, organization_id, "9")
        budget = steps.budget(db, organization_id, "10", alert_percents=[80, 90])
        # The next charge tells of what was spent before the budget was.
        steps.charge(db, organization_id, "0")
        assert [percent for _, percent in events(admin, organization_id)] == [80, 90]
        steps.refund(db, charged, "5")
        steps.charge(db, organization_id, "5")
        steps.change_budget(db, budget, limit_usd="100", alert_percents=[10, 50])
        steps.charge(db, organization_id, "60")
        assert len(events(admin, organization_id)) == 2
        steps.change_budget(db, budget, alert_percents=[95])
        steps.charge(db, organization_id, "30")
        assert [percent for _, percent in events(admin, organization_id)] == [80, 90, 95]
    assert database.audit().whole


def test_a_budget_that_was_changed_tells_every_percentage_that_it_has_not_told(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "100")
        budget = steps.budget(db, organization_id, "10", alert_percents=[50, 80])
        steps.change_budget(db, budget, limit_usd="20")
        steps.charge(db, organization_id, "10")
        steps.change_budget(db, budget, limit_usd="30")
        steps.charge(db, organization_id, "14")
        assert events(admin, organization_id) == [("budget.alert", 50), ("budget.alert", 80)]


@pytest.mark.parametrize(
    "budget", [{"limit_usd": "10"}, {"limit_usd": "6", "window": "rate", "burst_usd": "10"}]
)
def test_an_alert_tells_the_limit_which_of_a_rate_is_its_burst(
    database: Database, budget: dict[str, Any]
) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "100")
        steps.budget(db, organization_id, **budget, alert_percents=[50])
        steps.charge(db, organization_id, "4.9")
        assert events(admin, organization_id) == []
        steps.charge(db, organization_id, "0.2")
        [(data,)] = admin.execute(
            "SELECT data FROM billing.webhook_events WHERE type = 'budget.alert'"
        ).fetchall()
        assert Decimal(data["limit_usd"]) == 10


def test_the_budgets_of_an_unknown_organization_are_not_found(database: Database) -> None:
    with database.connect() as db, pytest.raises(NotFound):
        budgets.list_budgets(db, steps.PLATFORM, uuid4(), 10, None)


def test_the_first_refusal_of_a_window_is_told_and_the_refusal_keeps_it(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock_to_noon(admin)
        organization_id = steps.new_organization(db, "100")
        budget = steps.budget(db, organization_id, "5", "day", end_user="jane", alert_percents=[])
        for _ in range(2):
            with pytest.raises(BudgetExceeded):
                steps.charge(db, organization_id, "6", end_user="jane")
            with pytest.raises(BudgetExceeded):
                steps.hold(db, organization_id, "6", end_user="jane")
            [refused] = steps.charge_batch(db, steps.item(organization_id, "6", end_user="jane"))
            assert refused.status == 402
        assert events(admin, organization_id) == [("budget.exceeded", None)]
        move_clock(admin, DAY)
        with pytest.raises(BudgetExceeded):
            steps.hold(db, organization_id, "6", end_user="jane")
        assert events(admin, organization_id) == [("budget.exceeded", None)] * 2
        [(data,), _] = admin.execute(
            "SELECT data FROM billing.webhook_events WHERE type = 'budget.exceeded'"
        ).fetchall()
        assert (data["budget_id"], data["required_usd"]) == (str(budget.id), "6.00000000")
        # Events are never erased, so that they name no person.
        assert "jane" not in str(data)
    assert database.audit().whole


def test_credit_is_asked_before_a_budget(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "1")
        steps.budget(db, organization_id, "1")
        with pytest.raises(InsufficientCredits):
            steps.charge(db, organization_id, "2")
        assert events(admin, organization_id) == []


def test_a_rate_lets_a_burst_through_and_then_its_hourly_limit(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock_to_noon(admin)
        organization_id = steps.new_organization(db, "1000")
        budget = steps.budget(
            db, organization_id, "6", "rate", burst_usd="10", model="m", alert_percents=[50]
        )
        assert budget.window_start is None
        assert budget.resets_at is None
        assert budget.remaining_usd == 10
        steps.charge(db, organization_id, "8", model="m")
        held = steps.hold(db, organization_id, "1.9", model="m")
        with pytest.raises(BudgetExceeded) as refusal:
            steps.charge(db, organization_id, "1", model="m")
        assert refusal.value.facts["limit_usd"] == "10.00"
        steps.release(db, held)
        # Half an hour forgets 3 of 8, and a little more for the seconds of this test.
        move_clock(admin, HOUR / 2)
        now = steps.budget_now(db, budget)
        assert Decimal("4.8") < now.spent_usd <= 5
        assert now.resets_at
        row = admin.execute("SELECT billing.now()").fetchone()
        assert row
        assert HOUR * 4 / 5 < now.resets_at - row[0] < HOUR * 5 / 6
        steps.charge(db, organization_id, "5", model="m")
        with pytest.raises(BudgetExceeded):
            steps.charge(db, organization_id, "1", model="m")
        assert events(admin, organization_id) == [
            ("budget.alert", 50),
            ("budget.exceeded", None),
        ]
        # Empty again: a window of a rate has ended.
        move_clock(admin, 2 * HOUR)
        assert counted(db, budget) == (0, 0, 10)
        with pytest.raises(BudgetExceeded):
            steps.charge(db, organization_id, "11", model="m")
        steps.charge(db, organization_id, "10", model="m")
        assert events(admin, organization_id)[2:] == [
            ("budget.exceeded", None),
            ("budget.alert", 50),
        ]
    assert database.audit().whole


def test_a_rate_that_takes_longer_than_a_century_to_forget_never_ends(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        budget = steps.budget(db, organization_id, "0.00000001", "rate", burst_usd="10")
        steps.charge(db, organization_id, "1")
        assert steps.budget_now(db, budget).resets_at is None


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(-HOUR.seconds, "1"), (0, "1"), (0.5, "0.99986111"), (1, "0.99972222"), (7200, "0")],
)
def test_the_level_of_a_rate_falls_by_its_limit_each_hour(
    seconds: float, level: str, database: Database
) -> None:
    with database.admin() as admin:
        row = admin.execute(
            "SELECT billing.level_of_rate(1, 1, t, t + make_interval(secs => %s))"
            " FROM billing.now() AS n (t)",
            [seconds],
        ).fetchone()
    assert row
    assert str(row[0].normalize()) == level


def test_a_rate_that_is_never_reached_costs_no_call_anything(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock_to_noon(admin)
        organization_id = steps.new_organization(db, "1000")
        budget = steps.budget(db, organization_id, "1", "rate")
        for _ in range(20):
            steps.charge(db, organization_id, "0.9")
            move_clock(admin, HOUR)
        assert counted(db, budget) == (0, 0, 1)
        assert events(admin, organization_id) == [("budget.alert", 80)] * 20
    assert database.audit().whole


# The clocks of Berlin go forward on 28 March 2027 and back on 31 October; those of Beirut go
# forward at midnight, so that 28 March begins at one o'clock.
@pytest.mark.parametrize(
    ("zone", "day", "hours", "hours_of_week"),
    [
        ("Europe/Berlin", "2027-03-28", 23, 167),
        ("Europe/Berlin", "2027-10-31", 25, 169),
        ("Asia/Beirut", "2027-03-28", 23, 167),
        ("UTC", "2027-03-28", 24, 168),
    ],
)
def test_the_days_on_which_clocks_change_are_windows_too(
    database: Database, zone: str, day: str, hours: int, hours_of_week: int
) -> None:
    with database.connect() as db, database.admin() as admin:
        [(start,)] = admin.execute("SELECT billing.day_start(%s, %s)", [day, zone]).fetchall()
        set_clock_to(admin, start - timedelta(seconds=30))
        organization_id = steps.new_organization(db, "1000", timezone=zone)
        daily = steps.budget(db, organization_id, "10", "day")
        weekly = steps.budget(db, organization_id, "100", "week", alert_percents=[])
        steps.charge(db, organization_id, "10")
        set_clock_to(admin, start)
        steps.charge(db, organization_id, "10")
        now = steps.budget_now(db, daily)
        assert (now.window_start, now.resets_at) == (start, start + hours * HOUR)
        now = steps.budget_now(db, weekly)
        assert now.window_start
        assert now.resets_at
        assert now.resets_at - now.window_start == hours_of_week * HOUR
        assert now.window_start.astimezone(ZoneInfo(zone)).weekday() == 0
        set_clock_to(admin, start + hours * HOUR - timedelta(seconds=30))
        with pytest.raises(BudgetExceeded):
            steps.charge(db, organization_id, "10")
        set_clock_to(admin, start + hours * HOUR)
        steps.charge(db, organization_id, "10")
        assert counted(db, daily) == (10, 0, 0)
    assert database.audit().whole


def test_a_new_time_zone_counts_the_windows_anew(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock_to(admin, datetime(2027, 5, 11, 20, tzinfo=UTC))
        organization_id = steps.new_organization(db, "100")
        made = [
            steps.budget(db, organization_id, "10", "day", **subject)
            for subject in ({}, {"team": "t"}, {"end_user": "u"})
        ]
        lifetime = steps.budget(db, organization_id, "10")
        usage = {"team_id": "t", "end_user": "u"}
        steps.charge(db, organization_id, "3", **usage)
        move_clock(admin, 3 * HOUR)
        steps.charge(db, organization_id, "2", **usage)
        steps.hold(db, organization_id, "1", **usage)
        assert [counted(db, budget) for budget in made] == [(5, 1, 4)] * 3

        def move_to(zone: str) -> list[tuple[Any, Any, Any]]:
            change = profile.OrganizationChange.model_validate({"timezone": zone})
            profile.update_organization(db, steps.PLATFORM, organization_id, change)
            return [counted(db, budget) for budget in made]

        # It is one o'clock in the night of the 12th there, so that the first charge was yesterday.
        assert move_to("Europe/Berlin") == [(2, 1, 7)] * 3
        assert move_to("America/New_York") == [(5, 1, 4)] * 3
        assert move_to("Asia/Tokyo") == [(5, 1, 4)] * 3
        assert counted(db, lifetime) == (5, 1, 4)
        steps.charge(db, organization_id, "4", **usage)
        with pytest.raises(BudgetExceeded):
            steps.charge(db, organization_id, "0.1", **usage)
    assert database.audit().whole


def test_the_budgets_of_a_person_are_exported_and_erased(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "100")
        jane = steps.budget(db, organization_id, "10", end_user="jane")
        john = steps.budget(db, organization_id, "10", end_user="john")
        team = steps.budget(db, organization_id, "10", team="t")
        usage = {"end_user": "john", "team_id": "t"}
        steps.charge(db, organization_id, "1", **usage)
        held = steps.hold(db, organization_id, "2", **usage)

        def exported(whose: str | None = None) -> list[Any]:
            page = personal_data.export_personal_data
            kind, found = "budget.", []
            while kind.startswith("budget."):
                answer = page(db, steps.PLATFORM, organization_id, whose, 10, kind)
                found += [item.data["subject_id"] for item in answer.items]
                kind = answer.next_cursor or ""
            return found

        assert exported() == ["t", "john", "jane"]
        assert exported("jane") == ["jane"]
        steps.erase(db, organization_id, "jane")
        with pytest.raises(budgets.BudgetNotFound):
            steps.budget_now(db, jane)
        # The person of another budget was erased from a charge and a hold that it counts.
        steps.erase(db, organization_id, "gateway")
        assert counted(db, john) == (1, 2, 7)
        assert database.audit().whole
        steps.release(db, held)
        assert counted(db, john) == (1, 0, 9)
        assert counted(db, team) == (1, 0, 9)
        steps.erase(db, organization_id)
        assert exported() == ["t"]
        assert admin.execute(
            "SELECT count(*) FROM billing.budgets WHERE subject LIKE '%john%'"
        ).fetchone() == (0,)
    assert database.audit().whole


def test_a_change_that_does_not_fit_the_window_is_refused(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db)
        day = steps.budget(db, organization_id, "10", "day")
        rate = steps.budget(db, organization_id, "10", "rate")
        with pytest.raises(Conflict, match="burst_usd"):
            steps.change_budget(db, day, burst_usd="5")
        with pytest.raises(Conflict, match="greater than zero"):
            steps.change_budget(db, rate, limit_usd="0")
        assert steps.change_budget(db, day, limit_usd="0").remaining_usd == 0
        assert steps.change_budget(db, rate, burst_usd="5").remaining_usd == 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"subject": "organization", "subject_id": "x"}, "subject_id"),
        ({"subject": "team"}, "subject_id"),
        ({"subject": "organization", "burst_usd": "5"}, "burst_usd"),
        ({"subject": "organization", "window": "rate", "limit_usd": "0"}, "limit_usd"),
        ({"subject": "organization", "alert_percents": [0]}, "alert_percents"),
        ({"subject": "organization", "alert_percents": list(range(1, 12))}, "alert_percents"),
        ({"subject": "user", "subject_id": "x"}, "subject"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(body: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        NewBudget.model_validate({"window": "day", "limit_usd": "5", **body})
    assert refusal.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE billing.budgets SET spent_usd = spent_usd + 0.00000001",
        "UPDATE billing.budgets SET spent_usd = spent_usd - 0.00000001",
        "UPDATE billing.budgets SET held_usd = held_usd + 0.00000001",
        "UPDATE billing.budgets SET limit_usd = 1",
        "UPDATE billing.organizations SET budgeted = false",
    ],
)
def test_the_audit_finds_a_budget_that_is_wrong(database: Database, change: str) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "100")
        for subject in ({"end_user": "u"}, {"team": "t"}):
            steps.budget(db, organization_id, "10", **subject)
        steps.charge(db, organization_id, "2", end_user="u", team_id="t")
        steps.hold(db, organization_id, "3", end_user="u", team_id="t")
        assert database.audit().whole
        admin.execute(change.encode())
    assert not database.audit().whole


def test_the_table_itself_refuses_what_is_over_a_hard_limit(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "100")
        steps.budget(db, organization_id, "10")
        admin.execute("UPDATE billing.budgets SET spent_usd = 10")
        for over in ("spent_usd = 10.00000001", "held_usd = 0.00000001"):
            with admin.transaction(force_rollback=True):
                admin.execute("SET LOCAL ROLE synaxis_ledger")
                admin.execute("SELECT billing.set_tenant(%s)", [str(organization_id)])
                with pytest.raises(GUARDED, match="within_limit"):
                    admin.execute(f"UPDATE billing.budgets SET {over}".encode())
