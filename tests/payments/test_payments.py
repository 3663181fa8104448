"""A payment is made once, whatever is lost, repeated, or done at once."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import Conflict, TemporarilyUnavailable
from synaxis_billing.idempotency import IdempotencyKeyReused
from synaxis_billing.invoices import invoices
from synaxis_billing.payments import links, models, payments, refunds
from synaxis_billing.payments.advancing import advance, due_payments
from synaxis_billing.payments.paypal import to_value
from synaxis_billing.payments.providers import NoAnswer, Refused
from synaxis_billing.payments.stripe import from_units, to_units
from tests.conftest import Database
from tests.support import billing, steps
from tests.support.paying import Payer, no_answer
from tests.support.running import PATIENCE_SECONDS, wait_until


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


def test_two_payments_of_an_invoice_that_both_succeed_pay_it_once_and_bring_credit(
    database: Database,
) -> None:
    """The first one's page had expired when the second was asked for; its bank was slow."""
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        invoice = _invoice(payer)
        first = payer.ask_for_invoice(invoice.id)
        payer.provider.made(first).expired = True
        assert payer.settle(first).status == "expired"
        second = payer.ask_for_invoice(invoice.id)
        assert second.id != first.id
        before = steps.available(db, payer.organization_id)
        for payment in (second, first):
            payer.provider.made(payment).paid = payment.amount
            assert payer.settle(payment).status == "succeeded"
        # The invoice's debt is settled, and the second 40 are credit.
        assert steps.available(db, payer.organization_id) - before == 80
        assert len(steps.list_grants(db, payer.organization_id)) == 2
        assert billing.get_invoice(db, payer.organization_id, invoice.id).status == "paid"
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


def test_the_token_of_a_link_has_128_random_bits(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        ids = (payer.organization_id, _invoice(payer).id)
        tokens = [
            base64.urlsafe_b64decode(
                links.create_link(db, steps.PLATFORM, *ids, links.NewPaymentLink()).token + "=="
            )
            for _ in range(50)
        ]
    secrets = [token.removeprefix(payer.organization_id.bytes) for token in tokens]
    assert {len(secret) for secret in secrets} == {16}
    # Each bit is sometimes set, and sometimes not.
    assert all(len({secret[n // 8] >> n % 8 & 1 for secret in secrets}) == 2 for n in range(128))


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


def test_a_closed_organization_buys_no_credit_and_pays_its_invoices(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        invoice = _invoice(payer)
        open_payment = payer.ask_for("10", key="before")
        steps.change_organization(db, payer.organization_id, status="closed")
        made = len(payer.provider.objects)
        with pytest.raises(Conflict, match="closed"):
            payer.ask_for("10")
        assert len(payer.provider.objects) == made
        assert payer.ask_for("10", key="before").id == open_payment.id
        owed = payer.ask_for_invoice(invoice.id)
        payer.provider.made(owed).paid = owed.amount
        assert payer.settle(owed).status == "succeeded"
    assert database.audit().whole


def test_a_payment_that_is_open_when_its_organization_closes_is_credited_and_can_be_refunded(
    database: Database,
) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("10")
        steps.change_organization(db, payer.organization_id, status="closed")
        payer.provider.made(payment).paid = payment.amount
        assert payer.settle(payment).credited_usd == Decimal(10)
        assert payer.refund(payment).credit_usd == Decimal(10)
        assert payer.settle(payment).paid_out_usd == Decimal(10)
        assert steps.available(db, payer.organization_id) == 0
    assert database.audit().whole


def test_a_purchase_that_waits_for_the_closing_is_refused(database: Database) -> None:
    with database.connect() as db, database.connect() as other, database.admin() as admin:
        payer = Payer(db, steps.new_organization(db))
        with ThreadPoolExecutor(1) as pool:
            with other.transaction():
                steps.change_organization(other, payer.organization_id, status="closed")
                buying = pool.submit(payer.ask_for, "10")
                waiting = "SELECT FROM pg_locks WHERE pid = %s AND NOT granted"
                pid = db.info.backend_pid
                wait_until(lambda: admin.execute(waiting, [pid]).rowcount > 0)
            with pytest.raises(Conflict, match="closed"):
                buying.result(PATIENCE_SECONDS)
        assert payer.provider.objects == {}
