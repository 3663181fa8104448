"""The history of the balance is what the ledger says at the end of each local day."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from synaxis_billing.caller import Caller, OrganizationNotFound
from synaxis_billing.errors import InvalidRequest
from synaxis_billing.ledger import history
from tests.conftest import Database
from tests.support import clock, steps
from tests.support.running import Client

# In Berlin 2027-10-31 has 25 hours, and 2028-03-26 has 23.
ZONE = ZoneInfo("Europe/Berlin")
FIRST, END = date(2027, 10, 29), date(2027, 11, 3)
AROUND = [datetime(2027, 10, 28, 22, 30, tzinfo=UTC) + timedelta(hours=n) for n in range(0, 96, 5)]


def test_each_day_closes_with_the_sum_of_the_ledger(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        clock.set_clock(admin, AROUND[0] - timedelta(days=2))
        organization = steps.new_organization(db, "100", timezone=ZONE.key)
        for number, instant in enumerate(AROUND):
            clock.set_clock(admin, instant)
            if number % 4 == 3:
                steps.adjust(db, organization, "-0.00000001")
            else:
                steps.charge(db, organization, f"0.{number + 1:08}")
        found = history.get_balance_history(db, steps.PLATFORM, organization, FIRST, END)
        for closing in found.items:
            night = datetime.combine(closing.day + timedelta(days=1), datetime.min.time(), ZONE)
            row = admin.execute(
                "SELECT sum(amount_usd), count(*) FROM billing.credit_transactions"
                " WHERE organization_id = %s AND created_at < %s",
                [organization, night],
            ).fetchone()
            assert (closing.balance_usd, closing.version) == row
        assert found.timezone == ZONE.key
        # Nothing is said of days that have not come.
        assert [of.day for of in found.items] == [date(2027, 10, day) for day in (29, 30, 31)] + [
            date(2027, 11, 1)
        ]
        assert len({of.version for of in found.items}) == 4
        before = history.get_balance_history(
            db, steps.PLATFORM, organization, date(2027, 10, 1), date(2027, 10, 3)
        )
        assert [(str(of.balance_usd), of.version) for of in before.items] == [("0", 0)] * 2
        by_default = history.get_balance_history(db, steps.PLATFORM, organization, None, None)
        assert len(by_default.items) == 30
        assert by_default.items[-1] == found.items[-1]
    assert database.audit().whole


def test_a_history_without_a_start_has_the_thirty_days_before_its_end(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        clock.set_clock(admin, datetime(2027, 6, 1, tzinfo=UTC))
        organization = steps.new_organization(db, "100")
        clock.set_clock(admin, datetime(2027, 12, 1, tzinfo=UTC))
        found = history.get_balance_history(db, steps.PLATFORM, organization, None, END).items
    assert (len(found), found[-1].day) == (30, END - timedelta(days=1))


def test_a_day_of_23_hours_closes_at_its_end(database: Database) -> None:
    midnight = datetime(2028, 3, 26, 22, tzinfo=UTC)
    with database.connect() as db, database.admin() as admin:
        clock.set_clock(admin, midnight - timedelta(days=1))
        organization = steps.new_organization(db, "10", timezone=ZONE.key)
        for minutes in (-10, 10):
            clock.set_clock(admin, midnight + timedelta(minutes=minutes))
            steps.charge(db, organization, "1")
        found = history.get_balance_history(
            db, steps.PLATFORM, organization, date(2028, 3, 25), date(2028, 3, 28)
        )
    assert [of.balance_usd for of in found.items] == [10, 9, 8]


def test_a_history_that_cannot_be_answered_says_why(database: Database) -> None:
    with database.connect() as db:
        own, other = (steps.new_organization(db, "1") for _ in range(2))
        for start, end in ((END, FIRST), (FIRST, FIRST), (date(2020, 1, 1), None)):
            with pytest.raises(InvalidRequest):
                history.get_balance_history(db, steps.PLATFORM, own, start, end)
        for organization in (other, UUID(int=7)):
            with pytest.raises(OrganizationNotFound):
                history.get_balance_history(db, Caller(tenant=str(own)), organization, FIRST, END)


def test_todays_balance_is_the_last_of_the_history(api: Client) -> None:
    path = api.new_organization("5", timezone="Pacific/Kiritimati")
    api.post(f"{path}/charges", {"amount_usd": "1", "description": "x"}, path).raise_for_status()
    found = api.get(f"{path}/balance/history").raise_for_status().json()
    last = found["items"][-1]
    assert last == {
        "day": datetime.now(ZoneInfo("Pacific/Kiritimati")).date().isoformat(),
        "balance_usd": api.get(f"{path}/balance").json()["balance_usd"],
        "version": 2,
    }
    refused = api.get(f"{path}/balance/history", **{"from": "2026-02-30"})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/from"
