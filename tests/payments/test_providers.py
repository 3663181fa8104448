"""What is sent to Stripe and PayPal does what it should, and what they answer is understood: over
HTTP, against the stand-in of both."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from local.payments.server import Standin
from local.payments.settings import Secrets
from synaxis_billing.errors import TemporarilyUnavailable
from synaxis_billing.payments import inbox
from synaxis_billing.payments.models import Payment
from synaxis_billing.payments.paypal import PayPal
from synaxis_billing.payments.providers import Call, Provider, ProviderName, Result, perform
from synaxis_billing.payments.stripe import Stripe
from tests.conftest import Database
from tests.support import steps
from tests.support.paying import Payer
from tests.support.receiver import Receiver, receiving

SECRETS = Secrets()
CARD = {"name": "Ada", "email": "ada@example.com"}


class OverHttp(Payer):
    """Pays through the stand-in."""

    standin: Standin
    hook: Receiver

    def call(self, call: Call) -> Result:
        providers: dict[ProviderName, Provider] = {
            "stripe": Stripe(
                self.standin.url, SECRETS.stripe_api_key, [SECRETS.stripe_webhook_secret]
            ),
            "paypal": PayPal(
                self.standin.url,
                SECRETS.paypal_client_id,
                SECRETS.paypal_client_secret,
                SECRETS.paypal_webhook_id,
            ),
        }
        return perform(providers, call)

    def pay(self, payment: Payment, number: str = "4242424242424242") -> int:
        """Pay on the page, as a browser does."""
        assert payment.checkout_url
        form = (
            {"funding": "balance"} if payment.provider == "paypal" else {"number": number, **CARD}
        )
        return httpx.post(payment.checkout_url, data=form).status_code

    def control(self, action: str, **asked: Any) -> Any:
        answer = httpx.post(f"{self.standin.url}/_standin/{action}", json=asked)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def deliver(self) -> int:
        """Have the webhooks that came so far received; return how many named a payment."""
        self.control("deliver")
        known = 0
        for received in self.hook.received:
            provider: ProviderName = "paypal" if "paypal" in received.path else "stripe"
            body = received.body.encode()
            found = inbox.receive_event(
                self.db, self.call, provider, body, received.headers, datetime.now(UTC)
            )
            known += len(found)
        return known


@pytest.fixture
def payer(database: Database) -> Iterator[OverHttp]:
    with database.connect() as db, receiving() as hook:
        hooks = {name: f"{hook.url}/{name}" for name in ("stripe", "paypal")}
        with Standin(SECRETS, webhooks=hooks).running() as standin:
            standin.deliveries.configure({"held": True})
            payer = OverHttp(db, steps.new_organization(db, billing_currency="EUR"))
            payer.standin, payer.hook = standin, hook
            yield payer
    assert database.audit().whole


@pytest.mark.parametrize("provider", ["stripe", "paypal"])
def test_credit_is_bought_refunded_and_gone(payer: OverHttp, provider: str) -> None:
    payment = payer.ask_for("50", provider=provider, return_url="https://example.com/back")
    assert payer.get(payment).status == "pending"
    assert payer.pay(payment) == 303
    paid = payer.get(payment)
    assert paid.status == "succeeded"
    assert paid.captured == Decimal("46.00")
    assert payer.settle(payment).fee
    refund = payer.refund(payment, "10")
    assert refund.status == "succeeded"
    assert refund.amount == Decimal("9.20")
    assert steps.available(payer.db, payer.organization_id) == 40
    assert payer.refund(payment).amount == Decimal("36.80")
    assert steps.available(payer.db, payer.organization_id) == 0


@pytest.mark.parametrize("provider", ["stripe", "paypal"])
def test_webhooks_name_the_payment_and_are_done_when_it_is_settled(
    payer: OverHttp, provider: str
) -> None:
    payment = payer.ask_for("50", provider=provider)
    payer.pay(payment)
    assert payer.deliver() > 0
    payer.settle(payment)
    assert steps.available(payer.db, payer.organization_id) == 50
    # The capture has an event of its own; then each comes again, and is done.
    payer.deliver()
    payer.settle(payment)
    assert payer.deliver() == 0


@pytest.mark.parametrize(("outcome", "left"), [("won", 50), ("lost", 0)])
@pytest.mark.parametrize("provider", ["stripe", "paypal"])
def test_a_dispute_is_understood(payer: OverHttp, provider: str, outcome: str, left: int) -> None:
    payment = payer.ask_for("50", provider=provider)
    payer.pay(payment)
    payer.settle(payment)
    disputed = payer.control("dispute", payment=_disputable(payer, payment))
    opened = payer.settle(payment)
    assert opened.dispute_state == "open"
    assert opened.disputed == opened.captured
    assert steps.available(payer.db, payer.organization_id) == 0
    payer.control("close", dispute=_id(disputed), outcome=outcome)
    assert payer.settle(payment).dispute_state == outcome
    assert steps.available(payer.db, payer.organization_id) == left


def _id(disputed: dict[str, Any]) -> str:
    return str(disputed.get("id") or disputed.get("dispute_id") or disputed.get("dispute"))


def _disputable(payer: OverHttp, payment: Payment) -> str:
    assert payment.checkout_url
    objects = httpx.get(f"{payer.standin.url}/_standin/objects").json()
    found = [name for name in json.dumps(objects).split('"') if name.startswith("pi_")]
    if payment.provider == "stripe":
        return found[0]
    return str(dict(httpx.URL(payment.checkout_url).params)["token"])


def test_a_declined_card_may_be_replaced(payer: OverHttp) -> None:
    payment = payer.ask_for("50")
    assert payer.pay(payment, "4000000000009995") == 402
    assert payer.get(payment).status == "pending"
    assert payer.pay(payment) == 303
    assert payer.get(payment).status == "succeeded"


@pytest.mark.parametrize("fault", ["timeout_before", "timeout_after", "rate_limit"])
@pytest.mark.parametrize("provider", ["stripe", "paypal"])
def test_a_payment_without_an_answer_is_made_once(
    payer: OverHttp, provider: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synaxis_billing.web.DEADLINE_SECONDS", 1)
    call = "POST /v2/checkout/orders" if provider == "paypal" else "POST /v1/checkout/sessions"
    payer.control("faults", next=[{"kind": fault, "match": call}])
    with pytest.raises(TemporarilyUnavailable):
        payer.ask_for("50", key="once", provider=provider)
    payment = payer.ask_for("50", key="once", provider=provider)
    assert payment.status == "pending"
    payer.pay(payment)
    payer.get(payment)
    assert steps.available(payer.db, payer.organization_id) == 50


def test_an_approved_order_is_captured_once_after_a_lost_answer(
    payer: OverHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synaxis_billing.web.DEADLINE_SECONDS", 1)
    payment = payer.ask_for("50", provider="paypal")
    payer.pay(payment)
    payer.control("faults", next=[{"kind": "timeout_after", "match": "capture"}])
    assert payer.get(payment).status == "pending"
    paid = payer.get(payment)
    assert paid.status == "succeeded"
    assert paid.captured == paid.amount
