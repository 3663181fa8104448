"""PayPal's API: orders (version 2), captures, refunds, disputes and signed webhooks.

https://developer.paypal.com/api/rest/
"""

import base64
import json
import time
from datetime import datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import quote
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

# PayPal tries for three days, and may keep the time of the first try.
OLDEST = timedelta(days=3, hours=1)
# PayPal keeps the keys of orders and captures for 6 hours, those of refunds for 45 days.
ORDER_KEY_LIFETIME = timedelta(hours=5)
REFUND_KEY_LIFETIME = timedelta(days=40)
# https://developer.paypal.com/api/rest/reference/currency-codes/
_WHOLE = frozenset({"HUF", "JPY", "TWD"})
_HEADERS = ("auth-algo", "cert-url", "transmission-id", "transmission-sig", "transmission-time")
_RENEW_SECONDS = 60

Json = dict[str, Any]


def to_value(amount: Decimal, currency: str) -> str:
    """Return an amount as PayPal writes it. Raises Refused for one that PayPal cannot charge."""
    places = 0 if currency in _WHOLE else 2
    value = round(amount, places)
    if value != amount:
        raise Refused("amount_not_payable")
    return f"{value:f}"


class PayPal:
    """A PayPal business account."""

    def __init__(self, url: str, client_id: str, client_secret: str, webhook_id: str) -> None:
        self._url = url.rstrip("/")
        self._login = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._webhook_id = webhook_id
        self._token = ""
        self._token_ends = 0.0

    def check_out(self, order: Order) -> Checkout:
        back = order.return_url or "https://example.com"
        asked = {
            "intent": "CAPTURE",
            "purchase_units": [
                {
                    "reference_id": "default",
                    "custom_id": str(order.id),
                    "description": order.description,
                    "amount": _money(order.amount, order.currency),
                }
            ],
            "payment_source": {
                "paypal": {
                    "experience_context": {
                        "return_url": back,
                        "cancel_url": back,
                        "user_action": "PAY_NOW",
                        "shipping_preference": "NO_SHIPPING",
                    }
                }
            },
        }
        made = self._call("POST", "/v2/checkout/orders", asked, str(order.id))
        links = {link["rel"]: link["href"] for link in made["links"]}
        url = links.get("payer-action") or links.get("approve")
        if url is None:
            raise NoAnswer("the order has no page for the payer")
        return Checkout(external_id=made["id"], url=url)

    def charge(self, order: Order) -> State:
        raise Refused(f"no_saved_card_of_{order.provider}")

    def ask(self, order: Order) -> State:
        path = f"/v2/checkout/orders/{quote(order.external_id or '')}"
        try:
            found = self._call("GET", path)
        except Refused as error:
            # PayPal forgets an order that nobody approved.
            if error.code in ("RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID"):
                return State(status="expired", currency=order.currency)
            raise
        if found["status"] == "APPROVED" and order.status in ("pending", "unknown"):
            found = self._capture(order, path) or found
        return self._state(order, found)

    def refund(self, order: Order, refund: RefundOrder) -> None:
        if order.as_of - refund.created_at > REFUND_KEY_LIFETIME:
            return
        found = self._call("GET", f"/v2/checkout/orders/{quote(order.external_id or '')}")
        [capture, *_] = _payments(found, "captures")
        asked = {
            "amount": _money(refund.amount, order.currency),
            "custom_id": str(refund.id),
        }
        path = f"/v2/payments/captures/{quote(capture['id'])}/refund"
        self._call("POST", path, asked, str(refund.id))

    def verify(self, delivery: Delivery) -> Notice:
        given = {name: delivery.headers.get(f"paypal-{name}", "") for name in _HEADERS}
        try:
            sent_at = datetime.fromisoformat(given["transmission-time"])
            check_time(sent_at, delivery.received_at, OLDEST)
            asked = {name.replace("-", "_"): value for name, value in given.items()}
            asked["webhook_id"] = self._webhook_id
            # The event goes back in the very bytes in which it came: its signature is over them.
            json.loads(delivery.body)
            head = json.dumps(asked).encode().rstrip(b"}")
            body = head + b', "webhook_event": ' + delivery.body + b"}"
        except (ValueError, TypeError):
            raise InvalidSignature from None
        try:
            answer = self._send("POST", "/v1/notifications/verify-webhook-signature", body)
        except Refused:
            raise InvalidSignature from None
        if answer.get("verification_status") != "SUCCESS":
            raise InvalidSignature
        return _notice(delivery.body)

    def _capture(self, order: Order, path: str) -> Json | None:
        """Capture an approved order, once; None if the payer has to choose again."""
        try:
            return self._call("POST", f"{path}/capture", {}, f"{order.id}-capture")
        except Refused as error:
            if error.code == "ORDER_ALREADY_CAPTURED":
                return self._call("GET", path)
            if error.code in ("INSTRUMENT_DECLINED", "PAYER_ACTION_REQUIRED", "ORDER_NOT_APPROVED"):
                return None
            raise

    def _state(self, order: Order, found: Json) -> State:
        captures = _payments(found, "captures")
        refunds = _payments(found, "refunds")
        taken = [one for one in captures if one["status"] not in ("PENDING", "DECLINED", "FAILED")]
        back = [one for one in refunds if one["status"] in ("COMPLETED", "PENDING")]
        fee = _fee(taken)
        state = State(
            status=_status(found, captures, taken),
            currency=order.currency,
            external_id=found["id"],
            external_ids=(found["id"], *(one["id"] for one in captures + refunds)),
            captured=_total(taken, order.currency),
            refunded=_total(back, order.currency),
            fee=Decimal(fee["value"]) if fee else None,
            fee_currency=fee["currency_code"] if fee else None,
            failure_code=captures[0]["status"].lower() if captures else None,
            refunds=tuple(_refunds(refunds, order)),
        )
        return self._with_disputes(state, taken) if taken else state

    def _with_disputes(self, state: State, captures: list[Json]) -> State:
        disputed = lost = Decimal(0)
        seen = False
        ids = list(state.external_ids)
        for capture in captures:
            query = f"?disputed_transaction_id={quote(capture['id'])}"
            for listed in self._call("GET", f"/v1/customer/disputes{query}").get("items", []):
                seen = True
                ids.append(listed["dispute_id"])
                amount = Decimal(listed["dispute_amount"]["value"])
                if listed["status"] != "RESOLVED":
                    disputed += amount
                elif self._is_lost(listed["dispute_id"]):
                    lost += amount
        if not seen:
            return state
        side: Literal["open", "lost", "won"] = "open" if disputed else "lost" if lost else "won"
        return state.model_copy(
            update={
                "disputed": disputed,
                "lost": lost,
                "dispute_state": side,
                "external_ids": tuple(ids),
            }
        )

    def _is_lost(self, dispute_id: str) -> bool:
        """Say whether the money of a resolved dispute went to the buyer. Under a payout, PayPal
        pays the buyer itself."""
        found = self._call("GET", f"/v1/customer/disputes/{quote(dispute_id)}")
        outcome = (found.get("dispute_outcome") or {}).get("outcome_code")
        return outcome in ("RESOLVED_BUYER_FAVOUR", "ACCEPTED")

    def _call(self, method: str, path: str, asked: Json | None = None, key: str = "") -> Json:
        body = b"" if asked is None else json.dumps(asked).encode()
        return self._send(method, path, body, {"PayPal-Request-Id": key} if key else {})

    def _send(
        self, method: str, path: str, body: bytes, more: dict[str, str] | None = None
    ) -> Json:
        headers = {
            "Authorization": f"Bearer {self._access_token()}",
            "Content-Type": "application/json",
            "Prefer": "return=representation",
            **(more or {}),
        }
        return self._answer(send(method, f"{self._url}{path}", headers, body))

    def _access_token(self) -> str:
        if time.monotonic() >= self._token_ends:
            headers = {
                "Authorization": f"Basic {self._login}",
                "Content-Type": "application/x-www-form-urlencoded",
            }
            body = b"grant_type=client_credentials"
            answer = self._answer(send("POST", f"{self._url}/v1/oauth2/token", headers, body))
            self._token = answer["access_token"]
            self._token_ends = time.monotonic() + int(answer["expires_in"]) - _RENEW_SECONDS
        return self._token

    def _answer(self, response: web.Response) -> Json:
        answer = read_json(response)
        if response.status in (200, 201):
            return answer
        if response.status == HTTPStatus.UNAUTHORIZED:
            self._token_ends = 0.0
        if response.status in (400, 404, 422):
            details: list[Json] = [*answer.get("details", ()), {}]
            raise Refused(str(details[0].get("issue") or answer.get("name") or response.status))
        raise NoAnswer(f"PayPal answered {response.status}")


def _money(amount: Decimal, currency: str) -> dict[str, str]:
    return {"currency_code": currency, "value": to_value(amount, currency)}


def _payments(order: Json, kind: str) -> list[Json]:
    """Return an order's captures or refunds."""
    return [
        one
        for unit in order.get("purchase_units", [])
        for one in (unit.get("payments") or {}).get(kind, [])
    ]


def _total(found: list[Json], currency: str) -> Decimal:
    if any(one["amount"]["currency_code"] != currency for one in found):
        raise NoAnswer(f"PayPal names another currency than {currency}")
    return sum((Decimal(one["amount"]["value"]) for one in found), Decimal(0))


def _status(
    order: Json, captures: list[Json], taken: list[Json]
) -> Literal["pending", "succeeded", "failed", "expired"]:
    if taken:
        return "succeeded"
    if order["status"] == "VOIDED":
        return "expired"
    if captures and all(one["status"] in ("DECLINED", "FAILED") for one in captures):
        return "failed"
    return "pending"


def _fee(captures: list[Json]) -> dict[str, str] | None:
    for one in captures:
        fee: dict[str, str] | None = (one.get("seller_receivable_breakdown") or {}).get(
            "paypal_fee"
        )
        if fee:
            return fee
    return None


def _refunds(found: list[Json], order: Order) -> list[RefundState]:
    """Return the state of the refunds that we asked for, which carry our ids."""
    ours = {str(refund.id) for refund in order.refunds}
    listed = [
        RefundState(
            id=UUID(one["custom_id"]),
            external_id=one["id"],
            status="succeeded" if one["status"] in ("COMPLETED", "PENDING") else "failed",
            failure_code=None,
        )
        for one in found
        if one.get("custom_id") in ours
    ]
    known = {refund.id for refund in listed}
    lost = [
        RefundState(id=one.id, external_id="", status="failed", failure_code="not_sent")
        for one in order.refunds
        if one.id not in known
        and one.status in ("pending", "unknown")
        and order.as_of - one.created_at > REFUND_KEY_LIFETIME
    ]
    return listed + lost


def _notice(body: bytes) -> Notice:
    """Return what a verified event says. Raises InvalidSignature for what is no event."""
    try:
        event = json.loads(body)
        about = event["resource"]
        named = [about.get("id"), about.get("custom_id")]
        related = (about.get("supplementary_data") or {}).get("related_ids") or {}
        named += related.values()
        for unit in about.get("purchase_units") or []:
            named.append(unit.get("custom_id"))
        for disputed in about.get("disputed_transactions") or []:
            named += [disputed.get("seller_transaction_id"), disputed.get("custom")]
        for link in about.get("links") or []:
            if link.get("rel") == "up":
                named.append(link["href"].rpartition("/")[2])
        ids = sorted({str(one) for one in named if one})
        return Notice(event_id=event["id"], type=event["event_type"], external_ids=ids)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidSignature("The body is not an event.") from None
