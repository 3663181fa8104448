"""Spending is exact: by any dimensions, over any period, whatever the time zone was or is."""

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaxis_billing.cache import Cache
from synaxis_billing.caller import Caller
from synaxis_billing.errors import InvalidRequest, NotFound
from synaxis_billing.organizations import days, profile
from synaxis_billing.usage import spend_logs, spending
from synaxis_billing.usage.dimensions import SpendFilter
from tests.conftest import Database
from tests.support import steps
from tests.support.billing import set_clock
from tests.support.running import Client

# Ahead of the clock, so that the ledger's own time is what the test says it is. Over months in
# which clocks change: in Havana at midnight, on Lord Howe by half an hour.
BEGINNING = datetime(2027, 9, 20, tzinfo=UTC)
ZONES = [
    "UTC",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/Berlin",
]
TEAMS = ["0c2f8c0e-52b7-4d5e-8b52-3f0a8e1d2c11", "b7a5f1de-9d0c-4c1f-8a7e-5c7a7c3e9f22"]

logs = st.fixed_dictionaries(
    {"amount_usd": st.sampled_from(["0.00000001", "0.1", "2.5"])},
    optional={
        "model": st.sampled_from(["gpt-4o", "claude-sonnet"]),
        "provider": st.sampled_from(["openai", "anthropic"]),
        "team_id": st.sampled_from(TEAMS),
        "region": st.sampled_from(["eu", "us"]),
        "tokens": st.integers(0, 5),
    },
)
waits = st.integers(0, 60 * 40).map(lambda minutes: timedelta(minutes=minutes))
events = st.lists(st.tuples(waits, logs | st.sampled_from(ZONES)), max_size=25)
instants = st.integers(-100, 60 * 24 * 30).map(lambda m: BEGINNING + timedelta(minutes=m))
mixes = st.sets(st.sampled_from(spending.DIMENSIONS)).map(lambda by: sorted(by - {"hour"}))


def _expected(
    written: list[spend_logs.SpendLog],
    zone: ZoneInfo,
    start: datetime,
    end: datetime,
    group_by: Any,
) -> dict[tuple[Any, ...], tuple[Decimal, int, int]]:
    groups: dict[Any, list[spend_logs.SpendLog]] = defaultdict(list)
    for log in written:
        if start <= log.created_at < end:
            local = log.created_at.astimezone(zone)
            values = {
                **log.model_dump(mode="json"),
                "day": local.strftime("%Y-%m-%d"),
                "month": local.strftime("%Y-%m"),
            }
            groups[tuple(values[name] for name in group_by)].append(log)
    return {
        key: (
            sum((log.amount_usd for log in of), Decimal(0)),
            sum(log.tokens for log in of),
            len(of),
        )
        for key, of in groups.items()
    }


def _spent(
    db: psycopg.Connection,
    organization_id: UUID,
    start: datetime,
    end: datetime,
    group_by: Any,
    **more: Any,
) -> spending.Spending:
    return spending.get_spending(
        lambda: db,
        steps.NO_CACHE,
        steps.PLATFORM,
        organization_id,
        spending.Question(start, end, group_by, **more),
    )


def test_spending_is_the_sum_of_the_logs(database: Database) -> None:
    @settings(max_examples=60)
    @given(
        zone=st.sampled_from(ZONES), events=events, bounds=st.tuples(instants, instants), by=mixes
    )
    def exact(
        zone: str, events: list[tuple[timedelta, Any]], bounds: tuple[datetime, datetime], by: Any
    ) -> None:
        organization_id = steps.new_organization(db, timezone=zone)
        now, written = BEGINNING, []
        for wait, event in events:
            now += wait
            admin.execute(
                "UPDATE billing.organizations SET changed_at = greatest(changed_at, %s)"
                " WHERE id = %s",
                [now, organization_id],
            )
            if isinstance(event, str):
                zone = event
                change = profile.OrganizationChange(timezone=zone)
                profile.update_organization(db, steps.PLATFORM, organization_id, change)
            else:
                written.append(steps.log_spend(db, organization_id, **event))
        start, end = sorted(bounds)
        if start == end:
            end += timedelta(minutes=1)
        got = _spent(db, organization_id, start, end, by)
        expected = _expected(written, ZoneInfo(zone), start, end, by)
        items = [item.model_dump() for item in got.items]
        assert {
            tuple(item[name] for name in by): (
                Decimal(item["amount_usd"]),
                item["tokens"],
                item["requests"],
            )
            for item in items
        } == expected
        assert got.total.amount_usd == sum(
            (amount for amount, _, _ in expected.values()), Decimal(0)
        )

    with database.connect() as db, database.admin() as admin:
        exact()
    assert database.audit().whole


def test_the_instant_between_two_months_is_counted_in_one(database: Database) -> None:
    midnight = datetime(2027, 9, 30, 22, tzinfo=UTC)  # in Berlin
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, timezone="Europe/Berlin")
        admin.execute(
            "UPDATE billing.organizations SET changed_at = %s",
            [midnight - timedelta(microseconds=1)],
        )
        log = steps.log_spend(db, organization_id, "1")
        assert log.created_at == midnight
        before = _spent(db, organization_id, midnight - timedelta(days=30), midnight, [])
        after = _spent(db, organization_id, midnight, midnight + timedelta(days=31), ["month"])
    assert (before.total.requests, after.total.requests) == (0, 1)
    assert after.items[0].model_dump()["month"] == "2027-10"


def test_by_default_it_is_the_current_month_of_the_organization(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "5", timezone="Pacific/Kiritimati")
        steps.charge(db, organization_id, "1", model="gpt-4o")
        steps.log_spend(db, organization_id, "2", model="gpt-4o")
        spent = spending.get_spending(
            lambda: db,
            steps.NO_CACHE,
            steps.PLATFORM,
            organization_id,
            spending.Question(None, None, ["model"]),
        )
    here = datetime.now(ZoneInfo("Pacific/Kiritimati"))
    assert spent.start == datetime(here.year, here.month, 1, tzinfo=ZoneInfo("Pacific/Kiritimati"))
    assert [item.amount_usd for item in spent.items] == [3]


def test_what_cannot_be_answered_says_why(database: Database) -> None:
    now = datetime.now(UTC)
    with database.connect() as db:
        organization_id = steps.new_organization(db)
        with pytest.raises(InvalidRequest, match="empty"):
            _spent(db, organization_id, now, now, [])
        with pytest.raises(NotFound):
            _spent(db, UUID(int=7), now, now + timedelta(days=1), [])
    with pytest.raises(InvalidRequest):
        spending.parse_group_by("model,colour")


def test_the_largest_groups_and_the_others_add_up_to_the_total(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        for day in range(3):
            set_clock(admin, organization_id, BEGINNING + timedelta(days=day))
            for model in range(6):
                # Model 1 has the most on one day, model 0 over all of them.
                amount = "100" if (day, model) == (1, 1) else str(50 - 7 * model + day)
                steps.log_spend(db, organization_id, amount, model=f"m{model}", tokens=1)
            steps.log_spend(db, organization_id, "0.00000001")
        period = (BEGINNING, BEGINNING + timedelta(days=4))
        everything = _spent(db, organization_id, *period, ["day", "model"])
        few = _spent(db, organization_id, *period, ["day", "model"], top=2)
        undated = _spent(db, organization_id, *period, ["model"], top=6)
        all_of_them = _spent(db, organization_id, *period, ["model"], top=7)
    assert {item.model for item in few.items} == {"m0", "m1"}
    assert list(few.items) == [of for of in everything.items if of.model in ("m0", "m1")]
    assert few.others is not None
    assert few.total == everything.total
    rest = [of for of in everything.items if of.model not in ("m0", "m1")]
    assert [(of.day, of.amount_usd, of.tokens, of.requests) for of in few.others] == [
        (
            day,
            sum(of.amount_usd for of in rest if of.day == day),
            sum(of.tokens for of in rest if of.day == day),
            sum(of.requests for of in rest if of.day == day),
        )
        for day in sorted({of.day for of in rest if of.day})
    ]
    assert few.others[0].model_dump().keys() == few.total.model_dump().keys() | {"day"}
    assert undated.others is not None
    assert all_of_them.others == ()
    assert [of.amount_usd for of in undated.others] == [Decimal("0.00000003")]
    assert everything.others is None


def test_filters_leave_the_calls_that_have_every_field(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db)
        for amount, team, model in (("1", "a", "x"), ("2", "a", "y"), ("4", "b", "x")):
            steps.log_spend(db, organization_id, amount, team_id=team, model=model)
        steps.log_spend(db, organization_id, "8")
        now = datetime.now(UTC)
        period = (now - timedelta(days=1), now + timedelta(days=1))
        for calls, expected in (
            ({"team_id": "a"}, 3),
            ({"team_id": "a", "model": "x"}, 1),
            ({"model": "z"}, 0),
            ({}, 15),
        ):
            found = _spent(
                db, organization_id, *period, ["model"], calls=SpendFilter.model_validate(calls)
            )
            assert found.total.amount_usd == expected == sum(of.amount_usd for of in found.items)


def test_hours_are_those_of_the_clocks_also_when_one_comes_twice(database: Database) -> None:
    # In Berlin the clocks go back from 3:00 to 2:00: 2:30 comes twice.
    half_past_two = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "9", timezone="Europe/Berlin")
        for hours, amount in ((0, "1"), (1, "2"), (2, "4")):
            set_clock(admin, organization_id, half_past_two + timedelta(hours=hours))
            steps.charge(db, organization_id, amount, model="m")
        start, end = half_past_two - timedelta(days=3), half_past_two + timedelta(days=3)
        found = _spent(db, organization_id, start, end, ["hour", "model"])
        assert _spent(db, organization_id, start, end, []).total == found.total
        with pytest.raises(InvalidRequest, match="7 days"):
            _spent(db, organization_id, start, end + timedelta(days=2), ["hour"])
    on_the_hour = half_past_two - timedelta(minutes=30)
    assert [(of.hour, of.amount_usd) for of in found.items] == [
        (on_the_hour + timedelta(hours=hours), Decimal(2**hours)) for hours in range(3)
    ]


def test_days_begin_in_the_time_zone_of_the_organization(api: Client) -> None:
    path = api.new_organization("9", timezone="Pacific/Kiritimati")
    api.post(f"{path}/charges", {"amount_usd": "1", "description": "x"}, path).raise_for_status()
    here = datetime.now(ZoneInfo("Pacific/Kiritimati")).date()
    today, tomorrow = here.isoformat(), (here + timedelta(days=1)).isoformat()
    for start, end, requests in (
        (today, tomorrow, 1),
        ((here - timedelta(days=2)).isoformat(), today, 0),
    ):
        period = {"from": start, "to": end}
        spent = api.get(f"{path}/spending", **period).json()
        assert spent["total"]["requests"] == requests
        assert datetime.fromisoformat(spent["from"]) == datetime.combine(
            datetime.fromisoformat(start), time(), ZoneInfo("Pacific/Kiritimati")
        )
        for listed in ("transactions", "spend-logs"):
            items = api.get(f"{path}/{listed}", **period).json()["items"]
            assert len([of for of in items if of.get("transaction_type") != "topup"]) == requests
    for bad in ("2026-02-30", "0001-01-01", "26-01-01", "2026-02"):
        refused = api.get(f"{path}/spending", **{"from": bad, "to": today})
        assert refused.status_code == 400, bad
        assert refused.json()["errors"][0]["pointer"] == "/from"


def test_a_day_begins_when_the_clocks_say_so(database: Database) -> None:
    # In Havana midnight of 2027-03-14 does not exist, and that of 2027-11-07 comes twice.
    with database.connect() as db:
        organization_id = steps.new_organization(db, timezone="America/Havana")
        own = (db, steps.PLATFORM, organization_id)
        starts = days.instants(*own, date(2027, 3, 14), date(2027, 11, 7))
        assert days.instants(*own, BEGINNING, None) == (BEGINNING, None)
        with pytest.raises(NotFound):
            days.instants(db, steps.PLATFORM, UUID(int=7), None, date(2027, 3, 14))
    assert starts == (
        datetime(2027, 3, 14, 5, tzinfo=UTC),
        datetime(2027, 11, 7, 4, tzinfo=UTC),
    )


def test_another_tenant_reads_no_sums_that_are_cached(database: Database) -> None:
    cache = Cache(None)
    end = datetime.now(UTC) - timedelta(days=9)
    asked = spending.Question(end - timedelta(days=1), end, (), 10, SpendFilter())
    with database.connect() as db:
        own, other = steps.new_organization(db, "1"), steps.new_organization(db, "1")

        def ask(tenant: UUID) -> spending.Spending:
            caller = Caller(tenant=str(tenant))
            return spending.get_spending(lambda: db, cache, caller, own, asked)

        assert ask(own) == ask(own)
        with pytest.raises(NotFound):
            ask(other)
