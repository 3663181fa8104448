"""PayPal's disputes, and the signatures and list of its webhooks."""

import json
import re
from datetime import UTC, datetime

from local.payments.paypal import PayPalApi, route
from local.payments.paypal_money import (
    malformed,
)
from local.payments.state import Object

_DETAILS = ("disputed_transactions", "dispute_outcome")


@route("GET", "/v1/customer/disputes")
def list_disputes(api: PayPalApi, body: Object, _ids: list[str]) -> tuple[int, Object]:
    transaction = body["_query"].get("disputed_transaction_id")
    found = [
        one
        for one in reversed(api.state.of_kind("paypal_dispute"))
        if transaction in (None, one["_capture"])
    ]
    listed = {"links": [api.link("/v1/customer/disputes", "self")]}
    if found:
        # The rest shows when one is asked for.
        listed["items"] = [
            {name: of for name, of in one.items() if name not in _DETAILS} for one in found
        ]
    return 200, listed


@route("GET", "/v1/customer/disputes/*")
def show_dispute(api: PayPalApi, _body: Object, ids: list[str]) -> tuple[int, Object]:
    return 200, api.find("paypal_dispute", ids[0], "id")


@route("POST", "/v1/customer/disputes/*/accept-claim")
def accept_claim(api: PayPalApi, _body: Object, ids: list[str]) -> tuple[int, Object]:
    found = api.find("paypal_dispute", ids[0], "id")
    api.close_dispute(found, won=False)
    return 200, {"links": found["links"]}


@route("POST", "/v1/customer/disputes/*/adjudicate")
def adjudicate(api: PayPalApi, body: Object, ids: list[str]) -> tuple[int, Object]:
    """Decide a dispute, as PayPal's sandbox lets the merchant do."""
    found = api.find("paypal_dispute", ids[0], "id")
    api.close_dispute(found, won=body.get("adjudication_outcome") == "SELLER_FAVOR")
    return 200, {"links": found["links"]}


# Webhooks


@route("POST", "/v1/notifications/verify-webhook-signature")
def verify_signature(api: PayPalApi, body: Object, _ids: list[str]) -> tuple[int, Object]:
    names = ("transmission_id", "transmission_time", "transmission_sig", "cert_url", "auth_algo")
    for name in (*names, "webhook_id"):
        if not isinstance(body.get(name), str):
            raise malformed("MISSING_REQUIRED_PARAMETER", f"/{name}", "It is required.")
    verified = api.certificate.verifies(body, _raw_event(body["_raw"]))
    return 200, {"verification_status": "SUCCESS" if verified else "FAILURE"}


def _raw_event(raw: bytes) -> bytes:
    """The bytes of `webhook_event` as they were sent: JSON that was written anew is another."""
    text = raw.decode()
    found = re.search(r'"webhook_event"\s*:\s*', text)
    if found is None:
        raise malformed("MISSING_REQUIRED_PARAMETER", "/webhook_event", "It is required.")
    _, end = json.JSONDecoder().raw_decode(text, found.end())
    return text[found.end() : end].encode()


@route("GET", "/v1/notifications/webhooks-events")
def list_events(api: PayPalApi, body: Object, _ids: list[str]) -> tuple[int, Object]:
    query = body["_query"]
    since = query.get("start_time", "")
    found = [
        one
        for one in reversed(api.state.of_kind("paypal_event"))
        if _seconds(one["create_time"]) >= (_seconds(since) if since else 0)
        and query.get("event_type") in (None, one["event_type"])
        and query.get("transaction_id") in (None, one["resource"].get("id"))
    ][: int(query.get("page_size", 10))]
    return 200, {"events": found, "count": len(found), "links": []}


@route("GET", "/v1/notifications/webhooks-events/*")
def show_event(api: PayPalApi, _body: Object, ids: list[str]) -> tuple[int, Object]:
    return 200, api.find("paypal_event", ids[0], "event_id")


@route("POST", "/v1/notifications/webhooks-events/*/resend")
def resend_event(api: PayPalApi, _body: Object, ids: list[str]) -> tuple[int, Object]:
    found = api.find("paypal_event", ids[0], "event_id")
    api.send(found)
    return 202, found


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC).timestamp()
