"""A payment is asked for at its provider later and later, and sooner when an event says that there
is something to ask for."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from synaxis_billing.errors import NotFound
from synaxis_billing.payments import inbox, payments
from synaxis_billing.payments.providers import Call, Notice, Result
from tests.conftest import Database
from tests.support import steps
from tests.support.paying import Payer


def receive(db: psycopg.Connection, event_id: str, external_id: str) -> list[inbox.ToSettle]:
    notice = Notice(event_id=event_id, type="charge.refunded", external_ids=[external_id])

    def verified(_call: Call) -> Result:
        return Result(notice=notice)

    return inbox.receive_event(db, verified, "stripe", b"{}", {}, datetime.now(UTC))


@pytest.mark.parametrize(
    ("paid", "age", "later"),
    [
        (False, "0 s", "1 minute"),
        (False, "10 minutes", "10 minutes"),
        (False, "2 hours", "1 hour"),
        (True, "0 s", "1 hour"),
        (True, "3 days", "3 days"),
        (True, "399 days", "7 days"),
        (True, "400 days", "infinity"),
    ],
)
def test_a_payment_is_asked_for_later_and_later(
    database: Database, paid: bool, age: str, later: str
) -> None:
    with database.connect() as db, database.admin() as admin:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        if paid:
            payer.provider.made(payment).paid = payment.amount
        admin.execute("UPDATE billing.payments SET created_at = created_at - %s::interval", [age])
        payer.settle(payment)
        [(as_promised,)] = admin.execute(
            "SELECT date_trunc('minute', next_ask_at - updated_at + interval '10 seconds')"
            " = %s::interval FROM billing.payments",
            [later],
        ).fetchall()
        assert as_promised


@pytest.mark.parametrize(("age", "later"), [("47 hours", "1 day"), ("48 hours", "infinity")])
def test_a_payment_that_has_failed_is_asked_for_two_more_days(
    database: Database, age: str, later: str
) -> None:
    with database.connect() as db, database.admin() as admin:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        payer.provider.made(payment).expired = True
        admin.execute("UPDATE billing.payments SET created_at = created_at - %s::interval", [age])
        payer.settle(payment)
        [(as_promised,)] = admin.execute(
            "SELECT next_ask_at - updated_at = %s::interval FROM billing.payments", [later]
        ).fetchall()
        assert as_promised


def test_a_payment_with_an_event_that_is_not_done_is_asked_for_in_a_minute(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("10")

        def come_meanwhile(operation: str, _when: str) -> None:
            if operation == "ask":
                receive(db, "evt_1", str(payment.id))

        payer.provider.fault = come_meanwhile
        payer.settle(payment)
        [(later,)] = admin.execute("SELECT next_ask_at - updated_at FROM billing.payments")
        assert later == timedelta(minutes=1)


def test_a_payment_takes_no_event_of_another_object(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        made = payer.provider.made(payment)
        made.paid = payment.amount
        receive(db, "evt_1", f"ch_{made.external_id}")
        receive(db, "evt_2", "ch_of_somebody_else")
        payer.settle(payment)
        owners = admin.execute("SELECT event_id, payment_id FROM billing.payment_events ORDER BY 1")
        assert owners.fetchall() == [("evt_1", payment.id), ("evt_2", None)]


def test_the_payments_of_an_unknown_organization_are_not_found(database: Database) -> None:
    with database.connect() as db, pytest.raises(NotFound):
        payments.list_payments(db, steps.PLATFORM, uuid4(), None, 10, None)
