"""Payments over HTTP: the running product, a payer's browser, and the stand-in of the providers."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.running import Client, wait_until

CARD = {"number": "4242424242424242", "name": "Ada", "email": "ada@example.com"}
TAX = {"label": "VAT", "rate_percent": "19"}


def pay(payment: dict[str, Any], **form: str) -> int:
    """Pay on the provider's page, as a browser does."""
    paypal = payment["provider"] == "paypal"
    data = {"funding": "balance"} if paypal else {**CARD, **form}
    return httpx.post(payment["checkout_url"], data=data).status_code


def available(api: Client, organization: str) -> str:
    return str(api.get(f"{organization}/balance").json()["available_usd"])


@pytest.mark.parametrize("provider", ["stripe", "paypal"])
def test_credit_is_bought_and_comes_by_the_webhook_alone(api: Client, provider: str) -> None:
    organization = api.new_organization(billing_currency="EUR")
    asked = {"provider": provider, "amount_usd": "20", "return_url": "https://example.com/back"}
    made = api.post(f"{organization}/payments", asked, "pay")
    assert made.status_code == 201, made.text
    payment = made.json()
    assert payment["status"] == "pending"
    again = api.post(f"{organization}/payments", asked, "pay")
    assert again.json()["id"] == payment["id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert pay(payment) == 303
    wait_until(lambda: available(api, organization) == "20.00")
    [listed] = api.get(f"{organization}/payments").json()["items"]
    assert listed["status"] == "succeeded"
    assert listed["captured"] == listed["amount"]


def test_a_payment_is_previewed_paid_refunded_and_invoiced(api: Client) -> None:
    organization = api.new_organization(billing_currency="USD", tax=TAX)
    preview = api.post(f"{organization}/payments/preview", {"amount_usd": "10"}).json()
    assert (preview["net"], preview["tax"], preview["amount"]) == ("10.00", "1.90", "11.90")
    payment = api.post(
        f"{organization}/payments", {"provider": "stripe", "amount_usd": "10"}, "pay"
    ).json()
    assert payment["amount"] == "11.90"
    pay(payment)
    paid = api.get(f"{organization}/payments/{payment['id']}").json()
    assert (paid["status"], paid["credited_usd"]) == ("succeeded", "10.00")
    invoice = api.get(f"{organization}/topups/{paid['transaction_id']}/invoice").json()
    assert invoice["total_amount_billing_currency"] == "11.90"
    api.post(f"{organization}/charges", {"amount_usd": "4", "description": "call"}, "c")
    refused = api.post(
        f"{organization}/payments/{payment['id']}/refund", {"amount_usd": "7"}, "too much"
    )
    assert refused.status_code == 422
    assert refused.json()["code"] == "refund_exceeds_payment"
    refunded = api.post(f"{organization}/payments/{payment['id']}/refund", {}, "rest")
    assert refunded.status_code == 201, refunded.text
    assert (refunded.json()["amount"], refunded.json()["credit_usd"]) == ("7.14", "6.00")
    assert available(api, organization) == "0.00"


def test_what_cannot_be_paid_is_refused(api: Client) -> None:
    organization = api.new_organization()
    payments = f"{organization}/payments"
    assert api.get(f"{payments}/{uuid4()}").json()["code"] == "payment_not_found"
    for body in (
        {"provider": "stripe"},
        {"provider": "stripe", "amount_usd": "1", "invoice_id": str(uuid4())},
        {"provider": "cash", "amount_usd": "1"},
        {"provider": "stripe", "amount_usd": "0"},
        {"provider": "stripe", "amount_usd": "1", "return_url": "javascript:alert(1)"},
    ):
        assert api.post(payments, body, "bad").status_code == 400, body
    unknown = {"provider": "stripe", "invoice_id": str(uuid4())}
    assert api.post(payments, unknown, "unknown").json()["code"] == "invoice_not_found"
    small = {"provider": "stripe", "amount_usd": "0.0000001"}
    assert api.post(payments, small, "small").json()["code"] == "amount_too_small"
    api.http.patch(organization, json={"status": "closed"}).raise_for_status()
    closed = api.post(payments, {"provider": "stripe", "amount_usd": "1"}, "closed")
    assert (closed.status_code, closed.json()["code"]) == (409, "invalid_state")


def test_a_webhook_that_the_provider_did_not_sign_is_refused(
    product: tuple[str, Any],
) -> None:
    for provider in ("stripe", "paypal"):
        url = f"{product[0]}/v1/payment-events/{provider}"
        assert httpx.post(url, content=b'{"id": "evt_1"}').status_code == 400
    assert httpx.post(f"{product[0]}/v1/payment-events/cash", content=b"{}").status_code == 400


def test_an_invoice_is_paid_by_a_link_without_a_token(
    api: Client, product: tuple[str, Any]
) -> None:
    organization = api.new_organization(credit_limit_usd="50")
    api.post(f"{organization}/charges", {"amount_usd": "30", "description": "call"}, "c")
    now = datetime.now(UTC)
    period = {"period_start": (now - timedelta(days=1)).isoformat(), "period_end": now.isoformat()}
    draft = api.post(f"{organization}/invoices", period)
    assert draft.status_code == 201, draft.text
    invoice = f"{organization}/invoices/{draft.json()['id']}"
    assert api.post(f"{invoice}/payment-link", {}).json()["code"] == "invalid_state"
    assert api.post(f"{invoice}/issue").json()["amount_due_usd"] == "30.00"
    link = api.post(f"{invoice}/payment-link", {})
    assert link.status_code == 201, link.text
    url = f"{product[0]}/v1/payment-links/{link.json()['token']}"
    assert httpx.get(url).json()["amount"] == "30.00"
    opened = httpx.post(url, json={"provider": "stripe"})
    assert opened.status_code == 201, opened.text
    assert httpx.post(url, json={"provider": "stripe"}).json() == opened.json()
    assert pay({**opened.json(), "provider": "stripe"}) == 303
    wait_until(lambda: httpx.get(url).json()["status"] == "paid")
    assert httpx.post(url, json={"provider": "stripe"}).json()["code"] == "invalid_state"
    for token in ("x", "A" * 43):
        unknown = httpx.get(f"{product[0]}/v1/payment-links/{token}")
        assert unknown.json()["code"] == "payment_link_not_found"
