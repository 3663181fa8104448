"""Webhooks: an organization's own endpoints, and what they are told.

An event is recorded by the change that causes it, in its transaction, and sent to every endpoint
that wants its type, at least once: again after growing delays until it is answered with a success.
"""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from synaxis_billing import sql
from synaxis_billing.errors import invalid_field
from synaxis_billing.fields import UNNAMED, Answer, Instant, Request, Time, shown
from synaxis_billing.ledger import Caller
from synaxis_billing.money import written
from synaxis_billing.pages import Page, page
from synaxis_billing.web_addresses import is_public, parsed

MOST_ENDPOINTS = 20
SECRET_BYTES = 32
# How long the secret before still signs along after a rotation.
SECRET_OVERLAP = timedelta(hours=24)

EventType = Literal[
    "invoice.issued",
    "invoice.paid",
    "invoice.overdue",
    "invoice.cancelled",
    "credit_note.issued",
    "balance.low",
]


def _web_address(url: str) -> str:
    parsed(url)
    return url


# 1 to 65535.
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000, pattern=r"^[\x21-\x7e]*$"),
    AfterValidator(_web_address),
    shown(
        rf"^https://[A-Za-z0-9.-]+(:{_PORT})?([/?][!-\"$-~]*)?$",
        "https://example.com/billing",
        maxLength=2000,
    ),
]
Types = Annotated[tuple[EventType, ...], Field(max_length=20)]


class NewEndpoint(Request):
    """Without `types`, every type of event is sent."""

    url: Url
    types: Types = ()


class EndpointChange(Request):
    """What it names is changed, and nothing else."""

    url: Url = UNNAMED
    types: Types = UNNAMED
    enabled: Annotated[bool, Field(strict=True)] = UNNAMED


class Replay(Request):
    """One event, delivered or not; or all since an instant that the endpoint has not got."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": [one],
                    "properties": {one: {"type": "string"}, other: {"type": "null"}},
                }
                for one, other in (("event_id", "since"), ("since", "event_id"))
            ]
        }
    )

    event_id: UUID | None = None
    since: Instant | None = None


class Endpoint(Answer):
    """`failing_since` is when the failures began that no success has ended."""

    id: UUID
    organization_id: UUID
    url: str
    types: list[str]
    enabled: bool
    failing_since: Time | None
    disabled_at: Time | None
    disabled_because: str | None
    created_at: Time


class EndpointWithSecret(Endpoint):
    """The secret is shown here and never again."""

    secret: str


class Endpoints(Answer):
    """Oldest first."""

    items: list[Endpoint]


class Replayed(Answer):
    """How many deliveries were asked for."""

    replayed: int


class Delivery(Answer):
    """What became of an event at an endpoint; `error` says why the last attempt was no success."""

    endpoint_id: UUID
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    attempted_at: Time | None
    next_attempt_at: Time | None
    status_code: int | None
    error: str | None


class Event(Answer):
    id: UUID
    type: str
    created_at: Time
    data: dict[str, Any]
    deliveries: list[Delivery]


def create(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    request: NewEndpoint,
    *,
    private: bool,
) -> EndpointWithSecret:
    """The endpoint, with the secret that its webhooks are signed by. `private` also allows
    addresses that are not on the public internet.

    Raises NotFound, Conflict (it is there already, or there are too many), InvalidRequest.
    """
    _refuse_private(request.url, private)
    secret = secrets.token_bytes(SECRET_BYTES)
    outcome = sql.call(
        db,
        "create_webhook_endpoint",
        *(caller.tenant, organization_id, request.url, list(request.types), secret, MOST_ENDPOINTS),
    )
    return _with_secret(outcome, secret)


def listed(db: psycopg.Connection, caller: Caller, organization_id: UUID) -> Endpoints:
    """Raises NotFound."""
    outcome = sql.call(db, "webhook_endpoints", caller.tenant, organization_id)
    return Endpoints(items=sql.accepted(outcome)[0])


def update(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    endpoint_id: UUID,
    request: EndpointChange,
    *,
    private: bool,
) -> Endpoint:
    """Raises NotFound, Conflict (another endpoint has the URL), InvalidRequest."""
    change = request.model_dump(mode="json", exclude_unset=True)
    if "url" in change:
        _refuse_private(request.url, private)
    outcome = sql.call(
        db,
        "update_webhook_endpoint",
        *(caller.tenant, organization_id, endpoint_id, Jsonb(change)),
    )
    return Endpoint.model_validate(sql.accepted(outcome)[0])


def delete(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, endpoint_id: UUID
) -> Endpoint:
    """What it was; what was still to be sent to it is not. Raises NotFound."""
    outcome = sql.call(db, "delete_webhook_endpoint", caller.tenant, organization_id, endpoint_id)
    return Endpoint.model_validate(sql.accepted(outcome)[0])


def rotate_secret(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, endpoint_id: UUID
) -> EndpointWithSecret:
    """A new secret; the one before signs along for a day. Raises NotFound."""
    secret = secrets.token_bytes(SECRET_BYTES)
    outcome = sql.call(
        db,
        "rotate_webhook_secret",
        *(caller.tenant, organization_id, endpoint_id, secret, SECRET_OVERLAP),
    )
    return _with_secret(outcome, secret)


def replay(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    endpoint_id: UUID,
    request: Replay,
) -> Replayed:
    """Raises NotFound, Conflict (the endpoint is disabled), InvalidRequest."""
    if (request.event_id is None) == (request.since is None):
        raise invalid_field("body", "", "must have either event_id or since")
    outcome = sql.call(
        db,
        "replay_webhooks",
        *(caller.tenant, organization_id, endpoint_id, request.event_id, request.since),
    )
    return Replayed.model_validate(sql.accepted(outcome)[0])


def events(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    event_type: EventType | None,
    limit: int,
    cursor: str | None,
) -> Page[Event]:
    """Newest first, with what became of each. Raises NotFound, InvalidRequest (cursor)."""

    def fetch(before: datetime | None, most: int) -> list[Event]:
        found = sql.call(
            db, "webhook_events", caller.tenant, organization_id, event_type, before, most
        )
        return [Event.model_validate(written(row)) for row in sql.accepted(found)[0]]

    items, following = page("webhook-events", organization_id, limit, cursor, None, fetch)
    return Page[Event](items=items, next_cursor=following)


def _refuse_private(url: str, private: bool) -> None:
    """What can be told from the URL alone; its name is looked up when it is sent to."""
    if private:
        return
    address = parsed(url)
    if address.scheme != "https":
        raise invalid_field("body", "/url", "must begin with https://")
    if not is_public(address.host):
        raise invalid_field("body", "/url", "must be on the public internet")


def _with_secret(outcome: dict[str, Any], secret: bytes) -> EndpointWithSecret:
    # https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    text = "whsec_" + base64.b64encode(secret).decode()
    return EndpointWithSecret.model_validate({**sql.accepted(outcome)[0], "secret": text})
