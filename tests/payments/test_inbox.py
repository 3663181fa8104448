"""A provider's event says which payment to ask for, is kept until that is settled, and is booked by
no number of its own."""

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from synaxis_billing.caller import Caller
from synaxis_billing.errors import Forbidden
from synaxis_billing.payments import inbox
from synaxis_billing.payments.providers import Call, NoAnswer, Notice, Result
from tests.conftest import Database
from tests.support import steps
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


def test_events_that_name_no_known_payment_are_listed_until_it_appears(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        receive(db, "evt_of_another_system", "ch_other")
        payment = payer.ask_for("10")
        receive(db, "evt_known", str(payment.id))
        for number in range(4):
            receive(db, f"evt_{number}", f"ch_{number}")
        listed, cursor = [], None
        while True:
            page = inbox.list_unmatched(db, steps.PLATFORM, 2, cursor)
            listed += [event.event_id for event in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert listed == ["evt_3", "evt_2", "evt_1", "evt_0", "evt_of_another_system"]
        assert page.items[-1].external_ids == ["ch_other"]
        with pytest.raises(Forbidden):
            inbox.list_unmatched(db, Caller(tenant=str(payer.organization_id)), 10, None)


def test_events_of_one_instant_are_on_one_page(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        for number in range(5):
            receive(db, f"evt_{number}", f"ch_{number}")
        admin.execute("UPDATE billing.payment_events SET received_at = '2026-01-01T00:00:00Z'")
        page = inbox.list_unmatched(db, steps.PLATFORM, 2, None)
        assert [event.event_id for event in page.items] == [f"evt_{number}" for number in range(5)]
        assert page.next_cursor is None
