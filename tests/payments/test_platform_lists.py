"""The platform finds payments in doubt, disputes, and webhooks that name no known payment."""

import pytest

from synaxis_billing.caller import Caller
from synaxis_billing.errors import Forbidden, TemporarilyUnavailable
from synaxis_billing.paging import Page
from synaxis_billing.payments import inbox, models, payments
from tests.conftest import Database
from tests.payments.test_inbox import receive
from tests.support import steps
from tests.support.paying import Payer, no_answer


def test_the_platform_finds_payments_in_doubt_and_disputes_of_all_organizations(
    database: Database,
) -> None:
    with database.connect() as db:
        first, second = (Payer(db, steps.new_organization(db)) for _ in range(2))
        second.provider = first.provider
        disputed, bought = first.buy("10"), second.buy("20")
        first.provider.made(disputed).dispute()
        first.settle(disputed)
        first.provider.fault = no_answer("check_out", "before")
        with pytest.raises(TemporarilyUnavailable):
            second.ask_for("30", "in doubt")

        def listed(cursor: str | None = None, **of: str) -> Page[models.PlatformPayment]:
            asked = models.PaymentFilter.model_validate(of)
            return payments.list_platform_payments(db, steps.PLATFORM, asked, 2, cursor)

        [doubtful] = listed(status="unknown").items
        assert doubtful.organization_id == second.organization_id
        [open_dispute] = listed(dispute_state="open").items
        assert open_dispute.id == disputed.id
        assert listed(dispute_state="lost").items == []
        page = listed()
        rest = listed(page.next_cursor)
        assert [of.id for of in page.items + rest.items] == [doubtful.id, bought.id, disputed.id]
        assert rest.next_cursor is None
        with pytest.raises(Forbidden):
            payments.list_platform_payments(
                db, Caller(tenant=str(first.organization_id)), models.PaymentFilter(), 2, None
            )


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
