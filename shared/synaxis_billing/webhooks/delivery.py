"""Delivery of webhooks: claimed from the database, signed, sent, and their results recorded.

The sender reaches the internet and not the database, so a signed request comes to it as a message,
and its result goes back as one. An attempt without a result is repeated.
"""

import base64
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from synaxis_billing import procedures, web
from synaxis_billing.fields import Answer
from synaxis_billing.money import format_amounts
from synaxis_billing.webhooks.addresses import is_public_ip

# The deliveries of one endpoint in a page.
MOST_OF_AN_ENDPOINT = 100
# The deliveries that fill a page.
FULL_PAGE = 1000
# Longer than a message and its result wait in their queues.
LEASE = timedelta(minutes=15)
# An endpoint that has only failed for this long is disabled.
PATIENCE = timedelta(days=3)


class Signed(Answer):
    """A request that is ready to be sent while its signature's time is accepted, for a few
    minutes."""

    organization_id: UUID
    event_id: UUID
    endpoint_id: UUID
    lease: UUID
    url: str
    headers: dict[str, str]
    body: str


class Attempt(Answer):
    """The result of sending; `error` is the reason of a failure."""

    organization_id: UUID
    event_id: UUID
    endpoint_id: UUID
    lease: UUID
    status_code: int | None = None
    error: str | None = None


def claim(db: psycopg.Connection, now: datetime) -> Iterator[list[Signed]]:
    """Claim the deliveries that are due, and iterate over pages of them, signed.

    The endpoints take turns, so that no endpoint's backlog delays another.
    """
    more = True
    while more:
        more, page = False, []
        for organization_id in procedures.each_organization(db, "due_webhooks"):
            page += procedures.call(
                db,
                "claim_webhooks",
                tenant="*",
                organization_id=organization_id,
                each=MOST_OF_AN_ENDPOINT,
                lease=LEASE,
            )
            if len(page) >= FULL_PAGE:
                more = True
                yield [sign(delivery, now) for delivery in page]
                page = []
        if page:
            more = True
            yield [sign(delivery, now) for delivery in page]


def sign(claimed: dict[str, Any], now: datetime) -> Signed:
    """Return the signed request of a claimed delivery.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    created_at = datetime.fromisoformat(claimed["created_at"]).astimezone(UTC)
    body = json.dumps(
        {
            "type": claimed["type"],
            "timestamp": created_at.isoformat().replace("+00:00", "Z"),
            "data": format_amounts(claimed["data"]),
        }
    )
    seconds = int(now.timestamp())
    text = f"{claimed['event_id']}.{seconds}.{body}".encode()
    signatures = [
        base64.b64encode(hmac.digest(base64.b64decode(secret), text, "sha256")).decode()
        for secret in claimed["secrets"]
    ]
    return Signed(
        organization_id=claimed["organization_id"],
        event_id=claimed["event_id"],
        endpoint_id=claimed["endpoint_id"],
        lease=claimed["lease"],
        url=claimed["url"],
        headers={
            "content-type": "application/json",
            "user-agent": "synaxis-billing",
            "webhook-id": claimed["event_id"],
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
        },
        body=body,
    )


def send(request: Signed, *, private: bool) -> Attempt:
    """Send once; a redirect is a failure. `private` also allows http, and addresses that are not on
    the public internet."""
    attempt = Attempt(
        organization_id=request.organization_id,
        event_id=request.event_id,
        endpoint_id=request.endpoint_id,
        lease=request.lease,
    )
    if not private and request.url.startswith("http://"):
        return attempt.model_copy(update={"error": "its URL does not begin with https://"})
    try:
        code, _ = web.request(
            "POST",
            request.url,
            headers=request.headers,
            body=request.body.encode(),
            allow=None if private else is_public_ip,
        )
    except (web.NoResponse, ValueError) as reason:
        return attempt.model_copy(update={"error": str(reason)})
    error = None if 200 <= code < 300 else f"it answered {code}"
    return attempt.model_copy(update={"status_code": code, "error": error})


def record(db: psycopg.Connection, attempt: Attempt) -> str:
    """Record an attempt and return its outcome: delivered, retried, failed (it was the last),
    disabled (the endpoint is), or forgotten (the attempt had been given up)."""
    outcome = procedures.call(
        db,
        "webhook_attempted",
        tenant="*",
        organization_id=attempt.organization_id,
        event_id=attempt.event_id,
        endpoint_id=attempt.endpoint_id,
        lease=attempt.lease,
        status_code=attempt.status_code,
        error=attempt.error,
        patience=PATIENCE,
    )
    return str(outcome)
