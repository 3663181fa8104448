"""Delivery of webhooks: claimed from the database, signed, sent, and their results recorded.

The sender reaches the internet and not the database, so a signed request comes to it as a message,
and its result goes back as one. An attempt without a result is repeated.
"""

import base64
import hmac
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field

from synaxis_billing import procedures, web
from synaxis_billing.fields import Answer
from synaxis_billing.money import format_amounts
from synaxis_billing.webhooks.addresses import is_public_ip

# The deliveries in a page, and those of one endpoint among them.
MOST_AT_ONCE = 1000
MOST_OF_AN_ENDPOINT = 100
# Longer than a message and its result wait in their queues.
LEASE = timedelta(minutes=15)
# Receivers take a signature for five minutes: a request has one for each part of its lease.
SIGNATURE = timedelta(minutes=3)
# An endpoint that has only failed for this long is disabled.
PATIENCE = timedelta(days=3)


class Signed(Answer):
    """A request that is ready to be sent during its lease: `headers` has the first signature,
    `later` those for later times, by the time in seconds since 1970."""

    organization_id: UUID
    event_id: UUID
    endpoint_id: UUID
    lease: UUID
    url: str
    headers: dict[str, str]
    later: dict[int, str] = Field(default_factory=dict)
    body: str

    def headers_at(self, now: datetime) -> dict[str, str]:
        """Return the headers with the newest signature whose time has come."""
        passed = [seconds for seconds in self.later if seconds <= now.timestamp()]
        if not passed:
            return self.headers
        newest = max(passed)
        signature = self.later[newest]
        signed = {"webhook-timestamp": str(newest), "webhook-signature": signature}
        return self.headers | signed

    def is_over(self, now: datetime) -> bool:
        """Whether the lease has ended, so that another attempt takes this one's place."""
        return now.timestamp() >= int(self.headers["webhook-timestamp"]) + LEASE.total_seconds()


class Attempt(Answer):
    """The result of sending; `error` is the reason of a failure."""

    organization_id: UUID
    event_id: UUID
    endpoint_id: UUID
    lease: UUID
    status_code: int | None = None
    error: str | None = None


def claim(db: psycopg.Connection, now: datetime) -> Iterator[list[Signed]]:
    """Claim the deliveries that are due, and iterate over pages of them, signed. One that cannot be
    signed is given back.

    The endpoints take turns, so that no endpoint's backlog delays another.
    """
    more = True
    while more:
        more = False
        page: list[dict[str, Any]] = []
        for organization_id in procedures.each_organization(lambda: db, "due_webhooks"):
            page += procedures.call(
                db,
                "claim_webhooks",
                tenant="*",
                organization_id=organization_id,
                each=MOST_OF_AN_ENDPOINT,
                limit=MOST_AT_ONCE - len(page),
                lease=LEASE,
            )
            if len(page) == MOST_AT_ONCE:
                more = True
                yield _sign_all(db, page, now)
                page = []
        if page:
            more = True
            yield _sign_all(db, page, now)


def _sign_all(db: psycopg.Connection, claimed: list[dict[str, Any]], now: datetime) -> list[Signed]:
    signed = []
    unsigned = []
    for delivery in claimed:
        try:
            signed.append(sign(delivery, now))
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            reason = f"it cannot be signed ({type(error).__name__})"
            unsigned.append((Attempt.model_validate(delivery), reason))
    give_back(db, unsigned)
    return signed


def give_back(db: psycopg.Connection, unsent: Sequence[tuple["Signed | Attempt", str]]) -> None:
    """Record why claimed deliveries were not sent: each is tried again after its delay, as after a
    failed attempt, and its endpoint is not blamed."""
    leases: dict[UUID, list[dict[str, Any]]] = {}
    for one, reason in unsent:
        lease = one.model_dump(mode="json", include={"event_id", "endpoint_id", "lease"})
        leases.setdefault(one.organization_id, []).append({**lease, "error": reason})
    for organization_id, own in leases.items():
        procedures.call(
            db,
            "webhooks_unsent",
            tenant="*",
            organization_id=organization_id,
            unsent=Jsonb(own),
        )


def waiting(db: psycopg.Connection) -> dict[str, float]:
    """Return how many deliveries are due and not sent (`waiting`), and for how many seconds the
    oldest of them has been (`oldest_seconds`)."""
    found: dict[str, float] = procedures.call(db, "waiting_webhooks", tenant="*")
    return found


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

    def signature(seconds: int) -> str:
        text = f"{claimed['event_id']}.{seconds}.{body}".encode()
        digests = (
            hmac.digest(base64.b64decode(secret), text, "sha256") for secret in claimed["secrets"]
        )
        return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)

    first = int(now.timestamp())
    step = int(SIGNATURE.total_seconds())
    later = range(first + step, first + int(LEASE.total_seconds()), step)
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
            "webhook-timestamp": str(first),
            "webhook-signature": signature(first),
        },
        later={seconds: signature(seconds) for seconds in later},
        body=body,
    )


def send(request: Signed, *, private: bool) -> Attempt:
    """Send once, with a signature of now; a redirect is a failure. A request whose lease has ended
    is not sent. `private` also allows http, and addresses that are not on the public internet."""
    now = datetime.now(UTC)
    attempt = Attempt(
        organization_id=request.organization_id,
        event_id=request.event_id,
        endpoint_id=request.endpoint_id,
        lease=request.lease,
    )
    if request.is_over(now):
        return attempt.model_copy(update={"error": "it waited too long to be sent"})
    if not private and request.url.startswith("http://"):
        return attempt.model_copy(update={"error": "its URL does not begin with https://"})
    try:
        code, _ = web.request(
            "POST",
            request.url,
            headers=request.headers_at(now),
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
