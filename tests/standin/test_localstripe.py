"""What is sent to Stripe is understood by a second stand-in, which is not ours: localstripe.

It has no Checkout, no disputes and no idempotency keys, takes no description of a payment, and does
not say how much of it was received. So only the rest of a payment's state, its refunds and its
webhooks are asked of it, by the test that asks our stand-in. LOCALSTRIPE names a Python that has it
(https://pypi.org/project/localstripe).
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

from local.payments.server import Standin
from local.servers import free_port
from synaxis_billing.payments.providers import Delivery
from synaxis_billing.payments.stripe import Stripe
from tests.standin.test_paypal_description import new_order, refund
from tests.support.receiver import Receiver
from tests.support.running import serving, wait_until

PYTHON = os.environ.get("LOCALSTRIPE")


class Account(NamedTuple):
    """A Stripe that is stood in for: its URL, our key, and the secret of its webhooks."""

    url: str
    key: str
    secret: str

    def post(self, path: str, **fields: str) -> Any:
        answer = httpx.post(f"{self.url}{path}", data=fields, auth=(self.key, ""), trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(params=["ours", "localstripe"])
def account(
    request: pytest.FixtureRequest, standin: Standin, receiver: Receiver, tmp_path: Path
) -> Iterator[Account]:
    if request.param == "ours":
        secrets = standin.secrets
        standin.deliveries.configure({"held": False})
        yield Account(standin.url, secrets.stripe_api_key, secrets.stripe_webhook_secret)
        return
    if PYTHON is None:
        pytest.skip("LOCALSTRIPE names no Python that has localstripe")
    port = free_port()
    command = [PYTHON, "-m", "localstripe", "--port", str(port), "--from-scratch"]
    with serving(command, port, tmp_path / "log") as url:
        hook = {"url": f"{receiver.url}/stripe", "secret": "whsec_theirs"}
        answer = httpx.post(f"{url}/_config/webhooks/ours", json=hook, trust_env=False)
        answer.raise_for_status()
        yield Account(url, "sk_test_theirs", "whsec_theirs")


def test_a_payment_and_its_refund_are_understood_and_its_webhooks_verified(
    account: Account, receiver: Receiver
) -> None:
    stripe = Stripe(account.url, account.key, [account.secret])
    customer = stripe._customer(new_order(provider="stripe"))
    fields = {"card[number]": "4242424242424242", "card[exp_month]": "12"}
    fields |= {"card[exp_year]": "2040", "card[cvc]": "123"}
    card = account.post("/v1/payment_methods", type="card", **fields)
    account.post(f"/v1/payment_methods/{card['id']}/attach", customer=customer)
    payment_id = str(uuid4())
    made = account.post(
        "/v1/payment_intents",
        amount="2500",
        currency="eur",
        customer=customer,
        payment_method=card["id"],
        confirm="true",
        **{"metadata[payment_id]": payment_id},
    )
    order = new_order(provider="stripe", external_id=made["id"], customer_id=customer)
    state = stripe.ask(order)
    assert (state.status, state.currency) == ("succeeded", "EUR")
    assert {made["id"], state.external_id} <= set(state.external_ids)
    assert state.fee is not None
    asked = refund("10.00")
    stripe.refund(order, asked)
    state = stripe.ask(order.model_copy(update={"refunds": [asked]}))
    assert state.refunded == Decimal(10)
    assert [(one.id, one.status) for one in state.refunds] == [(asked.id, "succeeded")]

    def notices() -> dict[str, list[str]]:
        found = {}
        for received in receiver.received:
            body = received.body.encode()
            delivery = Delivery(body=body, headers=received.headers, received_at=datetime.now(UTC))
            notice = stripe.verify(delivery)
            found[notice.type] = notice.external_ids
        return found

    wait_until(lambda: "payment_intent.succeeded" in notices())
    assert {made["id"], payment_id} <= set(notices()["payment_intent.succeeded"])
