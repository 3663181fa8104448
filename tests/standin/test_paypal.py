"""PayPal's own SDK finds in the stand-in what PayPal's description promises."""

import base64
import json
import zlib
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local.payments.server import Standin
from tests.support.receiver import Received, Receiver

exceptions = pytest.importorskip(
    "paypalserversdk.exceptions.error_exception", reason="needs PayPal's SDK: make test"
)
RETURNS = {"return_url": "https://example.com/done", "cancel_url": "https://example.com/back"}


def create(paypal: Any, value: str = "25.00", key: str | None = None, **unit: Any) -> Any:
    amount = {"currency_code": "EUR", "value": value}
    body = {
        "intent": "CAPTURE",
        "purchase_units": [{"amount": amount, "custom_id": "p1", **unit}],
        "payment_source": {"paypal": {"experience_context": RETURNS}},
    }
    return paypal.orders.create_order({"body": body, "paypal_request_id": key}).body


def approve(order: Any, funding: str = "balance") -> httpx.Response:
    [url] = [link.href for link in order.links if link.rel in ("payer-action", "approve")]
    return httpx.post(url, data={"funding": funding}, trust_env=False)


def capture(paypal: Any, order: Any, key: str | None = None) -> Any:
    return paypal.orders.capture_order({"id": order.id, "paypal_request_id": key}).body


def paid(paypal: Any, value: str = "25.00") -> Any:
    """The capture of an order that its payer approved."""
    order = create(paypal, value)
    approve(order)
    return capture(paypal, order).purchase_units[0].payments.captures[0]


def issue(caught: Any) -> str:
    return str(caught.value.details[0].issue)


def refund(paypal: Any, captured: Any, value: str | None = None, key: str | None = None) -> Any:
    body = {"amount": {"currency_code": "EUR", "value": value}} if value else {}
    asked = {"capture_id": captured.id, "body": body, "paypal_request_id": key}
    return paypal.payments.refund_captured_payment({**asked, "prefer": "return=representation"})


def test_an_order_is_approved_and_captured(paypal: Any) -> None:
    order = create(paypal)
    assert order.status == "PAYER_ACTION_REQUIRED"
    approved = approve(order)
    assert approved.status_code == 303
    assert f"token={order.id}&PayerID=" in approved.headers["location"]
    assert paypal.orders.get_order({"id": order.id}).body.status == "APPROVED"
    done = capture(paypal, order)
    assert done.status == "COMPLETED"
    [made] = done.purchase_units[0].payments.captures
    assert (made.status, made.amount.value, made.custom_id) == ("COMPLETED", "25.00", "p1")
    shown = paypal.payments.get_captured_payment({"capture_id": made.id}).body
    assert shown.supplementary_data.related_ids.order_id == order.id
    parts = shown.seller_receivable_breakdown
    assert float(parts.net_amount.value) == pytest.approx(25 - float(parts.paypal_fee.value))


def test_an_order_is_captured_only_with_its_payers_approval(paypal: Any) -> None:
    order = create(paypal)
    with pytest.raises(exceptions.ErrorException) as caught:
        capture(paypal, order)
    assert (caught.value.response_code, issue(caught)) == (422, "ORDER_NOT_APPROVED")


def test_an_order_is_captured_once(paypal: Any) -> None:
    order = create(paypal)
    approve(order)
    first = capture(paypal, order, "capture 1")
    again = capture(paypal, order, "capture 1")
    assert again.purchase_units[0].payments.captures[0].id == (
        first.purchase_units[0].payments.captures[0].id
    )
    with pytest.raises(exceptions.ErrorException) as caught:
        capture(paypal, order, "capture 2")
    assert issue(caught) == "ORDER_ALREADY_CAPTURED"


def test_a_request_id_makes_one_order(paypal: Any) -> None:
    assert create(paypal, key="one").id == create(paypal, key="one").id
    assert create(paypal, key="one").id != create(paypal, key="two").id


def test_a_declined_instrument_can_be_replaced(paypal: Any) -> None:
    order = create(paypal)
    approve(order, "declined")
    with pytest.raises(exceptions.ErrorException) as caught:
        capture(paypal, order)
    assert issue(caught) == "INSTRUMENT_DECLINED"
    approve(order)
    assert capture(paypal, order).status == "COMPLETED"


def test_refunds_add_up_to_the_capture_and_no_further(paypal: Any) -> None:
    captured = paid(paypal)
    first = refund(paypal, captured, "5.00", "r1").body
    assert refund(paypal, captured, "5.00", "r1").body.id == first.id
    shown = paypal.payments.get_captured_payment({"capture_id": captured.id}).body
    assert shown.status == "PARTIALLY_REFUNDED"
    with pytest.raises(exceptions.ErrorException) as caught:
        refund(paypal, captured, "20.01")
    assert issue(caught) == "REFUND_AMOUNT_EXCEEDED"
    rest = refund(paypal, captured).body
    assert rest.amount.value == "20.00"
    assert rest.seller_payable_breakdown.total_refunded_amount.value == "25.00"
    shown = paypal.payments.get_captured_payment({"capture_id": captured.id}).body
    assert shown.status == "REFUNDED"


@pytest.mark.parametrize("completed", [True, False])
def test_a_bank_payment_is_pending_first(paypal: Any, standin: Standin, completed: bool) -> None:
    order = create(paypal)
    approve(order, "echeck")
    made = capture(paypal, order).purchase_units[0].payments.captures[0]
    assert (made.status, made.status_details.reason) == ("PENDING", "ECHECK")
    httpx.post(
        f"{standin.url}/_standin/clear",
        json={"capture": made.id, "completed": completed},
        trust_env=False,
    ).raise_for_status()
    shown = paypal.payments.get_captured_payment({"capture_id": made.id}).body
    assert shown.status == ("COMPLETED" if completed else "DECLINED")


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [
        ({"currency_code": "JPY", "value": "25.50"}, "DECIMALS_NOT_SUPPORTED"),
        ({"currency_code": "EUR", "value": "25.505"}, "DECIMAL_PRECISION"),
        ({"currency_code": "EUR", "value": "0.00"}, "CANNOT_BE_ZERO_OR_NEGATIVE"),
        ({"currency_code": "CLP", "value": "2500"}, "CURRENCY_NOT_SUPPORTED"),
    ],
)
def test_a_bad_amount_is_refused(paypal: Any, amount: dict[str, str], refusal: str) -> None:
    with pytest.raises(exceptions.ErrorException) as caught:
        create(paypal, amount=amount)
    assert issue(caught) == refusal


def test_an_order_that_nobody_approves_is_gone(paypal: Any, standin: Standin) -> None:
    order = create(paypal)
    standin.state.advanced_seconds += 4 * 3600
    with pytest.raises(exceptions.ErrorException) as caught:
        paypal.orders.get_order({"id": order.id})
    assert caught.value.response_code == 404


# Disputes and webhooks, which the SDK does not know


def token(standin: Standin) -> dict[str, str]:
    asked = httpx.post(
        f"{standin.url}/v1/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(standin.secrets.paypal_client_id, standin.secrets.paypal_client_secret),
        trust_env=False,
    )
    return {"authorization": f"Bearer {asked.raise_for_status().json()['access_token']}"}


def test_a_wrong_secret_gets_no_token(standin: Standin) -> None:
    asked = httpx.post(
        f"{standin.url}/v1/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=("standin-client", "wrong"),
        trust_env=False,
    )
    assert (asked.status_code, asked.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("decided", "outcome", "value"),
    [
        ("SELLER_FAVOR", "RESOLVED_SELLER_FAVOUR", "0.00"),
        ("BUYER_FAVOR", "RESOLVED_BUYER_FAVOUR", "25.00"),
    ],
)
def test_a_dispute_is_opened_and_decided(
    paypal: Any, standin: Standin, receiver: Receiver, decided: str, outcome: str, value: str
) -> None:
    captured = paid(paypal)
    disputes = f"{standin.url}/v1/customer/disputes"
    httpx.post(
        f"{standin.url}/_standin/dispute", json={"payment": captured.id}, trust_env=False
    ).raise_for_status()
    with httpx.Client(headers=token(standin), trust_env=False) as http:
        listed = http.get(disputes, params={"disputed_transaction_id": captured.id}).json()
        [dispute] = listed["items"]
        assert dispute["status"] == "WAITING_FOR_SELLER_RESPONSE"
        with pytest.raises(exceptions.ErrorException) as caught:
            refund(paypal, captured, "5.00")
        assert issue(caught) == "TRANSACTION_DISPUTED"
        http.post(
            f"{disputes}/{dispute['dispute_id']}/adjudicate",
            json={"adjudication_outcome": decided},
        ).raise_for_status()
        shown = http.get(f"{disputes}/{dispute['dispute_id']}").json()
    assert shown["dispute_outcome"]["outcome_code"] == outcome
    assert shown["dispute_outcome"]["amount_refunded"]["value"] == value
    standin.deliveries.release()
    assert [json.loads(one.body)["event_type"] for one in receiver.received][-2:] == [
        "CUSTOMER.DISPUTE.CREATED",
        "CUSTOMER.DISPUTE.RESOLVED",
    ]


def webhook(paypal: Any, standin: Standin, receiver: Receiver) -> Received:
    approve(create(paypal, description="Übung"))
    standin.deliveries.release()
    [received] = receiver.received
    return received


def asked_of(received: Received, webhook_id: str) -> dict[str, str]:
    names = ("transmission_id", "transmission_time", "transmission_sig", "cert_url", "auth_algo")
    headers = {name: received.headers[f"paypal-{name.replace('_', '-')}"] for name in names}
    return {**headers, "webhook_id": webhook_id}


def test_a_webhook_verifies_by_its_certificate(
    paypal: Any, standin: Standin, receiver: Receiver
) -> None:
    received = webhook(paypal, standin, receiver)
    asked = asked_of(received, standin.secrets.paypal_webhook_id)
    pem = httpx.get(asked["cert_url"], trust_env=False).content
    key = x509.load_pem_x509_certificate(pem).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    signed = "|".join(
        [
            asked["transmission_id"],
            asked["transmission_time"],
            asked["webhook_id"],
            str(zlib.crc32(received.body.encode())),
        ]
    )
    signature = base64.b64decode(asked["transmission_sig"])
    key.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize(
    ("event", "webhook_id", "status"),
    [
        (lambda body: body, "WHSTANDIN", "SUCCESS"),
        # JSON that was written anew is another message.
        (lambda body: json.dumps(json.loads(body)), "WHSTANDIN", "FAILURE"),
        (lambda body: body.replace("25.00", "99.00"), "WHSTANDIN", "FAILURE"),
        (lambda body: body, "WHOTHER", "FAILURE"),
    ],
)
def test_paypal_verifies_the_bytes_that_it_sent(
    paypal: Any, standin: Standin, receiver: Receiver, event: Any, webhook_id: str, status: str
) -> None:
    received = webhook(paypal, standin, receiver)
    asked = json.dumps(asked_of(received, webhook_id))
    answered = httpx.post(
        f"{standin.url}/v1/notifications/verify-webhook-signature",
        content=f'{asked[:-1]}, "webhook_event": {event(received.body)}}}'.encode(),
        headers={"content-type": "application/json", **token(standin)},
        trust_env=False,
    )
    assert answered.json() == {"verification_status": status}


@pytest.mark.parametrize(
    ("kind", "captured"), [("timeout_before", 0), ("timeout_after", 1), ("error_after", 1)]
)
def test_a_capture_whose_answer_is_lost_is_asked_for(
    paypal: Any, standin: Standin, kind: str, captured: int
) -> None:
    order = create(paypal)
    approve(order)
    standin.faults.configure({"next": [{"kind": kind, "match": "/capture"}]})
    with pytest.raises(Exception):  # noqa: B017 - the SDK has no class for a lost answer
        capture(paypal, order, "one")
    assert len(standin.state.of_kind("capture")) == captured
    assert capture(paypal, order, "one").status == "COMPLETED"
    assert len(standin.state.of_kind("capture")) == 1
