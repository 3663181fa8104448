"""A payment is made once, whatever is lost, repeated, or done at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import Conflict, Forbidden, TemporarilyUnavailable
from synaxis_billing.idempotency import IdempotencyKeyReused
from synaxis_billing.invoices import invoices
from synaxis_billing.paging import Page
from synaxis_billing.payments import links, models, payments, refunds
from synaxis_billing.payments.advancing import advance, due_payments
from synaxis_billing.payments.paypal import to_value
from synaxis_billing.payments.providers import NoAnswer, Refused
from synaxis_billing.payments.stripe import from_units, to_units
from tests.conftest import Database
from tests.support import billing, steps
from tests.support.paying import Payer, no_answer


def test_a_lost_answer_leaves_the_payment_unknown_and_the_retry_completes_it(
    database: Database,
) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        for when in ("before", "after"):
            payer.provider.fault = no_answer("check_out", when)
            with pytest.raises(TemporarilyUnavailable):
                payer.ask_for("10", key="once")
        [unknown] = payments.list_payments(
            db, steps.PLATFORM, payer.organization_id, None, 10, None
        ).items
        assert unknown.status == "unknown"
        payer.provider.fault = lambda _operation, _when: None
        payment = payer.ask_for("10", key="once")
        assert payment.id == unknown.id
        assert payment.status == "pending"
        assert len(payer.provider.objects) == 1
    assert database.audit().whole


def test_a_key_makes_one_payment(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        first = payer.ask_for("10", key="k")
        assert payer.ask_for("10", key="k").id == first.id
        with pytest.raises(IdempotencyKeyReused):
            payer.ask_for("11", key="k")


def test_a_payment_that_the_provider_refuses_has_failed(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payer.provider.refuses = "amount_too_small"
        with pytest.raises(models.PaymentRefused) as refused:
            payer.ask_for("0.01")
        assert refused.value.facts == {"failure_code": "amount_too_small"}


def test_another_tenants_payment_is_not_found(database: Database) -> None:
    with database.connect() as db:
        payer, other = (Payer(db, steps.new_organization(db)) for _ in range(2))
        payment = payer.ask_for("10")
        mine = Caller(tenant=str(other.organization_id))
        with pytest.raises(models.PaymentNotFound):
            payments.get_payment(other.access(mine), other.organization_id, payment.id)


def test_two_settlements_at_once_credit_once(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        payer.provider.made(payment).paid = payment.amount
    together = threading.Barrier(8)

    def settle(_number: int) -> models.Payment:
        with database.connect() as own:
            one = Payer(own, payer.organization_id, payer.provider)
            together.wait()
            return one.settle(payment)

    with ThreadPoolExecutor(8) as pool:
        settled = list(pool.map(settle, range(8)))
    assert {one.status for one in settled} == {"succeeded"}
    assert len({one.transaction_id for one in settled}) == 1
    with database.connect() as db:
        assert steps.available(db, payer.organization_id) == 10
    assert database.audit().whole


def test_an_older_answer_undoes_nothing(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("10")
        ids = {"organization_id": payer.organization_id, "payment_id": payment.id}

        def as_of() -> str:
            outcome = procedures.call(db, "payment_order", tenant="*", **ids)
            return str(procedures.accepted(outcome)[0]["as_of"])

        asked_before = as_of()
        payer.provider.made(payment).refunded = Decimal(4)
        payer.settle(payment)
        old = {"status": "succeeded", "currency": "USD", "captured": "10", "refunded": "0"}
        old |= {"disputed": "0", "lost": "0"}
        state = Jsonb({**old, "external_ids": [], "refunds": []})
        procedures.call(db, "settle_payment", tenant="*", **ids, as_of=asked_before, state=state)
        assert steps.available(db, payer.organization_id) == 6


def test_a_payment_in_another_currency_is_not_booked(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        made = payer.provider.made(payment)
        made.paid = payment.amount
        made.order = made.order.model_copy(update={"currency": "EUR"})
        with pytest.raises(Conflict):
            payer.settle(payment)
        assert steps.available(db, payer.organization_id) == 0


def test_the_rate_of_a_payment_is_recorded_with_it(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db, billing_currency="BRL"))
        payer.rates = billing.rates(BRL="5.4321")
        payment = payer.buy("100")
        assert (payment.exchange_rate, payment.rate_source) == (Decimal("5.4321"), "ecb")
        assert payment.amount == Decimal("543.21")


def test_a_preview_says_what_the_payment_asks_for(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(
            db, billing_currency="EUR", tax={"label": "VAT", "rate_percent": "19"}
        )
        payer = Payer(db, organization_id)
        request = models.PreviewRequest.model_validate({"amount_usd": "12.34"})
        preview = payments.preview_payment(
            db, steps.PLATFORM, organization_id, request, payer.rates, billing.ISSUER
        )
        payment = payer.ask_for("12.34")
        assert preview.amount == payment.amount == preview.net + preview.tax
        assert preview.tax == payment.tax > 0


def test_lost_webhooks_delay_credit_and_lose_nothing(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        assert list(due_payments(payer.access())) == []
        with database.admin() as admin:
            admin.execute(
                "UPDATE billing.payments SET next_ask_at = next_ask_at - interval '1 minute'"
            )
        assert list(due_payments(payer.access())) == [(payer.organization_id, payment.id)]
        # Claimed: another sweep takes it later.
        assert list(due_payments(payer.access())) == []


def test_a_refund_without_an_answer_freezes_the_credit_and_is_made_once(
    database: Database,
) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("10")
        payer.provider.fault = no_answer("refund")
        refund = payer.refund(payment, "4", key="r")
        assert refund.status == "pending"
        assert steps.available(db, payer.organization_id) == 6
        payer.provider.fault = lambda _operation, _when: None
        payer.settle(payment)
        assert payer.refund(payment, "4", key="r").status == "succeeded"
        assert payer.provider.made(payment).refunded == 4
        assert steps.available(db, payer.organization_id) == 6
    assert database.audit().whole


def test_a_refused_refund_gives_the_credit_free_again(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("10")
        payer.provider.refuses = "charge_already_refunded"
        with pytest.raises(models.PaymentRefused):
            payer.refund(payment, "4")
        assert steps.available(db, payer.organization_id) == 10
    assert database.audit().whole


def test_only_unspent_credit_is_refunded_unless_asked_for(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("10")
        steps.charge(db, payer.organization_id, "7")
        with pytest.raises(refunds.RefundExceedsPayment) as refused:
            payer.refund(payment, "4")
        assert refused.value.facts == {"refundable_usd": "3.00", "required_usd": "4.00"}
        assert payer.refund(payment, "4", allow_negative_balance=True).credit_usd == 4
        assert steps.available(db, payer.organization_id) == -1
    assert database.audit().whole


def test_a_refund_leaves_what_holds_need(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("10")
        held = steps.hold(db, payer.organization_id, "6")
        assert payer.refund(payment).credit_usd == 4
        steps.capture(db, held, "6")
    assert database.audit().whole


def test_partial_refunds_add_up_to_exactly_what_was_given(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(
            db, billing_currency="EUR", tax={"label": "VAT", "rate_percent": "19"}
        )
        payer = Payer(db, organization_id)
        payer.rates = billing.rates("0.8713")
        payment = payer.buy("33.33")
        for part in ("7.77", "0.33", "11.11"):
            payer.refund(payment, part)
        payer.refund(payment)
        done = payer.get(payment)
        assert done.refunded == done.captured
        assert done.paid_out_usd == Decimal("33.33")
        assert steps.available(db, organization_id) == 0
    assert database.audit().whole


def _invoice(payer: Payer, amount_usd: str = "40") -> invoices.Invoice:
    """An issued invoice of usage on account."""
    steps.change_organization(payer.db, payer.organization_id, credit_limit_usd="100")
    steps.charge(payer.db, payer.organization_id, amount_usd)
    return billing.issue(payer.db, billing.draft(payer.db, payer.organization_id))


def test_an_invoice_has_one_open_payment_and_is_paid_by_it(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        invoice = _invoice(payer)
        payment = payer.ask_for_invoice(invoice.id)
        assert payment.amount == invoice.amount_due_billing_currency
        assert payer.ask_for_invoice(invoice.id).id == payment.id
        with pytest.raises(Conflict):
            payer.ask_for_invoice(invoice.id, provider="paypal")
        payer.provider.made(payment).paid = payment.amount
        paid = payer.settle(payment)
        assert (paid.status, paid.invoice_id) == ("succeeded", invoice.id)
        with pytest.raises(Conflict, match="The invoice is paid"):
            payer.ask_for_invoice(invoice.id)
    assert database.audit().whole


def test_a_second_success_for_an_invoice_becomes_credit(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        invoice = _invoice(payer)
        payment = payer.ask_for_invoice(invoice.id)
        # The platform is told that it was paid by other means.
        billing.pay(db, invoice)
        before = steps.available(db, payer.organization_id)
        payer.provider.made(payment).paid = payment.amount
        assert payer.settle(payment).credited_usd == 40
        assert steps.available(db, payer.organization_id) - before == 40
    assert database.audit().whole


def test_a_payment_after_an_erasure_is_credited(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        steps.erase(db, payer.organization_id)
        payer.provider.made(payment).paid = payment.amount
        payer.settle(payment)
        assert steps.available(db, payer.organization_id) == 10
    assert database.audit().whole


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("10.50", "USD", 1050),
        ("1050", "JPY", 1050),
        ("5000", "UGX", 500000),
        ("1.230", "KWD", 1230),
        ("100", "MGA", 100),
    ],
)
def test_stripe_gets_minor_units_of_its_own_list(amount: str, currency: str, units: int) -> None:
    assert to_units(Decimal(amount), currency) == units
    assert from_units(units, currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "currency"), [("1.234", "KWD"), ("10.5", "JPY"), ("1.005", "USD")]
)
def test_an_amount_that_stripe_cannot_charge_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(Refused):
        to_units(Decimal(amount), currency)


def test_paypal_gets_no_decimals_where_it_takes_none() -> None:
    assert to_value(Decimal("1050.00"), "HUF") == "1050"
    assert to_value(Decimal("10.5"), "EUR") == "10.50"
    with pytest.raises(Refused):
        to_value(Decimal("10.50"), "HUF")


def test_the_worker_tries_again_without_an_answer(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        payer.provider.fault = no_answer("ask", "before")
        with pytest.raises(NoAnswer):
            payer.settle(payment)
        # The API shows what is known.
        assert payer.get(payment).status == "pending"


def test_a_link_pays_its_invoice_alone_until_it_expires(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        invoice = _invoice(payer)
        ids = (payer.organization_id, invoice.id)
        asked = links.NewPaymentLink(expires_in_seconds=3600)
        link = links.create_link(db, steps.PLATFORM, *ids, asked)
        assert links.get_linked_invoice(db, link.token).amount == 40
        request = links.LinkPaymentRequest(provider="stripe")

        def pay(token: str) -> links.LinkedPayment:
            access = payer.access(Caller(tenant=""))
            return links.pay_by_link(access, token, request, payer.rates, billing.ISSUER)

        opened = pay(link.token)
        assert opened.checkout_url == pay(link.token).checkout_url
        [made] = payer.provider.objects.values()
        made.paid = made.order.amount
        advance(payer.access(), payer.organization_id, made.order.id)
        assert links.get_linked_invoice(db, link.token).status == "paid"
        other = link.token[:-1] + ("A" if link.token[-1] != "A" else "B")
        for token in (other[:-4], "x", "", link.token[:-2] + "__", "é"):
            with pytest.raises(links.PaymentLinkNotFound):
                links.get_linked_invoice(db, token)
        with database.admin() as admin:
            admin.execute("UPDATE billing.payment_links SET expires_at = billing.now()")
        with pytest.raises(links.PaymentLinkNotFound):
            pay(link.token)
    assert database.audit().whole


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
