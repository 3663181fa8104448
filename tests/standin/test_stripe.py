"""Stripe's own SDK finds in the stand-in what Stripe's description promises."""

import json
import threading
from typing import Any

import httpx
import pytest

from local.payments.server import Standin
from local.payments.stripe_objects import SESSION_SECONDS
from tests.support.receiver import Receiver

sdk = pytest.importorskip("stripe", reason="needs Stripe's SDK: make test")
FORM = {"expiry": "12/40", "cvc": "123", "name": "Ada", "email": "ada@example.com"}


def checkout(stripe: Any, amount: int = 2500, **given: Any) -> Any:
    item = {
        "price_data": {
            "currency": "eur",
            "unit_amount": amount,
            "product_data": {"name": "Credit"},
        },
        "quantity": 1,
    }
    params = {
        "mode": "payment",
        "line_items": [item],
        "success_url": "https://example.com/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://example.com/cancelled",
        **given,
    }
    return stripe.checkout.sessions.create(params)


def pay(url: str, number: str = "4242424242424242") -> httpx.Response:
    """Submit a checkout page's form."""
    return httpx.post(url, data={**FORM, "number": number}, trust_env=False)


def saved_card(stripe: Any, method: str) -> tuple[str, str]:
    """A customer and a card that is saved for them."""
    customer = stripe.customers.create({"name": "Acme"})
    attached = stripe.payment_methods.attach(method, {"customer": customer.id})
    return customer.id, attached.id


def charge_saved(stripe: Any, method: str, key: str | None = None, amount: int = 5000) -> Any:
    customer, saved = saved_card(stripe, method)
    params = {
        "amount": amount,
        "currency": "usd",
        "customer": customer,
        "payment_method": saved,
        "off_session": True,
        "confirm": True,
        "expand": ["latest_charge"],
    }
    return stripe.payment_intents.create(params, {"idempotency_key": key} if key else {})


def types(stripe: Any) -> list[str]:
    return [event.type for event in reversed(stripe.events.list({"limit": 100}).data)]


# Checkout


def test_a_checkout_is_paid_on_its_page(stripe: Any) -> None:
    session = checkout(stripe, metadata={"payment_id": "p1"}, client_reference_id="p1")
    assert (session.status, session.payment_status, session.payment_intent) == (
        "open",
        "unpaid",
        None,
    )
    paid = pay(session.url)
    assert paid.status_code == 303
    assert paid.headers["location"] == f"https://example.com/done?session={session.id}"
    again = stripe.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge.balance_transaction"]}
    )
    assert (again.status, again.payment_status, again.metadata["payment_id"]) == (
        "complete",
        "paid",
        "p1",
    )
    charge = again.payment_intent.latest_charge
    assert (charge.amount, charge.currency, charge.paid) == (2500, "eur", True)
    booked = charge.balance_transaction
    assert booked.net == 2500 - booked.fee
    assert pay(session.url).status_code == 410
    assert len(stripe.charges.list().data) == 1


def test_a_checkout_survives_a_decline(stripe: Any) -> None:
    session = checkout(stripe)
    declined = pay(session.url, "4000 0000 0000 9995")
    assert declined.status_code == 402
    assert "insufficient funds" in declined.text
    assert stripe.checkout.sessions.retrieve(session.id).status == "open"
    assert pay(session.url).status_code == 303
    [intent] = stripe.payment_intents.list().data
    assert intent.status == "succeeded"
    assert sorted(one.status for one in stripe.charges.list().data) == ["failed", "succeeded"]


@pytest.mark.parametrize("answer", ["confirm", "refuse"])
def test_a_checkout_asks_for_3d_secure(stripe: Any, answer: str) -> None:
    session = checkout(stripe)
    asked = pay(session.url, "4000002760003184")
    url = asked.headers["location"]
    [intent] = stripe.payment_intents.list().data
    assert intent.status == "requires_action"
    assert intent.next_action.redirect_to_url.url == url
    answered = httpx.post(url, data={"answer": answer}, trust_env=False)
    shown = stripe.checkout.sessions.retrieve(session.id)
    if answer == "confirm":
        assert answered.status_code == 303
        assert shown.payment_status == "paid"
    else:
        assert answered.status_code == 402
        assert (shown.status, shown.payment_status) == ("open", "unpaid")
        assert pay(session.url).status_code == 303


def test_a_checkout_that_is_left_alone_expires(stripe: Any, standin: Standin) -> None:
    session = checkout(stripe)
    httpx.post(
        f"{standin.url}/_standin/clock", json={"advance_seconds": SESSION_SECONDS}, trust_env=False
    ).raise_for_status()
    assert stripe.checkout.sessions.retrieve(session.id).status == "expired"
    assert pay(session.url).status_code == 410
    assert types(stripe) == ["checkout.session.expired"]


def test_a_checkout_saves_the_card_for_later_payments(stripe: Any) -> None:
    customer = stripe.customers.create({"name": "Acme"})
    session = checkout(
        stripe,
        customer=customer.id,
        payment_intent_data={"setup_future_usage": "off_session", "metadata": {"payment_id": "p"}},
    )
    asked = pay(session.url, "4000002500003155")
    httpx.post(asked.headers["location"], data={"answer": "confirm"}, trust_env=False)
    [method] = stripe.customers.payment_methods.list(customer.id).data
    later = stripe.payment_intents.create(
        {
            "amount": 700,
            "currency": "eur",
            "customer": customer.id,
            "payment_method": method.id,
            "off_session": True,
            "confirm": True,
        }
    )
    assert later.status == "succeeded"


def test_a_card_is_saved_without_a_payment(stripe: Any) -> None:
    customer = stripe.customers.create({"name": "Acme"})
    session = stripe.checkout.sessions.create(
        {
            "mode": "setup",
            "customer": customer.id,
            "currency": "eur",
            "success_url": "https://example.com/done",
        }
    )
    assert pay(session.url).status_code == 303
    shown = stripe.checkout.sessions.retrieve(session.id, {"expand": ["setup_intent"]})
    assert (shown.status, shown.payment_status) == ("complete", "no_payment_required")
    [method] = stripe.customers.payment_methods.list(customer.id).data
    assert shown.setup_intent.payment_method == method.id


# Saved cards


def test_a_saved_card_is_charged_without_the_payer(stripe: Any) -> None:
    paid = charge_saved(stripe, "pm_card_visa")
    assert (paid.status, paid.amount_received) == ("succeeded", 5000)
    # Its fee comes a moment later.
    assert paid.latest_charge.balance_transaction is None
    again = stripe.charges.retrieve(paid.latest_charge.id, {"expand": ["balance_transaction"]})
    assert again.balance_transaction.amount == 5000
    assert types(stripe)[-4:] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "charge.updated",
    ]


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
        ("pm_card_authenticationRequired", "authentication_required", "authentication_required"),
        (
            "pm_card_authenticationRequiredOnSetup",
            "authentication_required",
            "authentication_required",
        ),
    ],
)
def test_a_card_that_was_saved_fails_when_it_is_charged(
    stripe: Any, method: str, code: str, decline_code: str
) -> None:
    with pytest.raises(sdk.CardError) as caught:
        charge_saved(stripe, method)
    error = caught.value
    assert (error.http_status, error.code) == (402, code)
    assert error.error.decline_code == decline_code
    assert error.error.payment_intent.status == "requires_payment_method"
    [intent] = stripe.payment_intents.list().data
    assert intent.last_payment_error.decline_code == decline_code
    assert types(stripe)[-2:] == ["charge.failed", "payment_intent.payment_failed"]


def test_a_card_that_is_declined_cannot_be_saved(stripe: Any) -> None:
    with pytest.raises(sdk.CardError) as caught:
        saved_card(stripe, "pm_card_chargeDeclined")
    assert caught.value.code == "card_declined"


def test_a_payment_is_confirmed_and_cancelled_in_steps(stripe: Any) -> None:
    made = stripe.payment_intents.create({"amount": 900, "currency": "eur"})
    assert made.status == "requires_payment_method"
    paid = stripe.payment_intents.confirm(made.id, {"payment_method": "pm_card_visa"})
    assert paid.status == "succeeded"
    with pytest.raises(sdk.InvalidRequestError) as caught:
        stripe.payment_intents.cancel(made.id)
    assert caught.value.code == "payment_intent_unexpected_state"
    other = stripe.payment_intents.create({"amount": 900, "currency": "eur"})
    assert stripe.payment_intents.cancel(other.id).status == "canceled"


# Idempotency


def test_a_key_repeats_the_first_answer(stripe: Any, standin: Standin) -> None:
    options = {"idempotency_key": "top-up 1"}
    params = {
        "amount": 900,
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "confirm": True,
    }
    first = stripe.payment_intents.create(params, options)
    again = stripe.payment_intents.create(params, options)
    assert again.id == first.id
    assert again.last_response.headers["idempotent-replayed"] == "true"
    assert len(stripe.charges.list().data) == 1
    with pytest.raises(sdk.IdempotencyError):
        stripe.payment_intents.create({**params, "amount": 901}, options)
    # Stripe forgets a key after a day.
    standin.state.advanced_seconds += 24 * 3600
    assert stripe.payment_intents.create(params, options).id != first.id


def test_a_key_repeats_a_decline(stripe: Any) -> None:
    customer, saved = saved_card(stripe, "pm_card_chargeCustomerFail")
    params = {
        "amount": 900,
        "currency": "eur",
        "customer": customer,
        "payment_method": saved,
        "off_session": True,
        "confirm": True,
    }
    for _ in range(2):
        with pytest.raises(sdk.CardError):
            stripe.payment_intents.create(params, {"idempotency_key": "one"})
    assert len(stripe.charges.list().data) == 1


def test_a_request_that_began_nothing_leaves_its_key_free(stripe: Any) -> None:
    options = {"idempotency_key": "one"}
    with pytest.raises(sdk.InvalidRequestError):
        stripe.payment_intents.create({"amount": 1, "currency": "eur"}, options)
    stripe.payment_intents.create({"amount": 900, "currency": "eur"}, options)


def test_a_key_pays_once_however_many_ask_at_once(stripe: Any) -> None:
    params = {
        "amount": 900,
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "confirm": True,
    }
    found: list[str] = []

    def ask() -> None:
        found.append(stripe.payment_intents.create(params, {"idempotency_key": "one"}).id)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(stripe.charges.list().data) == 1


# Refunds and disputes


def test_refunds_add_up_to_the_charge_and_no_further(stripe: Any) -> None:
    paid = charge_saved(stripe, "pm_card_visa")
    charge = paid.latest_charge.id
    first = stripe.refunds.create({"payment_intent": paid.id, "amount": 500})
    second = stripe.refunds.create({"charge": charge, "metadata": {"refund_id": "r2"}})
    assert (first.amount, second.amount) == (500, 4500)
    shown = stripe.charges.retrieve(charge)
    assert (shown.amount_refunded, shown.refunded) == (5000, True)
    with pytest.raises(sdk.InvalidRequestError) as caught:
        stripe.refunds.create({"charge": charge})
    assert caught.value.code == "charge_already_refunded"
    refunds = stripe.refunds.list({"payment_intent": paid.id}).data
    assert [one.id for one in refunds] == [second.id, first.id]
    # Stripe keeps its fee.
    sums = sum(one.amount for one in stripe.balance_transactions.list().data)
    assert sums == 0
    assert stripe.balance.retrieve().available[0].amount < 0


def test_a_refund_of_more_than_is_left_is_refused(stripe: Any) -> None:
    paid = charge_saved(stripe, "pm_card_visa")
    stripe.refunds.create({"payment_intent": paid.id, "amount": 4000})
    with pytest.raises(sdk.InvalidRequestError) as caught:
        stripe.refunds.create({"payment_intent": paid.id, "amount": 1001})
    assert "greater than unrefunded amount" in str(caught.value)


@pytest.mark.parametrize(("evidence", "status"), [("winning", "won"), ("losing", "lost")])
def test_a_dispute_takes_the_money_until_it_is_won(stripe: Any, evidence: str, status: str) -> None:
    paid = charge_saved(stripe, "pm_card_createDispute")
    [dispute] = stripe.disputes.list({"payment_intent": paid.id}).data
    assert (dispute.status, dispute.amount, dispute.reason) == (
        "needs_response",
        5000,
        "fraudulent",
    )
    assert stripe.charges.retrieve(paid.latest_charge.id).disputed
    with pytest.raises(sdk.InvalidRequestError) as caught:
        stripe.refunds.create({"payment_intent": paid.id})
    assert caught.value.code == "charge_disputed"
    stripe.disputes.update(dispute.id, {"evidence": {"uncategorized_text": f"{evidence}_evidence"}})
    assert stripe.disputes.retrieve(dispute.id).status == status
    moved = [one.amount for one in stripe.balance_transactions.list({"type": "adjustment"}).data]
    assert sum(moved) == (0 if status == "won" else -5000)
    assert types(stripe)[-1] == "charge.dispute.closed"


def test_an_inquiry_takes_no_money(stripe: Any) -> None:
    paid = charge_saved(stripe, "pm_card_createDisputeInquiry")
    [dispute] = stripe.disputes.list({"payment_intent": paid.id}).data
    assert (dispute.status, dispute.balance_transactions) == ("warning_needs_response", [])
    assert stripe.refunds.create({"payment_intent": paid.id}).status == "succeeded"
    assert stripe.disputes.close(dispute.id).status == "warning_closed"


# Requests that Stripe refuses


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"amount": 900, "currency": "eur", "colour": "red"}, "parameter_unknown", "colour"),
        ({"currency": "eur"}, "parameter_missing", "amount"),
        ({"amount": "9.00", "currency": "eur"}, "parameter_invalid_integer", "amount"),
        ({"amount": 10, "currency": "eur"}, "amount_too_small", "amount"),
        ({"amount": 900, "currency": "eur", "customer": "cus_no"}, "resource_missing", "customer"),
    ],
)
def test_a_bad_request_is_refused_as_stripe_refuses_it(
    stripe: Any, params: dict[str, Any], code: str, param: str
) -> None:
    with pytest.raises(sdk.InvalidRequestError) as caught:
        stripe.payment_intents.create(params)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_another_key_is_refused(standin: Standin) -> None:
    other = sdk.StripeClient("sk_test_other", base_addresses={"api": standin.url})
    with pytest.raises(sdk.AuthenticationError):
        other.v1.customers.list()


def test_lists_are_read_page_by_page(stripe: Any) -> None:
    made = [stripe.customers.create({"name": f"{number}"}).id for number in range(7)]
    first = stripe.customers.list({"limit": 3})
    assert first.has_more
    assert [one.id for one in first.auto_paging_iter()] == made[::-1]


# Webhooks


def test_webhooks_verify_by_stripes_library(
    stripe: Any, standin: Standin, receiver: Receiver
) -> None:
    session = checkout(stripe, metadata={"payment_id": "Übung"})
    pay(session.url)
    sent = standin.deliveries.release()
    assert [one["status"] for one in sent] == [204] * len(sent)
    events = [
        sdk.Webhook.construct_event(
            one.body, one.headers["stripe-signature"], standin.secrets.stripe_webhook_secret
        )
        for one in receiver.received
    ]
    assert [event.type for event in events] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
        "charge.updated",
    ]
    assert events[3].data.object.metadata["payment_id"] == "Übung"
    listed = stripe.events.list({"types": ["checkout.session.completed"]}).data
    assert [one.id for one in listed] == [events[3].id]


def test_a_signature_is_of_the_bytes_that_were_sent(
    stripe: Any, standin: Standin, receiver: Receiver
) -> None:
    stripe.customers.create({"name": "Übung"})
    standin.deliveries.release()
    [one] = receiver.received
    rewritten = json.dumps(json.loads(one.body))
    with pytest.raises(sdk.SignatureVerificationError):
        sdk.Webhook.construct_event(
            rewritten, one.headers["stripe-signature"], standin.secrets.stripe_webhook_secret
        )


def test_a_webhook_is_sent_again_until_it_is_accepted(
    stripe: Any, standin: Standin, receiver: Receiver
) -> None:
    receiver.status = 500
    stripe.customers.create({"name": "Acme"})
    assert [one["status"] for one in standin.deliveries.release()] == [500]
    receiver.status = 204
    assert [one["status"] for one in standin.deliveries.release()] == [204]
    assert standin.deliveries.release() == []


@pytest.mark.parametrize(("chances", "copies"), [({"lost": 1}, 0), ({"doubled": 1}, 2)])
def test_webhooks_are_lost_or_doubled_by_a_switch(
    stripe: Any, standin: Standin, chances: dict[str, int], copies: int
) -> None:
    standin.deliveries.configure({"held": True, **chances})
    stripe.customers.create({"name": "Acme"})
    assert len(standin.deliveries.release()) == copies
    assert types(stripe) == ["customer.created"]


# Faults


@pytest.mark.parametrize(
    ("kind", "happened", "error"),
    [
        ("timeout_before", False, "APIConnectionError"),
        ("timeout_after", True, "APIConnectionError"),
        ("error_before", False, "APIError"),
        ("error_after", True, "APIError"),
        ("rate_limit", False, "RateLimitError"),
    ],
)
def test_a_call_fails_before_or_after_its_effect(
    stripe: Any, standin: Standin, kind: str, happened: bool, error: str
) -> None:
    standin.faults.configure({"next": [{"kind": kind, "match": "POST /v1/customers"}]})
    options = {"idempotency_key": "one"}
    with pytest.raises(getattr(sdk, error)):
        stripe.customers.create({"name": "Acme"}, options)
    assert len(stripe.customers.list().data) == happened
    if kind == "error_after":
        # Stripe repeats a 500 too.
        with pytest.raises(sdk.APIError):
            stripe.customers.create({"name": "Acme"}, options)
    else:
        stripe.customers.create({"name": "Acme"}, options)
    assert len(stripe.customers.list().data) == 1


def test_faults_repeat_by_their_seed(standin: Standin) -> None:
    def drawn(seed: int) -> list[str | None]:
        standin.faults.configure({"seed": seed, "rates": {"timeout_after": 0.3, "rate_limit": 0.2}})
        return [standin.faults.draw("POST /v1/refunds") for _ in range(50)]

    first = drawn(1)
    assert first == drawn(1)
    assert first != drawn(2)
    assert set(first) == {None, "timeout_after", "rate_limit"}
