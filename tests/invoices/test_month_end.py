"""Month end: one invoice for each organization that was charged, whatever happens twice or dies."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaxis_billing.caller import Caller
from synaxis_billing.errors import Conflict, Forbidden
from synaxis_billing.invoices import invoices, month_end
from synaxis_billing.invoices.month_end import Job
from synaxis_billing.organizations import profile
from tests.conftest import Database
from tests.support.billing import ISSUER, draft, get_invoice, rates, set_clock
from tests.support.clock import move_clock
from tests.support.steps import PLATFORM, charge, log_spend, new_organization

# Ahead of the clock, so that the ledger's own time is what the test says it is.
MONTH = "2031-03"
MICROSECOND = timedelta(microseconds=1)
# West of everybody and east of everybody, half hours, and both changes of clocks in March.
ZONES = [
    *("Etc/GMT+12", "America/Sao_Paulo", "America/New_York", "UTC", "Europe/Berlin"),
    *("Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Kiritimati"),
]


def bill(db: psycopg.Connection, organization_id: UUID, month: str = MONTH) -> str:
    job = Job(month=month, organization_id=organization_id)
    return month_end.bill_month(db, job, rates(), ISSUER)


def issued(db: psycopg.Connection, organization_id: UUID) -> list[invoices.Invoice]:
    """Oldest first."""
    listed = invoices.list_invoices(db, PLATFORM, organization_id, None, 100, None).items
    found = [get_invoice(db, organization_id, one.id) for one in listed]
    return sorted(found, key=lambda one: one.period_start)


def progress(db: psycopg.Connection, month: str = MONTH) -> month_end.MonthEndProgress:
    return month_end.get_progress(db, PLATFORM, month)


def local(zone: str, month: int) -> datetime:
    """When a month of 2031 begins."""
    return datetime(2031, month, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize("zone", ZONES)
def test_a_month_is_billed_to_its_last_microsecond_where_the_organization_is(
    zone: str, database: Database
) -> None:
    with database.connect() as db, database.admin() as admin:
        acme = new_organization(db, "100", timezone=zone)
        for instant, amount in (
            (local(zone, 3) - MICROSECOND, "1"),
            (local(zone, 3), "2"),
            (local(zone, 4) - MICROSECOND, "4"),
            (local(zone, 4), "8"),
        ):
            set_clock(admin, acme, instant)
            charge(db, acme, amount)
        assert bill(db, acme) == "issued"
        [invoice] = issued(db, acme)
        assert invoice.subtotal_usd == 6
        assert (invoice.period_start, invoice.period_end) == (local(zone, 3), local(zone, 4))


def test_a_month_that_has_not_ended_where_the_organization_is_is_refused(
    database: Database,
) -> None:
    zone = "Etc/GMT+12"
    with database.connect() as db, database.admin() as admin:
        acme = new_organization(db, "100", timezone=zone)
        set_clock(admin, acme, local(zone, 4) - 9 * MICROSECOND)
        charge(db, acme, "1")
        with pytest.raises(Conflict, match="The period ends at 2031-04-01T12:00:00Z"):
            bill(db, acme)
        assert issued(db, acme) == []


def test_billed_twice_late_and_at_once_there_is_one_invoice(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        many = [new_organization(db, "100") for _ in range(12)]
        for one in many:
            set_clock(admin, one, local("UTC", 3))
            charge(db, one, "1")
            set_clock(admin, one, local("UTC", 7))

    def work(_: int) -> list[str]:
        with database.connect() as db:
            jobs = [job for page in month_end.plan_month(db, MONTH) for job in page]
            return [month_end.bill_month(db, job, rates(), ISSUER) for job in jobs]

    with ThreadPoolExecutor(6) as pool:
        assert {status for found in pool.map(work, range(6)) for status in found} == {"issued"}
    with database.connect() as db:
        assert all(len(issued(db, one)) == 1 for one in many)
        assert [page for page in month_end.plan_month(db, MONTH) if page] == []
        found = progress(db)
        assert (found.organizations, found.issued, found.pending) == (12, 12, 0)
    with database.admin() as admin:
        move_clock(admin, local("UTC", 7) - datetime.now(UTC))
    assert database.audit().whole


def test_a_plan_that_was_killed_is_finished_by_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(month_end, "PAGE", 3)
    with database.connect() as db:
        many = {new_organization(db) for _ in range(8)}
        month = (datetime.now(UTC) + timedelta(days=40)).strftime("%Y-%m")
        first = next(month_end.plan_month(db, month))
        assert len(first) == 3
        pages = list(month_end.plan_month(db, month))
        assert [len(page) for page in pages] == [3, 3, 2]
        assert {job.organization_id for page in pages for job in page} == many


def test_one_that_cannot_be_billed_is_reported_and_harms_no_other(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        good, bad = new_organization(db, "9"), new_organization(db, "9")
        for one in (good, bad):
            set_clock(admin, one, local("UTC", 3))
            charge(db, one, "1")
        # Somebody drafted a period by hand that reaches into the month.
        march = local("UTC", 3)
        blocking = draft(db, bad, march - timedelta(days=9), march + timedelta(days=9))
        for one in (good, bad):
            set_clock(admin, one, local("UTC", 4))
        statuses = {}
        for page in month_end.plan_month(db, MONTH):
            for job in page:
                try:
                    statuses[job.organization_id] = month_end.bill_month(db, job, rates(), ISSUER)
                except Conflict as error:
                    month_end.record_failure(db, job, str(error))
        assert statuses == {good: "issued"}
        found = progress(db)
        assert (found.issued, found.failed, found.pending) == (1, 1, 0)
        assert found.failures[0].organization_id == bad
        assert "overlaps" in found.failures[0].error
        invoices.cancel_invoice(db, PLATFORM, bad, blocking.id)
        [left] = [page for page in month_end.plan_month(db, MONTH) if page]
        assert [job.organization_id for job in left] == [bad]
        # The failure of the run before does not count in this one.
        found = progress(db)
        assert (found.failed, found.pending, found.failures) == (0, 1, [])
        assert bill(db, bad) == "issued"
        assert progress(db).failed == 0


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_month_begins_where_an_invoice_ends_unless_that_was_cancelled(
    database: Database, cancelled: bool
) -> None:
    march, over = local("UTC", 3), timedelta(hours=3)
    with database.connect() as db, database.admin() as admin:
        acme = new_organization(db, "9")
        set_clock(admin, acme, march + over / 2)
        charge(db, acme, "1")
        set_clock(admin, acme, march + 2 * over)
        charge(db, acme, "2")
        set_clock(admin, acme, local("UTC", 4))
        by_hand = draft(db, acme, march - timedelta(days=9), march + over)
        if cancelled:
            invoices.cancel_invoice(db, PLATFORM, acme, by_hand.id)
        assert bill(db, acme) == "issued"
        billed = issued(db, acme)[-1]
        assert billed.period_start == (march if cancelled else march + over)
        assert billed.subtotal_usd == (3 if cancelled else 2)


def test_a_plan_leaves_the_failures_of_other_months_as_they_were(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db)
        list(month_end.plan_month(db, MONTH))
        month_end.record_failure(db, Job(month=MONTH, organization_id=acme), "cannot be billed")
        list(month_end.plan_month(db, "2031-04"))
        assert progress(db).failed == 1


def test_a_month_without_charges_makes_no_invoice_unless_asked_for(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        acme = new_organization(db, "9")
        set_clock(admin, acme, local("UTC", 3))
        log_spend(db, acme, "5")
        set_clock(admin, acme, local("UTC", 4))
        assert bill(db, acme) == "empty"
        assert issued(db, acme) == []
        asked = draft(db, acme, local("UTC", 3), local("UTC", 4))
        assert asked.line_items == ()


def test_an_organization_that_came_after_the_month_is_not_in_it(database: Database) -> None:
    with database.connect() as db:
        new_organization(db)
        assert list(month_end.plan_month(db, "2026-01")) == [[]]
        assert progress(db, "2026-01").organizations == 0


@pytest.mark.parametrize(
    ("scheduled", "month"),
    [
        ("2026-03-01T13:00:00+00:00", "2026-02"),
        ("2026-01-01T13:00:00+00:00", "2025-12"),
        ("2026-03-31T23:59:59+00:00", "2026-02"),
    ],
)
def test_the_month_is_that_before_the_scheduled_time(scheduled: str, month: str) -> None:
    assert month_end.month_before(datetime.fromisoformat(scheduled)) == month


def test_only_the_platform_plans_bills_and_looks(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db)
        with pytest.raises(Forbidden):
            month_end.get_progress(db, Caller(tenant=str(acme), subject="x"), MONTH)


INSTANTS = st.integers(0, 364 * 24 * 3600)


@settings(max_examples=15)
@given(
    charges=st.lists(
        st.tuples(INSTANTS, st.decimals("0.00000001", "9", places=8)), min_size=1, max_size=25
    ),
    moves=st.lists(st.tuples(INSTANTS, st.sampled_from(ZONES)), max_size=4),
    zone=st.sampled_from(ZONES),
    late_days=st.integers(0, 20),
)
def test_over_a_year_every_charge_is_billed_once_though_the_organization_moves(
    charges: list[tuple[int, Decimal]],
    moves: list[tuple[int, str]],
    zone: str,
    late_days: int,
    database: Database,
) -> None:
    """Moves to another time zone at any time; each month end comes when it may, or days later."""
    year = datetime(2031, 1, 1, 14, tzinfo=UTC)
    steps: list[tuple[datetime, str, Decimal | str]] = [
        *((year + timedelta(seconds=at), "charge", amount) for at, amount in charges),
        *((year + timedelta(seconds=at), "move", to) for at, to in moves),
    ]
    for month in range(1, 13):
        ends = datetime(2031 + month // 12, month % 12 + 1, 1, 13, tzinfo=UTC)
        steps.append((ends + timedelta(days=late_days), "bill", f"2031-{month:02}"))
    with database.connect() as db, database.admin() as admin:
        acme = new_organization(db, "1000", timezone=zone)
        set_clock(admin, acme, year)
        log_spend(db, acme, "1")
        for number, (at, kind, what) in enumerate(sorted(steps, key=lambda step: step[0]), 1):
            set_clock(admin, acme, at + number * MICROSECOND)
            if kind == "charge":
                charge(db, acme, f"{what:f}")
            elif kind == "move":
                change = profile.OrganizationChange(timezone=str(what))
                profile.update_organization(db, PLATFORM, acme, change)
            else:
                bill(db, acme, str(what))
        set_clock(admin, acme, datetime(2032, 2, 20, tzinfo=UTC))
        bill(db, acme, "2032-01")
        found = issued(db, acme)
    assert sum(one.subtotal_usd for one in found) == sum(amount for _, amount in charges)
    assert sum(line.requests for one in found for line in one.line_items) == len(charges)
    for one, following in itertools.pairwise(found):
        assert one.period_end <= following.period_start
