"""Spending is exact: by any dimensions, over any period, whatever the time zone was or is."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaxis_billing.errors import InvalidRequest, NotFound
from synaxis_billing.organizations import profile
from synaxis_billing.usage import spend_logs, spending
from tests.conftest import Database
from tests.support import steps

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
mixes = st.sets(st.sampled_from(spending.DIMENSIONS)).map(sorted)


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
    db: psycopg.Connection, organization_id: UUID, start: datetime, end: datetime, group_by: Any
) -> spending.Spending:
    return spending.get_spending(
        lambda: db, steps.NO_CACHE, steps.PLATFORM, organization_id, start, end, group_by
    )


def test_spending_is_the_sum_of_the_logs(database: Database) -> None:
    @settings(max_examples=150)
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
            lambda: db, steps.NO_CACHE, steps.PLATFORM, organization_id, None, None, ["model"]
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
