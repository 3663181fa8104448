"""An invoice that is not paid is asked for four times, then given up, and can still be paid."""

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest

from synaxis_billing.cache import Cache
from synaxis_billing.invoices import dunning, invoices
from synaxis_billing.ledger.transactions import OrganizationSuspended
from synaxis_billing.organizations import profile
from synaxis_billing.payments import links
from synaxis_billing.webhooks import endpoints
from tests.conftest import Database
from tests.support import steps
from tests.support.billing import draft, get_invoice, issue, pay
from tests.support.clock import set_clock
from tests.support.paying import Payer

DAY = timedelta(days=1)
ZONE = "Pacific/Auckland"


@pytest.fixture
def unpaid(database: Database) -> invoices.Invoice:
    """An issued invoice of usage on account."""
    with database.connect() as db:
        acme = steps.new_organization(db, credit_limit_usd="100", timezone=ZONE)
        steps.charge(db, acme, "10")
        return issue(db, draft(db, acme))


def run_on(
    admin: psycopg.Connection, db: psycopg.Connection, day: date, suspend: bool = False
) -> int:
    """What the schedule does on a local day, at noon."""
    set_clock(admin, datetime.combine(day, time(12), ZoneInfo(ZONE)))
    invoices.mark_overdue(lambda: db)
    return dunning.dun(lambda: db, suspend)


def told(db: psycopg.Connection, organization_id: UUID, kind: str) -> list[dict[str, Any]]:
    """The data of the events of a kind, the oldest first."""
    page = endpoints.list_events(db, steps.PLATFORM, organization_id, None, 100, None)
    return [one.data for one in reversed(page.items) if one.type == kind]


def organization(db: psycopg.Connection, organization_id: UUID) -> profile.Organization:
    return profile.get_organization(lambda: db, Cache(None), steps.PLATFORM, organization_id)


def test_reminders_come_on_days_0_3_5_and_7_and_then_it_is_given_up(
    database: Database, unpaid: invoices.Invoice
) -> None:
    assert unpaid.due_date
    first = unpaid.due_date + DAY
    with database.admin() as admin, database.connect() as db:
        ran = {}
        for number in range(-1, 12):
            day = first + number * DAY
            ran[number] = run_on(admin, db, day)
            # The schedule runs each hour.
            assert dunning.dun(lambda: db, False) == 0
        assert [number for number, count in ran.items() if count] == [0, 3, 5, 7, 8]
        reminders = told(db, unpaid.organization_id, "invoice.payment_failed")
        assert [one["overdue_days"] for one in reminders] == [0, 3, 5, 7]
        assert [one["reminder"] for one in reminders] == [1, 2, 3, 4]
        assert [one["next_reminder_on"] for one in reminders] == [
            *(f"{first + days * DAY}" for days in (3, 5, 7)),
            None,
        ]
        assert len(told(db, unpaid.organization_id, "invoice.uncollectible")) == 1
        found = get_invoice(db, unpaid.organization_id, unpaid.id)
        assert found.status == "uncollectible"
        # It can still be paid, as before, by a link too.
        ids = (unpaid.organization_id, unpaid.id)
        link = links.create_link(db, steps.PLATFORM, *ids, links.NewPaymentLink())
        asked = links.get_linked_invoice(db, link.token)
        assert (asked.status, asked.amount) == ("uncollectible", unpaid.amount_due_billing_currency)
        assert pay(db, found).status == "paid"
    assert database.audit().whole


def test_attempts_of_the_payer_use_up_no_reminder(
    database: Database, unpaid: invoices.Invoice
) -> None:
    """And the payer is told from the first day on, not only when all has been tried."""
    assert unpaid.due_date
    with database.admin() as admin, database.connect() as db:
        payer = Payer(db, unpaid.organization_id)
        for number in range(1, 9):
            run_on(admin, db, unpaid.due_date + number * DAY)
            for _ in range(3):
                attempt = payer.ask_for_invoice(unpaid.id)
                payer.provider.made(attempt).declined = "card_declined"
                assert payer.settle(attempt).status == "failed"
        reminders = told(db, unpaid.organization_id, "invoice.payment_failed")
        assert [one["overdue_days"] for one in reminders] == [0, 3, 5, 7]
        assert get_invoice(db, unpaid.organization_id, unpaid.id).status == "overdue"
    assert database.audit().whole


def test_a_schedule_that_stood_still_skips_no_reminder(
    database: Database, unpaid: invoices.Invoice
) -> None:
    assert unpaid.due_date
    with database.admin() as admin, database.connect() as db:
        for number in range(40, 46):
            run_on(admin, db, unpaid.due_date + number * DAY)
        reminders = told(db, unpaid.organization_id, "invoice.payment_failed")
        assert [one["reminder"] for one in reminders] == [1, 2, 3, 4]
        assert get_invoice(db, unpaid.organization_id, unpaid.id).status == "uncollectible"


def test_what_was_paid_is_not_asked_for(database: Database, unpaid: invoices.Invoice) -> None:
    assert unpaid.due_date
    with database.admin() as admin, database.connect() as db:
        run_on(admin, db, unpaid.due_date + DAY)
        pay(db, unpaid)
        for number in range(2, 20):
            assert run_on(admin, db, unpaid.due_date + number * DAY) == 0


def test_an_organization_is_suspended_by_setting_until_it_has_paid(
    database: Database, unpaid: invoices.Invoice
) -> None:
    assert unpaid.due_date
    acme = unpaid.organization_id
    with database.admin() as admin, database.connect() as db:
        held = steps.hold(db, acme, "1", expires_in_seconds=86400)
        for number in range(1, 11):
            run_on(admin, db, unpaid.due_date + number * DAY, suspend=True)
        with pytest.raises(OrganizationSuspended):
            steps.charge(db, acme, "1")
        with pytest.raises(OrganizationSuspended):
            steps.hold(db, acme, "1")
        # The call was made: it is paid for.
        assert steps.capture(db, held, "1").amount_usd == -1
        shown = organization(db, acme)
        assert (shown.status, shown.suspended_because) == ("suspended", "unpaid_invoice")
        pay(db, unpaid)
        shown = organization(db, acme)
        assert (shown.status, shown.suspended_because) == ("active", None)
        steps.charge(db, acme, "1")
    assert database.audit().whole


def test_a_payment_does_not_take_back_what_the_platform_decided(
    database: Database, unpaid: invoices.Invoice
) -> None:
    assert unpaid.due_date
    acme = unpaid.organization_id
    with database.admin() as admin, database.connect() as db:
        for number in range(1, 11):
            run_on(admin, db, unpaid.due_date + number * DAY, suspend=True)
        steps.change_organization(db, acme, status="suspended")
        pay(db, unpaid)
        shown = organization(db, acme)
        assert (shown.status, shown.suspended_because) == ("suspended", None)


def test_an_invoice_that_is_paid_is_given_up_by_nobody(
    database: Database, unpaid: invoices.Invoice
) -> None:
    with database.connect() as db, database.admin() as admin:
        pay(db, unpaid)
        with pytest.raises(psycopg.errors.RestrictViolation):
            admin.execute(
                "UPDATE billing.invoices SET status = 'uncollectible' WHERE id = %s", [unpaid.id]
            )
