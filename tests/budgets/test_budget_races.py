"""What calls that arrive at once, or while a window ends, must not do to a budget."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any

import psycopg

from synaxis_billing.budgets import budgets
from synaxis_billing.budgets.budgets import BudgetExceeded
from synaxis_billing.ledger.charges import Charged
from synaxis_billing.ledger.holds import Hold
from synaxis_billing.ledger.transactions import Transaction
from tests.conftest import Database
from tests.ledger.test_races import THREADS
from tests.support import steps
from tests.support.clock import move_clock, set_clock_to_noon
from tests.support.racing import at_once, of_type

DAY = timedelta(days=1)


def test_the_last_cent_of_a_budget_is_spent_once(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        budget = steps.budget(db, organization_id, "1", virtual_key="k")
        steps.charge(db, organization_id, "0.99", virtual_key_id="k")
        actions = [
            lambda db: steps.charge(db, organization_id, "0.01", virtual_key_id="k"),
            lambda db: steps.hold(db, organization_id, "0.01", virtual_key_id="k"),
            lambda db: steps.charge_batch(
                db, steps.item(organization_id, "0.01", virtual_key_id="k")
            )[0],
        ]
        results = at_once(database, *(actions * (THREADS // 3)))
        assert (
            len(of_type(Transaction, results) + of_type(Hold, results))
            + len(of_type(Charged, results))
            == 1
        )
        now = steps.budget_now(db, budget)
        assert now.spent_usd + now.held_usd == 1
        assert now.remaining_usd == 0
    assert database.audit().whole


def test_no_order_of_calls_takes_a_budget_over_its_limit(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "1000")
        budget = steps.budget(db, organization_id, "5", team="t")
        whole = steps.budget(db, organization_id, "7", mode="hard")

    def spend(db: psycopg.Connection, number: int) -> list[Any]:
        done: list[Any] = []
        for turn in range(6):
            usage = {"team_id": "t" if (number + turn) % 2 else "other"}
            try:
                held = steps.hold(db, organization_id, "0.4", **usage)
                if turn % 3:
                    done.append(steps.capture(db, held, "0.3"))
                else:
                    steps.release(db, held)
                charged = steps.charge(db, organization_id, "0.1", **usage)
                done.append(charged)
                if turn % 3 == 2:
                    steps.refund(db, charged, "0.05")
            except BudgetExceeded:
                continue
        return done

    with database.connect() as db:
        at_once(
            database,
            *(lambda db, number=number: spend(db, number) for number in range(THREADS)),
        )
        for made, limit in ((budget, 5), (whole, 7)):
            now = steps.budget_now(db, made)
            assert 0 <= now.spent_usd <= limit
            assert now.held_usd == 0
    assert database.audit().whole


def test_a_window_that_ends_between_calls_is_neither_lost_nor_counted_twice(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock_to_noon(admin)
        organization_id = steps.new_organization(db, "1000")
        budget = steps.budget(db, organization_id, "3", "day")
        move_clock(admin, DAY / 2 - timedelta(seconds=3600))
        start = Barrier(7)

        def spend(_: int) -> list[Any]:
            done: list[Any] = []
            with database.connect() as db:
                for _turn in range(8):
                    start.wait(60)
                    try:
                        held = steps.hold(db, organization_id, "0.2")
                        done.append(steps.capture(db, held, "0.2"))
                        done.append(steps.charge(db, organization_id, "0.3"))
                    except BudgetExceeded:
                        continue
            return done

        with ThreadPoolExecutor(6) as pool:
            calls = [pool.submit(spend, number) for number in range(6)]
            # Eight times, while they spend: seven go over an end of the day.
            for _ in range(8):
                start.wait(60)
                move_clock(admin, DAY)
            done = list(itertools.chain(*(call.result() for call in calls)))
        by_day: dict[Any, Decimal] = {}
        for charged in done:
            day = charged.created_at.date()
            by_day[day] = by_day.get(day, Decimal(0)) - charged.amount_usd
        assert len(by_day) > 1
        # A capture may be in a later window than its hold, and is never refused.
        assert all(spent <= 3 + 6 * Decimal("0.2") for spent in by_day.values())
        now = steps.budget_now(db, budget)
        today = max(by_day)
        assert now.window_start
        assert now.spent_usd == (by_day[today] if today == now.window_start.date() else 0)
        assert now.held_usd == 0
    assert database.audit().whole


def test_a_limit_that_is_lowered_among_charges_is_kept_by_those_that_follow(
    database: Database,
) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "1000")
        budget = steps.budget(db, organization_id, "100")
        at_once(
            database,
            *[lambda db: steps.charge(db, organization_id, "1")] * 8,
            lambda db: steps.change_budget(db, budget, limit_usd="2"),
            *[lambda db: steps.charge(db, organization_id, "1")] * 4,
        )
        now = steps.budget_now(db, budget)
        assert now.limit_usd == 2
        assert 2 <= now.spent_usd <= 12
        results = at_once(database, *[lambda db: steps.charge(db, organization_id, "1")] * 4)
        assert len(of_type(BudgetExceeded, results)) == 4
    assert database.audit().whole


def test_a_budget_that_is_made_and_deleted_among_charges_counts_all_or_is_gone(
    database: Database,
) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "1000")

        def turn_over(db: psycopg.Connection) -> None:
            for _ in range(5):
                made = steps.budget(db, organization_id, "500", model="m")
                budgets.delete_budget(db, steps.PLATFORM, organization_id, made.id)
            steps.budget(db, organization_id, "500", model="m")

        def spend(db: psycopg.Connection) -> None:
            for _ in range(5):
                held = steps.hold(db, organization_id, "1", model="m")
                steps.charge(db, organization_id, "1", model="m")
                steps.capture(db, held, "1")

        results = at_once(database, turn_over, *[spend] * 5)
        assert results == [None] * 6
        page = budgets.list_budgets(db, steps.PLATFORM, organization_id, 10, None)
        assert [int(of.spent_usd) for of in page.items] == [50]
        assert [int(of.held_usd) for of in page.items] == [0]
    assert database.audit().whole


def test_two_alerts_of_one_percentage_are_one(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "1000")
        steps.budget(db, organization_id, "10", alert_percents=[50])
        at_once(database, *[lambda db: steps.charge(db, organization_id, "1")] * THREADS)
        found = admin.execute("SELECT type, count(*) FROM billing.webhook_events GROUP BY 1")
        assert sorted(found.fetchall()) == [("budget.alert", 1), ("budget.exceeded", 1)]
    assert database.audit().whole
