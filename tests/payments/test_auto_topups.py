"""A saved card is charged when credit runs low: once, within its limits, and not for ever."""

import contextlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synaxis_billing.caller import OrganizationNotFound
from synaxis_billing.ledger.transactions import InsufficientCredits
from synaxis_billing.payments import auto_topups, models, payments
from synaxis_billing.payments.advancing import advance
from synaxis_billing.payments.providers import NoAnswer
from synaxis_billing.webhooks import endpoints
from tests.conftest import Database
from tests.support import billing, steps
from tests.support.clock import set_clock
from tests.support.paying import FakeProvider, Payer, no_answer

HOUR = timedelta(hours=1)


def switch_on(
    payer: Payer, threshold: str = "20", target: str = "100", limit: str = "1000"
) -> auto_topups.AutoTopup:
    request = auto_topups.AutoTopupRequest.model_validate(
        {"threshold_usd": threshold, "target_usd": target, "monthly_limit_usd": limit}
    )
    return auto_topups.set_auto_topup(payer.db, steps.PLATFORM, payer.organization_id, request)


def shown(payer: Payer) -> auto_topups.AutoTopup:
    return auto_topups.get_auto_topup(payer.db, steps.PLATFORM, payer.organization_id)


def sweep(payer: Payer) -> list[UUID]:
    """What a minute's sweep claims for the organization of the payer, and brings forward."""
    claimed = [
        payment_id
        for organization_id, payment_id in auto_topups.claim_auto_topups(
            payer.access(), payer.rates, billing.ISSUER
        )
        if organization_id == payer.organization_id
    ]
    for payment_id in claimed:
        with contextlib.suppress(NoAnswer):
            advance(payer.access(), payer.organization_id, payment_id)
    return claimed


def topped_up(payer: Payer) -> list[models.Payment]:
    """The automatic payments, the oldest first."""
    page = payments.list_payments(payer.db, steps.PLATFORM, payer.organization_id, None, 100, None)
    return [one for one in reversed(page.items) if one.purpose == "auto_topup"]


def with_card(db: psycopg.Connection, credit: str = "25", **profile: Any) -> Payer:
    """A payer who has bought credit by a card, which is saved."""
    payer = Payer(db, steps.new_organization(db, **profile))
    payer.buy(credit)
    return payer


def spend(payer: Payer, amount: str) -> None:
    steps.charge(payer.db, payer.organization_id, amount)


def test_credit_is_bought_up_to_the_target_when_it_falls_below_the_threshold(
    database: Database,
) -> None:
    with database.connect() as db:
        payer = with_card(db)
        switch_on(payer)
        spend(payer, "5")
        assert sweep(payer) == []
        spend(payer, "0.01")
        assert len(sweep(payer)) == 1
        assert steps.available(db, payer.organization_id) == Decimal("100.00")
        [payment] = topped_up(payer)
        assert (payment.status, payment.credit_usd) == ("succeeded", Decimal("80.01"))
        assert sweep(payer) == []
        assert shown(payer).charged_this_month_usd == Decimal("80.01")
    assert database.audit().whole


def test_an_organization_that_is_not_there_is_told_from_one_without_automatic_topups(
    database: Database,
) -> None:
    with database.connect() as db:
        steps.new_organization(db)
        for ask in (auto_topups.get_auto_topup, auto_topups.delete_auto_topup):
            with pytest.raises(OrganizationNotFound):
                ask(db, steps.PLATFORM, UUID(int=7))


def test_a_purchase_switches_nothing_on(database: Database) -> None:
    with database.connect() as db:
        payer = with_card(db)
        with pytest.raises(auto_topups.AutoTopupNotFound):
            shown(payer)
        spend(payer, "25")
        assert sweep(payer) == []


def test_without_a_saved_card_there_is_nothing_to_charge(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db, "10"))
        with pytest.raises(auto_topups.NoSavedCard):
            switch_on(payer)


def test_credit_in_a_hold_or_about_to_expire_counts_as_gone(database: Database) -> None:
    with database.connect() as db:
        payer = with_card(db)
        switch_on(payer)
        steps.hold(db, payer.organization_id, "6")
        assert len(sweep(payer)) == 1
        assert steps.available(db, payer.organization_id) == 100


def test_there_is_never_a_second_one_under_way(database: Database) -> None:
    with database.connect() as db:
        payer = with_card(db)
        switch_on(payer)
        spend(payer, "20")
        payer.provider.fault = no_answer("charge")
        assert len(sweep(payer)) == 1
        auto_topups.delete_auto_topup(db, steps.PLATFORM, payer.organization_id)
        switch_on(payer)
        # Its answer was lost: it is asked for, and not paid under another key.
        assert sweep(payer) == []
        [payment] = topped_up(payer)
        assert payment.status in ("pending", "unknown")
        payer.provider.fault = lambda _operation, _when: None
        assert payer.settle(payment).status == "succeeded"
        assert payer.provider.charges == 1
        assert steps.available(db, payer.organization_id) == 100
    assert database.audit().whole


def test_a_month_has_a_limit_and_the_next_one_a_new_one(database: Database) -> None:
    with database.admin() as admin, database.connect() as db:
        payer = with_card(db, "10")
        switch_on(payer, "20", "100", "120.505")
        assert len(sweep(payer)) == 1
        spend(payer, "90")
        assert len(sweep(payer)) == 1
        assert [one.credit_usd for one in topped_up(payer)] == [Decimal(90), Decimal("30.50")]
        spend(payer, "40")
        assert sweep(payer) == []
        resumes = shown(payer).next_attempt_at
        assert resumes
        assert (resumes.day, resumes.hour) == (1, 0)
        set_clock(admin, resumes)
        assert len(sweep(payer)) == 1
        assert topped_up(payer)[-1].credit_usd == Decimal("99.50")


def test_a_declined_card_is_tried_less_and_less_and_then_no_more(database: Database) -> None:
    with database.admin() as admin, database.connect() as db:
        payer = with_card(db)
        endpoint = endpoints.NewWebhookEndpoint.model_validate({"url": "https://h.example.com/"})
        endpoints.create_endpoint(
            db, steps.PLATFORM, payer.organization_id, endpoint, private=False
        )
        switch_on(payer)
        spend(payer, "25")
        payer.provider.declines = "insufficient_funds"
        at = now(db)
        for hours in (1, 2, 4):
            set_clock(admin, at)
            assert len(sweep(payer)) == 1
            assert sweep(payer) == []
            told = shown(payer)
            assert told.paused_at is None
            assert told.next_attempt_at
            assert hours * HOUR <= told.next_attempt_at - at < hours * HOUR + HOUR / 2
            at = told.next_attempt_at
        set_clock(admin, at)
        assert len(sweep(payer)) == 1
        assert (shown(payer).declines, shown(payer).paused_reason) == (4, "insufficient_funds")
        set_clock(admin, at + timedelta(days=20))
        assert sweep(payer) == []
        # Switching off and on is no way around the breaker.
        auto_topups.delete_auto_topup(db, steps.PLATFORM, payer.organization_id)
        switch_on(payer)
        assert sweep(payer) == []
        assert payer.provider.charges == 4
        listed = endpoints.list_events(db, steps.PLATFORM, payer.organization_id, None, 100, None)
        paused = [one for one in listed.items if one.type == "auto_topup.paused"]
        assert len(paused) == 1
        assert paused[0].data["reason"] == "insufficient_funds"


def test_a_dead_card_is_charged_four_times_in_a_month_and_leaves_no_invoice(
    database: Database,
) -> None:
    """Swept each minute for four and a half hours, and then each six hours for 30 days, during
    which usage goes on."""
    with database.admin() as admin, database.connect() as db:
        payer = with_card(db, credit_limit_usd="1000")
        switch_on(payer)
        spend(payer, "25")
        payer.provider.declines = "card_declined"
        began = now(db)
        attempts = {}
        waits = [timedelta(minutes=minute) for minute in range(0, 270, 2)]
        waits += [timedelta(hours=hour) for hour in range(6, 30 * 24, 6)]
        for wait in waits:
            set_clock(admin, began + wait)
            sweep(payer)
            attempts[wait] = payer.provider.charges
        spend(payer, "1")
        assert attempts[timedelta(minutes=268)] == 3
        assert attempts[waits[-1]] == 4
        assert {one.status for one in topped_up(payer)} == {"failed"}
        # That of the credit that was bought before.
        [(to_invoice,)] = admin.execute("SELECT count(*) FROM billing.topups_to_invoice")
        assert to_invoice == 1
    assert database.audit().whole


@pytest.mark.parametrize("code", ["expired_card", "authentication_required", "stolen_card"])
def test_a_card_that_can_never_succeed_is_tried_once(code: str, database: Database) -> None:
    with database.admin() as admin, database.connect() as db:
        payer = with_card(db)
        switch_on(payer)
        spend(payer, "25")
        payer.provider.declines = code
        assert len(sweep(payer)) == 1
        assert shown(payer).paused_reason == code
        set_clock(admin, now(db) + timedelta(days=3))
        assert sweep(payer) == []


def test_a_payment_that_succeeds_ends_a_pause(database: Database) -> None:
    with database.connect() as db:
        payer = with_card(db)
        switch_on(payer)
        spend(payer, "25")
        payer.provider.declines = "expired_card"
        sweep(payer)
        payer.provider.declines = None
        payer.buy("1")
        assert (shown(payer).paused_at, shown(payer).declines) == (None, 0)
        assert len(sweep(payer)) == 1
        assert steps.available(db, payer.organization_id) == 100


def test_what_the_provider_refuses_is_no_decline_of_the_card(database: Database) -> None:
    with database.connect() as db:
        payer = with_card(db)
        switch_on(payer)
        spend(payer, "25")
        payer.provider.refuses = "parameter_invalid"
        assert len(sweep(payer)) == 1
        assert (shown(payer).declines, shown(payer).paused_at) == (0, None)
        assert sweep(payer) == []


def test_a_lost_dispute_pauses(database: Database) -> None:
    with database.connect() as db:
        payer = with_card(db)
        switch_on(payer)
        spend(payer, "25")
        sweep(payer)
        [payment] = topped_up(payer)
        payer.provider.made(payment).dispute()
        payer.settle(payment)
        payer.provider.made(payment).lose()
        payer.settle(payment)
        assert shown(payer).paused_reason == "dispute_lost"
        assert sweep(payer) == []


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_a_suspended_or_closed_organization_is_not_charged(status: str, database: Database) -> None:
    with database.connect() as db:
        payer = with_card(db)
        switch_on(payer)
        spend(payer, "25")
        steps.change_organization(db, payer.organization_id, status=status)
        assert sweep(payer) == []


def ending(when: str) -> Callable[[str, str], None]:
    """A fault: the process ends at the first call of the provider, before or after its effect."""

    def end(_operation: str, at: str) -> None:
        if at == when:
            raise SystemExit

    return end


@pytest.mark.parametrize("captured", [False, True], ids=["before the call", "after the call"])
def test_a_top_up_that_was_due_before_the_closing_is_credited_once_though_its_process_ends(
    captured: bool, database: Database
) -> None:
    with database.connect() as db:
        payer = with_card(db)
        switch_on(payer)
        spend(payer, "25")
        payer.provider.fault = ending("after" if captured else "before")
        with pytest.raises(SystemExit):
            sweep(payer)
        assert payer.provider.charges == int(captured)
        steps.change_organization(db, payer.organization_id, status="closed")
        payer.provider.fault = lambda _operation, _when: None
        [payment] = topped_up(payer)
        assert payment.status == "pending"
        assert payer.settle(payment).credited_usd == Decimal(100)
        assert payer.provider.charges == 1


def test_a_charge_without_an_answer_before_the_closing_is_found_and_credited(
    database: Database,
) -> None:
    with database.connect() as db:
        payer = with_card(db)
        switch_on(payer)
        spend(payer, "25")
        payer.provider.fault = no_answer("charge", "after")
        sweep(payer)
        steps.change_organization(db, payer.organization_id, status="closed")
        payer.provider.fault = lambda _operation, _when: None
        [payment] = topped_up(payer)
        assert payer.settle(payment).credited_usd == Decimal(100)
        assert payer.provider.charges == 1


def use(payer: Payer) -> None:
    for _ in range(150):
        with contextlib.suppress(InsufficientCredits):
            spend(payer, "1")


def bring_forward(payer: Payer) -> None:
    """Sweep, and ask for what is under way, as several workers do at once."""
    for _ in range(60):
        sweep(payer)
        under_way = [one for one in topped_up(payer) if one.status in models.OPEN]
        assert len(under_way) <= 1
        for payment in under_way:
            with contextlib.suppress(NoAnswer):
                payer.settle(payment)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), limit=st.sampled_from(["150", "400"]))
def test_thousands_of_charges_and_sweeps_at_once_never_pay_twice_nor_beyond_the_limit(
    seed: int, limit: str, database: Database
) -> None:
    """With a provider that fails before and after its effect, at random."""
    chance = random.Random(seed)
    provider = FakeProvider()

    def fail(_operation: str, _when: str) -> None:
        if chance.random() < 0.3:
            raise NoAnswer("timed out")

    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db), provider)
        payer.buy("25")
        switch_on(payer, "20", "100", limit)

        def work(does: Callable[[Payer], None]) -> None:
            with database.connect() as own:
                does(Payer(own, payer.organization_id, provider))

        provider.fault = fail
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, [use, bring_forward] * 3))
        provider.fault = lambda _operation, _when: None
        for payment in topped_up(payer):
            payer.settle(payment)
        paid = [one for one in topped_up(payer) if one.status == "succeeded"]
        assert paid
        assert provider.charges == len(paid)
        assert sum(one.credited_usd for one in paid) <= Decimal(limit)
    assert database.audit().whole


def now(db: psycopg.Connection) -> datetime:
    row = db.execute("SELECT billing.now()").fetchone()
    assert row
    found: datetime = row[0]
    return found
