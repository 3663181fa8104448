"""Stripe's API: Checkout, charges of a saved card, refunds, disputes and signed webhooks.

https://docs.stripe.com/api
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote, urlencode
from uuid import UUID

from synaxis_billing import web
from synaxis_billing.payments.providers import (
    Checkout,
    Delivery,
    InvalidSignature,
    NoAnswer,
    Notice,
    Order,
    RefundOrder,
    RefundState,
    Refused,
    State,
    check_time,
)
from synaxis_billing.payments.wire import read_json, send

VERSION = "2026-10-28.endive"
# Stripe signs anew for each try.
OLDEST = timedelta(minutes=5)
# Keys are kept for at least 24 hours: after that only a question is safe.
KEY_LIFETIME = timedelta(hours=23)
# https://docs.stripe.com/currencies#zero-decimal, and those that are written with decimals that
# must be zero.
_WHOLE = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "JPY",
        "KMF",
        "KRW",
        "MGA",
        "PYG",
        "RWF",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
_THOUSANDTHS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
_STEPS = {"ISK": 100, "UGX": 100} | dict.fromkeys(_THOUSANDTHS, 10)
_OPEN_DISPUTES = (
    "needs_response",
    "under_review",
    "warning_needs_response",
    "warning_under_review",
)

Fields = dict[str, str]


def to_units(amount: Decimal, currency: str) -> int:
    """Return an amount as Stripe writes it. Raises Refused for one that Stripe cannot charge."""
    units = amount.scaleb(_places(currency))
    if units != int(units) or int(units) % _STEPS.get(currency, 1):
        raise Refused("amount_not_payable")
    return int(units)


def from_units(units: int, currency: str) -> Decimal:
    """Return an amount that Stripe writes as `units`."""
    return Decimal(units).scaleb(-_places(currency))


def _places(currency: str) -> int:
    return 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2


class Stripe:
    """A Stripe account. During a rotation, `webhook_secrets` are two."""

    def __init__(self, url: str, key: str, webhook_secrets: Sequence[str]) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._secrets = webhook_secrets

    def check_out(self, order: Order) -> Checkout:
        customer_id = order.customer_id or self._customer(order)
        back = order.return_url or "https://example.com"
        fields = {
            "mode": "payment",
            "customer": customer_id,
            "client_reference_id": str(order.id),
            "metadata[payment_id]": str(order.id),
            "line_items[0][quantity]": "1",
            "line_items[0][price_data][currency]": order.currency.lower(),
            "line_items[0][price_data][unit_amount]": str(to_units(order.amount, order.currency)),
            "line_items[0][price_data][product_data][name]": order.description,
            "payment_intent_data[metadata][payment_id]": str(order.id),
            "payment_intent_data[description]": order.description,
            "success_url": back,
            "cancel_url": back,
        }
        if order.purpose == "topup":
            fields["payment_intent_data[setup_future_usage]"] = "off_session"
        made = self._post("/v1/checkout/sessions", fields, str(order.id))
        return Checkout(
            external_id=made["id"],
            url=made["url"],
            expires_at=datetime.fromtimestamp(made["expires_at"], UTC),
            customer_id=customer_id,
        )

    def charge(self, order: Order) -> State:
        # A key that may be forgotten says nothing of an earlier call, whatever is recorded of it.
        looks = order.status == "unknown" or order.age > KEY_LIFETIME
        if looks and (found := self._find_intent(order)):
            return self._state_of(order, found)
        if order.age > KEY_LIFETIME:
            # It was never made.
            return State(status="failed", currency=order.currency, failure_code="not_sent")
        fields = {
            "amount": str(to_units(order.amount, order.currency)),
            "currency": order.currency.lower(),
            "customer": order.customer_id or "",
            "payment_method": order.payment_method_id or "",
            "off_session": "true",
            "confirm": "true",
            "description": order.description,
            "metadata[payment_id]": str(order.id),
        }
        made = self._post("/v1/payment_intents", fields, str(order.id))
        return self._state_of(order, self._intent(made["id"]))

    def ask(self, order: Order) -> State:
        assert order.external_id
        if order.external_id.startswith("pi_"):
            return self._state_of(order, self._intent(order.external_id))
        session = self._get(f"/v1/checkout/sessions/{quote(order.external_id)}")
        if intent := session.get("payment_intent"):
            state = self._state_of(order, self._intent(_id(intent)))
            if state.status != "failed" or session["status"] == "complete":
                return _named(state, session["id"], ours=session["id"])
        status: Literal["expired", "pending"] = (
            "expired" if session["status"] == "expired" else "pending"
        )
        return State(status=status, currency=order.currency, external_ids=(session["id"],))

    def refund(self, order: Order, refund: RefundOrder) -> None:
        if refund.external_id or order.as_of - refund.created_at > KEY_LIFETIME:
            return
        intent = order.external_id or ""
        if not intent.startswith("pi_"):
            intent = _id(self._get(f"/v1/checkout/sessions/{quote(intent)}")["payment_intent"])
        fields = {
            "payment_intent": intent,
            "amount": str(to_units(refund.amount, order.currency)),
            "metadata[refund_id]": str(refund.id),
        }
        self._post("/v1/refunds", fields, str(refund.id))

    def verify(self, delivery: Delivery) -> Notice:
        parts = [
            part.strip().partition("=")
            for part in delivery.headers.get("stripe-signature", "").split(",")
        ]
        times = [value for name, _, value in parts if name == "t" and value.isdecimal()]
        if len(times) != 1:
            raise InvalidSignature
        signed = times[0].encode() + b"." + delivery.body
        right = [
            hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()
            for secret in self._secrets
        ]
        given = [value.encode() for name, _, value in parts if name == "v1"]
        if not any(hmac.compare_digest(one, other) for one in right for other in given):
            raise InvalidSignature
        try:
            sent_at = datetime.fromtimestamp(int(times[0]), UTC)
        except (ValueError, OverflowError, OSError):
            raise InvalidSignature from None
        check_time(sent_at, delivery.received_at, OLDEST)
        return _notice(delivery.body)

    def _customer(self, order: Order) -> str:
        fields = {"name": order.name, "metadata[organization_id]": str(order.organization_id)}
        if order.email:
            fields["email"] = order.email
        return str(self._post("/v1/customers", fields, f"customer-{order.organization_id}")["id"])

    def _find_intent(self, order: Order) -> dict[str, Any] | None:
        """Return the payment that an earlier call made, if its answer was lost."""
        if order.customer_id is None:
            return None
        since = int((order.created_at - timedelta(hours=1)).timestamp())
        query = {"customer": order.customer_id, "limit": "100", "created[gte]": str(since)}
        for listed in self._get("/v1/payment_intents", query)["data"]:
            if listed["metadata"].get("payment_id") == str(order.id):
                return self._intent(listed["id"])
        return None

    def _intent(self, intent_id: str) -> dict[str, Any]:
        return self._get(
            f"/v1/payment_intents/{quote(intent_id)}",
            {"expand[]": "latest_charge.balance_transaction"},
        )

    def _state_of(self, order: Order, intent: dict[str, Any]) -> State:
        state = _intent_state(intent)
        if not (charge := intent.get("latest_charge")):
            return state
        if order.refunds or charge["amount_refunded"]:
            query = {"payment_intent": intent["id"], "limit": "100"}
            state = _with_refunds(state, self._get("/v1/refunds", query)["data"])
            state = _with_missing(state, order)
        if charge.get("disputed"):
            query = {"payment_intent": intent["id"], "limit": "100"}
            state = _with_disputes(state, self._get("/v1/disputes", query)["data"])
        return state

    def _get(self, path: str, query: Fields | None = None) -> dict[str, Any]:
        target = f"{self._url}{path}" + (f"?{urlencode(query)}" if query else "")
        return self._answer(send("GET", target, self._headers()))

    def _post(self, path: str, fields: Fields, key: str) -> dict[str, Any]:
        headers = self._headers() | {
            "Content-Type": "application/x-www-form-urlencoded",
            "Idempotency-Key": key,
        }
        body = urlencode(fields).encode()
        return self._answer(send("POST", f"{self._url}{path}", headers, body))

    def _headers(self) -> Fields:
        return {"Authorization": f"Bearer {self._key}", "Stripe-Version": VERSION}

    @staticmethod
    def _answer(response: web.Response) -> dict[str, Any]:
        answer = read_json(response)
        if response.status == 200:
            return answer
        error = answer.get("error") or {}
        # A declined charge has made its payment, whose state tells.
        if response.status == 402 and "payment_intent" in error:
            return dict(error["payment_intent"])
        # A key in use, too many calls, a wrong key of ours: the same call again may be answered.
        if response.status in (400, 402, 404) and error.get("type") != "idempotency_error":
            raise Refused(str(error.get("code") or error.get("type") or response.status))
        raise NoAnswer(f"Stripe answered {response.status}")


def _id(found: Any) -> str:
    """Return the id of an object that is given by its id, or expanded."""
    return str(found["id"] if isinstance(found, dict) else found)


def _named(state: State, *external_ids: str, ours: str | None = None) -> State:
    return state.model_copy(
        update={"external_id": ours, "external_ids": (*state.external_ids, *external_ids)}
    )


def _intent_state(intent: dict[str, Any]) -> State:
    currency = intent["currency"].upper()
    charge = intent.get("latest_charge") or {}
    error = intent.get("last_payment_error") or {}
    fee = charge.get("balance_transaction")
    card = (charge.get("payment_method_details") or {}).get("card") or {}
    status: Literal["pending", "succeeded", "failed"] = "failed"
    if intent["status"] in ("succeeded", "processing", "requires_capture"):
        status = "succeeded" if intent["status"] == "succeeded" else "pending"
    return State(
        status=status,
        currency=currency,
        external_id=intent["id"],
        external_ids=(intent["id"], *([charge["id"]] if charge else [])),
        captured=from_units(intent.get("amount_received") or 0, currency),
        refunded=from_units(charge.get("amount_refunded") or 0, currency),
        fee=from_units(fee["fee"], fee["currency"].upper()) if isinstance(fee, dict) else None,
        fee_currency=fee["currency"].upper() if isinstance(fee, dict) else None,
        failure_code=error.get("decline_code") or error.get("code"),
        customer_id=intent["customer"] and _id(intent["customer"]),
        payment_method_id=intent["payment_method"] and _id(intent["payment_method"])
        if intent.get("setup_future_usage")
        else None,
        card_fingerprint=card.get("fingerprint"),
        card=f"{card['brand']} {card['last4']}" if card else None,
    )


def _with_refunds(state: State, listed: list[dict[str, Any]]) -> State:
    found = [
        RefundState(
            id=UUID(one["metadata"]["refund_id"]),
            external_id=one["id"],
            status="succeeded" if one["status"] in ("succeeded", "pending") else "failed",
            failure_code=one.get("failure_reason"),
        )
        for one in listed
        if "refund_id" in (one.get("metadata") or {})
    ]
    return _named(
        state.model_copy(update={"refunds": tuple(found)}),
        *(one["id"] for one in listed),
        ours=state.external_id,
    )


def _with_missing(state: State, order: Order) -> State:
    """Give up refunds that the provider does not know, when their key may be forgotten."""
    known = {refund.id for refund in state.refunds}
    lost = [
        RefundState(id=one.id, external_id="", status="failed", failure_code="not_sent")
        for one in order.refunds
        if one.id not in known
        and one.status in ("pending", "unknown")
        and order.as_of - one.created_at > KEY_LIFETIME
    ]
    return state.model_copy(update={"refunds": (*state.refunds, *lost)})


def _with_disputes(state: State, listed: list[dict[str, Any]]) -> State:
    def total(statuses: Sequence[str]) -> Decimal:
        amounts = [one["amount"] for one in listed if one["status"] in statuses]
        return from_units(sum(amounts), state.currency)

    disputed, lost = total(_OPEN_DISPUTES), total(["lost"])
    return _named(
        state.model_copy(
            update={
                "disputed": disputed,
                "lost": lost,
                "dispute_state": "open" if disputed else "lost" if lost else "won",
            }
        ),
        *(one["id"] for one in listed),
        ours=state.external_id,
    )


def _notice(body: bytes) -> Notice:
    """Return what a verified event says. Raises InvalidSignature for what is no event."""
    try:
        event = json.loads(body)
        about = event["data"]["object"]
        named = [about.get(name) for name in ("id", "payment_intent", "charge")]
        named += [about.get("client_reference_id")]
        named += [(about.get("metadata") or {}).get("payment_id")]
        ids = {_id(one) for one in named if one}
        return Notice(event_id=event["id"], type=event["type"], external_ids=sorted(ids))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidSignature("The body is not an event.") from None
