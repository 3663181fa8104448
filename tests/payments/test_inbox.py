"""A provider's event says which payment to ask for, is kept until that is settled, and is booked by
no number of its own."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from synaxis_billing.payments import inbox
from synaxis_billing.payments.providers import Call, NoAnswer, Notice, Result
from tests.conftest import Database
from tests.support import steps
from tests.support.clock import move_clock
from tests.support.paying import Payer, no_answer


def receive(
    db: psycopg.Connection, event_id: str, *external_ids: str, kind: str = "charge.refunded"
) -> list[inbox.ToSettle]:
    """Receive a webhook that is verified."""
    notice = Notice(event_id=event_id, type=kind, external_ids=list(external_ids))

    def verified(call: Call) -> Result:
        assert call.operation == "verify"
        return Result(notice=notice)

    body = b'{"amount_refunded": 999999}'
    return inbox.receive_event(db, verified, "stripe", body, {}, datetime.now(UTC))


def open_events(database: Database) -> list[Any]:
    with database.admin() as admin:
        return [
            row[0]
            for row in admin.execute(
                "SELECT event_id FROM billing.payment_events WHERE settled_at IS NULL ORDER BY 1"
            )
        ]


def test_the_same_event_at_once_and_again_is_one(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        payer.provider.made(payment).paid = payment.amount
        for _ in range(2):
            [found] = receive(db, "evt_1", str(payment.id))
            assert found.payment_id == payment.id
        payer.settle(payment)
        assert receive(db, "evt_1", str(payment.id)) == []
        assert steps.available(db, payer.organization_id) == 10
    assert open_events(database) == []


def test_webhooks_of_one_fact_at_the_same_moment_credit_once(database: Database) -> None:
    """The same event twice, and two types of event, each with a worker of its own."""
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        payer.provider.made(payment).paid = payment.amount
    together = threading.Barrier(6)

    def deliver(number: int) -> None:
        with database.connect() as own:
            worker = Payer(own, payer.organization_id, payer.provider)
            together.wait()
            for _ in receive(own, f"evt_{number % 2}", str(payment.id), kind=f"type.{number % 2}"):
                worker.settle(payment)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(deliver, range(6)))
    with database.connect() as db:
        assert steps.available(db, payer.organization_id) == 10
        assert len(steps.list_grants(db, payer.organization_id)) == 1
        Payer(db, payer.organization_id, payer.provider).settle(payment)
    assert open_events(database) == []
    assert database.audit().whole


def test_an_event_is_done_by_the_settlement_and_not_before(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("10")
        receive(db, "evt_1", str(payment.id))
        payer.provider.fault = no_answer("ask", "before")
        with pytest.raises(NoAnswer):
            payer.settle(payment)
        assert open_events(database) == ["evt_1"]
        payer.provider.fault = lambda _operation, _when: None
        payer.settle(payment)
    assert open_events(database) == []


def test_an_event_that_comes_while_the_provider_is_asked_is_asked_for_again(
    database: Database,
) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("10")

        def come_meanwhile(operation: str, _when: str) -> None:
            if operation == "ask":
                receive(db, "evt_1", str(payment.id))

        payer.provider.fault = come_meanwhile
        payer.settle(payment)
        assert open_events(database) == ["evt_1"]
        payer.provider.fault = lambda _operation, _when: None
        payer.settle(payment)
    assert open_events(database) == []


def test_an_event_of_an_unknown_object_waits_for_its_payment(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        payer.provider.made(payment).paid = payment.amount
        # Nobody has asked yet, so the charge is not known to belong to the payment.
        charge = f"ch_{payer.provider.made(payment).external_id}"
        assert receive(db, "evt_1", charge) == []
        assert receive(db, "evt_2", "ch_of_somebody_else") == []
        payer.settle(payment)
    assert open_events(database) == ["evt_2"]


def test_an_events_numbers_are_never_booked(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("10")
        receive(db, "evt_1", str(payment.id))
        payer.settle(payment)
        assert steps.available(db, payer.organization_id) == 10


def test_an_object_belongs_to_one_payment(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        first, second = payer.buy("10"), payer.ask_for("10")
        made = payer.provider.made(second)
        made.external_id = payer.provider.made(first).external_id
        made.paid = second.amount
        with pytest.raises(psycopg.errors.RaiseException, match="belongs to another payment"):
            payer.settle(second)
        assert steps.available(db, payer.organization_id) == 10
    assert database.audit().whole


def test_bodies_of_events_end_after_30_days_whether_or_not_their_object_is_known(
    database: Database,
) -> None:
    def bodies(admin: psycopg.Connection) -> dict[str, bool]:
        rows = admin.execute("SELECT event_id, body <> '' FROM billing.payment_events")
        return {str(event_id): kept for event_id, kept in rows}

    with database.connect() as db, database.admin() as admin:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        charge = f"ch_{payer.provider.made(payment).external_id}"
        receive(db, "evt_of_nobody", "ch_of_somebody_else")
        receive(db, "evt_early", charge)
        receive(db, "evt_settled", str(payment.id))
        payer.settle(payment)
        move_clock(admin, timedelta(days=29))
        receive(db, "evt_new", "ch_of_another_one")
        assert inbox.empty_old_events(db) == 0
        move_clock(admin, timedelta(days=2))
        assert inbox.empty_old_events(db) == 3
        assert bodies(admin) == {
            "evt_of_nobody": False,
            "evt_early": False,
            "evt_settled": False,
            "evt_new": True,
        }
        assert inbox.empty_old_events(db) == 0
        # The event itself is still known, and still finds its payment.
        assert receive(db, "evt_of_nobody", "ch_of_somebody_else") == []
        made = payer.provider.made(payment)
        made.external_id, made.paid = "of_somebody_else", payment.amount
        assert payer.settle(payment).status == "succeeded"
        assert not bodies(admin)["evt_of_nobody"]
    assert open_events(database) == ["evt_new"]


def test_one_run_empties_any_number_of_bodies(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        admin.execute(
            "INSERT INTO billing.payment_events (provider, event_id, type, external_ids, body,"
            " received_at) SELECT 'stripe', 'evt_' || n, 'x', '{}', 'body',"
            " billing.now() - interval '31 days' - n * interval '1 second'"
            " FROM generate_series(1, 2500) AS n"
        )
        assert inbox.empty_old_events(db) == 2500
