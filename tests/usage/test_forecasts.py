"""A stored forecast: made once per local day, with its own record, and told when credit ends."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql

from synaxis_billing import procedures
from synaxis_billing.caller import Caller, OrganizationNotFound
from synaxis_billing.errors import Forbidden
from synaxis_billing.organizations import profile
from synaxis_billing.usage import forecasts
from synaxis_billing.usage.forecast import make_forecast
from synaxis_billing.webhooks import endpoints
from tests.conftest import Database
from tests.support import steps
from tests.support.clock import move_clock

DAY = timedelta(days=1)
WEEK = ["10", "10", "10", "10", "10", "2", "0"]


def spend_daily(
    admin: psycopg.Connection,
    organization_id: UUID | str,
    amounts: list[str],
    timezone: str = "UTC",
) -> None:
    """Make the rollups that charges of the last days would have left, the newest of yesterday."""
    today = datetime.now(ZoneInfo(timezone)).date()
    for number, amount in enumerate(reversed(amounts), 1):
        day = today - number * DAY
        start, end = (
            datetime(of.year, of.month, of.day, tzinfo=ZoneInfo(timezone)).astimezone(UTC)
            for of in (day, day + DAY)
        )
        admin.execute(
            "INSERT INTO billing.spend_rollups (organization_id, bucket_start, dimensions,"
            " bucket_end, charged, amount_usd, tokens, requests) VALUES (%s, %s, '', %s, true, %s,"
            " 1, 1)",
            [organization_id, start, end, amount],
        )


def make_all(db: psycopg.Connection) -> int:
    return forecasts.make_forecasts(db, lambda: True)


def get(db: psycopg.Connection, organization_id: UUID, days: int = 30) -> forecasts.SpendForecast:
    return forecasts.get_forecast(db, steps.PLATFORM, organization_id, days)


def told(db: psycopg.Connection, organization_id: UUID) -> list[Any]:
    listed = endpoints.list_events(
        db, steps.PLATFORM, organization_id, "balance.runs_out", 100, None
    )
    return [found.data for found in listed.items]


def test_it_is_made_of_the_charged_spend_of_whole_local_days(database: Database) -> None:
    zone = "America/Los_Angeles"
    with database.connect() as db, database.admin() as admin:
        organization = steps.new_organization(db, "1000", timezone=zone)
        spend_daily(admin, organization, WEEK * 8, zone)
        # Neither spend that was only logged nor today's part day counts.
        steps.log_spend(db, organization, "500")
        steps.charge(db, organization, "300")
        found = get(db, organization)
    expected = make_forecast([Decimal(amount) for amount in WEEK * 8])
    today = datetime.now(ZoneInfo(zone)).date()
    assert [day.day for day in found.daily] == [today + number * DAY for number in range(30)]
    assert [day.expected_usd for day in found.daily] == [
        band.expected for band in expected.daily[:30]
    ]
    assert found.total == forecasts.SpendBand(
        expected_usd=expected.totals[29].expected,
        low_usd=expected.totals[29].low,
        high_usd=expected.totals[29].high,
    )
    assert found.confidence == "normal"
    assert found.record == forecasts.ForecastRecord(days=0, mase=None, coverage=None)


def test_days_without_spend_count_and_the_first_ones_before_it_do_not(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization = steps.new_organization(db, "10")
        spend_daily(admin, organization, ["6", "6"])
        admin.execute(
            "UPDATE billing.spend_rollups SET bucket_start = bucket_start - interval '4d'"
        )
        found = get(db, organization)
    # Six days, of which two have spend.
    assert found.confidence == "low"
    assert {day.expected_usd for day in found.daily} == {Decimal(2)}


def test_the_stored_forecast_is_the_one_that_is_shown_all_day(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization = steps.new_organization(db, "1000")
        steps.charge(db, organization, "1")
        spend_daily(admin, organization, WEEK * 8)
        live = get(db, organization)
        assert make_all(db) == 1
        # A second run of the day finds nothing to do.
        assert make_all(db) == 0
        stored = get(db, organization)
        # What becomes of today's history later is tomorrow's matter.
        admin.execute("UPDATE billing.spend_rollups SET amount_usd = amount_usd * 2")
        again = get(db, organization)
    assert stored.daily == live.daily == again.daily
    assert stored.made_at == again.made_at > live.made_at
    assert again.record.days == 0


def test_each_night_scores_the_forecast_of_the_night_before(database: Database) -> None:
    chance = random.Random(7)
    history = [str(chance.randint(5, 15)) for _ in range(56)]
    errors = []
    with database.connect() as db, database.admin() as admin:
        organization = steps.new_organization(db, "1000")
        steps.charge(db, organization, "1")
        spend_daily(admin, organization, history)
        for spent in ("10", "100000"):
            make_all(db)
            today = get(db, organization).daily[0]
            assert (today.low_usd <= Decimal(spent) <= today.high_usd) == (spent == "10")
            naive = make_forecast([Decimal(amount) for amount in history]).naive_error
            errors.append(abs(Decimal(spent) - today.expected_usd) / naive)
            # What is charged today, in the end.
            admin.execute(
                "UPDATE billing.spend_rollups SET amount_usd = %s WHERE bucket_start ="
                " (SELECT max(bucket_start) FROM billing.spend_rollups)",
                [spent],
            )
            history.append(spent)
            move_clock(admin, DAY)
            steps.charge(db, organization, "0.5")
        # Before the night's run the record already has yesterday.
        before = get(db, organization).record
        make_all(db)
        record = get(db, organization).record
    assert record == before
    assert (record.days, record.coverage) == (2, 0.5)
    assert record.mase == pytest.approx(float(sum(errors) / 2), rel=1e-3)


def test_nights_that_were_missed_are_left_out_of_the_record(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization = steps.new_organization(db, "1000")
        steps.charge(db, organization, "1")
        spend_daily(admin, organization, WEEK * 8)
        make_all(db)
        move_clock(admin, 5 * DAY)
        assert make_all(db) == 1
        found = get(db, organization)
        assert found.record.days == 1
        stored = admin.execute("SELECT count(*) FROM billing.forecasts").fetchone()
    assert stored == (1,)


def test_credit_runs_out_by_the_days_of_the_bounds(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization = steps.new_organization(db, "100", credit_limit_usd="20")
        spend_daily(admin, organization, WEEK * 8)
        today = datetime.now(UTC).date()
        totals = make_forecast([Decimal(amount) for amount in WEEK * 8]).totals

        def first(name: str, credit: int) -> date:
            over = [getattr(band, name) > credit for band in totals]
            return today + over.index(True) * DAY

        found = get(db, organization).runs_out
        assert found == forecasts.RunsOut(
            expected=first("expected", 120), earliest=first("high", 120), latest=first("low", 120)
        )
        # What today has spent already is in its forecast: the day does not come nearer by it.
        steps.charge(db, organization, "3")
        assert get(db, organization).runs_out == found
        steps.top_up(db, organization, "10000")
        plenty = get(db, organization).runs_out
        assert plenty == forecasts.RunsOut(expected=None, earliest=None, latest=None)


def in_days(number: int) -> str:
    """The midnight that begins a day of UTC."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + number * DAY).isoformat()


def test_credit_that_expires_is_at_risk_and_monthly_credit_comes_again(database: Database) -> None:
    history = [Decimal(2)] * 70
    with database.connect() as db, database.admin() as admin:
        organization = steps.new_organization(db, "100")
        spend_daily(admin, organization, list(map(str, history)))
        assert get(db, organization).money_at_risk == []
        lost = steps.grant(db, organization, "50", expires_at=in_days(10))
        late = steps.grant(db, organization, "30", effective_at=in_days(20), expires_at=in_days(25))
        found = get(db, organization)
        # Two dollars of each of ten days are spent of the first, and of five days of the second.
        assert [(of.grant_id, of.amount_usd) for of in found.money_at_risk] == [
            (lost.id, Decimal(50 - 10 * 2)),
            (late.id, Decimal(30 - 5 * 2)),
        ]
        assert [of.expires_at for of in found.money_at_risk] == [lost.expires_at, late.expires_at]
        today = datetime.now(UTC).date()
        # The hundred dollars pay for fifty of the other days.
        assert found.runs_out.expected == today + (10 + 5 + 50) * DAY
        for granted in (lost, late):
            steps.void(db, granted)
        assert get(db, organization).runs_out.expected == today + 50 * DAY
        steps.grant(db, organization, "200", every="month")
        lasting = get(db, organization)
        assert lasting.runs_out.expected is None
        # A month has at most 31 days of two dollars: each month's grant leaves some.
        assert len({of.grant_id for of in lasting.money_at_risk}) >= 2
        assert all(of.amount_usd >= 200 - 31 * 2 for of in lasting.money_at_risk)


def near(db: psycopg.Connection, admin: psycopg.Connection, **more: Any) -> UUID:
    organization = steps.new_organization(db, "40", runs_out_alert_days=14, **more)
    steps.charge(db, organization, "1")
    spend_daily(admin, organization, WEEK * 8)
    return organization


def test_a_run_out_that_comes_near_is_told_once_per_approach(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization = near(db, admin)
        deaf = steps.new_organization(db, "40")
        steps.charge(db, deaf, "1")
        spend_daily(admin, deaf, WEEK * 8)
        make_all(db)
        runs_out = get(db, organization).runs_out
        assert told(db, organization) == [
            {
                "organization_id": str(organization),
                **runs_out.model_dump(mode="json"),
                "available_usd": "39.00",
                "runs_out_alert_days": 14,
            }
        ]
        for _ in range(2):
            move_clock(admin, DAY)
            make_all(db)
        assert len(told(db, organization)) == 1
        steps.top_up(db, organization, "10000")
        move_clock(admin, DAY)
        make_all(db)
        steps.adjust(db, organization, "-10000")
        move_clock(admin, DAY)
        make_all(db)
        assert len(told(db, organization)) == 2
        assert told(db, deaf) == []


def test_a_run_out_that_is_as_far_as_the_days_say_is_not_near(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization = near(db, admin)
        earliest = get(db, organization).runs_out.earliest
        assert earliest is not None
        left = (earliest - datetime.now(UTC).date()).days
        for days in (left, left + 1):
            profile.update_organization(
                db,
                steps.PLATFORM,
                organization,
                profile.OrganizationChange(runs_out_alert_days=days),
            )
            admin.execute("DELETE FROM billing.forecasts")
            make_all(db)
            assert len(told(db, organization)) == days - left


def test_two_runs_at_once_store_one_forecast_and_tell_once(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organizations = [near(db, admin) for _ in range(8)]

        def run(_: int) -> int:
            with database.connect() as own:
                return make_all(own)

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(run, range(4))) == len(organizations)
        assert [len(told(db, organization)) for organization in organizations] == [1] * 8
        assert make_all(db) == 0


def test_a_run_that_ends_in_between_goes_on_with_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecasts, "PAGE", 2)
    with database.connect() as db, database.admin() as admin:
        organizations = [near(db, admin) for _ in range(5)]
        for _ in ("Aurora", "Closed"):
            steps.new_organization(db)
        closed = near(db, admin)
        profile.update_organization(
            db, steps.PLATFORM, closed, profile.OrganizationChange(status="closed")
        )
        left = iter([True, True, True, False])
        assert forecasts.make_forecasts(db, lambda: next(left)) == 3
        assert forecasts.make_forecasts(db, lambda: False) == 0
        assert make_all(db) == 2
        stored = admin.execute("SELECT organization_id FROM billing.forecasts").fetchall()
    assert {found for (found,) in stored} == set(organizations)


def test_an_organization_that_cannot_be_forecast_does_not_affect_the_others(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        organizations = [near(db, admin) for _ in range(3)]
        admin.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RAISE EXCEPTION ''no''; END'"
        )
        admin.execute(
            sql.SQL(
                "CREATE TRIGGER refuse BEFORE INSERT ON billing.forecasts FOR EACH ROW"
                " WHEN (NEW.organization_id = {}) EXECUTE FUNCTION refuse()"
            ).format(sql.Literal(str(organizations[1])))
        )
        with pytest.raises(forecasts.Unforecast, match=f"{organizations[1]} .P0001."):
            make_all(db)
        stored = admin.execute("SELECT count(*) FROM billing.forecasts").fetchone()
        assert stored == (2,)
        admin.execute("DROP TRIGGER refuse ON billing.forecasts")
        assert make_all(db) == 1


def test_a_killed_run_has_told_what_it_stored(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization = near(db, admin)
        with database.connect() as own, own.transaction(force_rollback=True):
            make_all(own)
        assert told(db, organization) == []
        make_all(db)
        assert len(told(db, organization)) == 1


def test_only_the_platform_makes_forecasts_and_each_sees_its_own(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization, other = near(db, admin), near(db, admin)
        make_all(db)
        own = Caller(tenant=str(organization))
        assert forecasts.get_forecast(db, own, organization, 1).daily
        with pytest.raises(OrganizationNotFound):
            forecasts.get_forecast(db, own, other, 1)
        db.execute("SELECT set_config('billing.tenant', %s, false)", [str(organization)])
        rows = db.execute("SELECT organization_id FROM billing.forecasts").fetchall()
        assert rows == [(organization,)]
        for call in (
            "billing.plan_forecasts('{}', NULL, 10)",
            "billing.store_forecast('{}', gen_random_uuid(), '{{}}', '{{}}')",
        ):
            row = db.execute(f"SELECT {call.format(organization)}".encode()).fetchone()
            assert row
            assert row[0]["outcome"] == Forbidden.code


def test_all_organizations_together_have_a_forecast_and_its_record(database: Database) -> None:
    weeks = WEEK * 10
    with database.admin() as admin, database.connect() as db:
        before = daily_spend(db)
        for zone in ("UTC", "Pacific/Kiritimati", "Etc/GMT+12"):
            spend_daily(admin, steps.new_organization(db, timezone=zone), weeks, zone)
        after = daily_spend(db)
        found = forecasts.get_platform_forecast(db, steps.PLATFORM, 7)
        with pytest.raises(Forbidden):
            forecasts.get_platform_forecast(db, Caller(tenant=str(UUID(int=7))), 7)
    added = [after[day] - before.get(day, 0) for day in sorted(after)][-60:]
    # The days that have ended everywhere: any seven of them are a week of each organization.
    assert sum(added[-14:-7]) == sum(added[-21:-14]) == 3 * 52
    assert found.daily[0].day == date.fromisoformat(max(after)) + DAY
    assert [one.day for one in found.daily] == [found.daily[0].day + n * DAY for n in range(7)]
    assert found.total.expected_usd >= 3 * 30
    assert found.confidence == "normal"
    assert found.record.days >= len(weeks) - 14 - 2


def daily_spend(db: psycopg.Connection) -> dict[str, Decimal]:
    outcome = procedures.call(db, "platform_daily_spend", tenant="*", days=455)
    spent = procedures.accepted(outcome)[0]["spent"]
    return {day: Decimal(amount) for day, amount in spent.items()}
