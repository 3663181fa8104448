"""Webhook endpoints of an organization, and the events that are sent to them.

An event is recorded by the change that causes it, in the same transaction, and sent to every
endpoint that subscribes to its type, at least once: again after growing delays until the endpoint
answers with a success.
"""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import Conflict, NotFound, invalid_field
from synaxis_billing.fields import UNNAMED, Answer, Instant, Request, Time, json_schema
from synaxis_billing.money import format_amounts
from synaxis_billing.paging import Bounds, Page, paginate
from synaxis_billing.web import check_url, parse_url
from synaxis_billing.webhooks.addresses import is_public

MOST_ENDPOINTS = 20
SECRET_BYTES = 32
# A rotated secret also signs for this long.
SECRET_OVERLAP = timedelta(hours=24)

type WebhookEventType = Literal[
    "invoice.issued",
    "invoice.paid",
    "invoice.overdue",
    "invoice.payment_failed",
    "invoice.uncollectible",
    "invoice.cancelled",
    "credit_note.issued",
    "balance.low",
    "balance.runs_out",
    "balance.exhausted",
    "grant.created",
    "grant.expiring",
    "grant.expired",
    "budget.alert",
    "budget.exceeded",
    "payment.succeeded",
    "payment.failed",
    "payment.refunded",
    "payment.disputed",
    "auto_topup.paused",
]

type WebhookDeliveryStatus = Literal["pending", "delivered", "failed"]


# 1 to 65535.
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000, pattern=r"^[\x21-\x7e]*$"),
    AfterValidator(check_url),
    json_schema(
        rf"^https://[A-Za-z0-9.-]+(:{_PORT})?([/?][!-\"$-~]*)?$",
        "https://example.com/billing",
        maxLength=2000,
    ),
]
Types = Annotated[tuple[WebhookEventType, ...], Field(max_length=20)]


class NewWebhookEndpoint(Request):
    """Without `types`, every type of event is sent."""

    url: Url
    """The https URL that webhooks are sent to."""
    types: Types = ()
    """Types of events to send; every type if it is empty."""


class WebhookEndpointChange(Request):
    """Changes the fields that it names, and no others."""

    url: Url = UNNAMED
    """The https URL that webhooks are sent to."""
    types: Types = UNNAMED
    """Types of events to send; every type if it is empty."""
    enabled: Annotated[bool, Field(strict=True)] = UNNAMED
    """Whether webhooks are sent."""


class WebhookReplay(Request):
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
    """Id of the event to send again."""
    since: Instant | None = None
    """Time from which on events are sent again."""


class WebhookEndpoint(Answer):
    """`failing_since` is the time of the first failure since the last success."""

    id: UUID
    organization_id: UUID
    url: str
    """The URL that webhooks are sent to."""
    types: list[str]
    """Types of events that are sent; every type if it is empty."""
    enabled: bool
    """Whether webhooks are sent."""
    failing_since: Time | None
    """Time of the first failure since the last success."""
    disabled_at: Time | None
    """Time at which it was disabled."""
    disabled_because: str | None
    """Why it was disabled."""
    created_at: Time


class WebhookEndpointWithSecret(WebhookEndpoint):
    """`secret` is shown once, here."""

    secret: str
    """The secret that signs the webhooks, shown once, here."""


class WebhookEndpoints(Answer):
    """Oldest first."""

    items: list[WebhookEndpoint]
    """The endpoints, oldest first."""


class WebhooksReplayed(Answer):
    """`replayed` is the number of deliveries that were queued."""

    replayed: int
    """Number of deliveries that were queued."""


class WebhookDelivery(Answer):
    """The delivery of an event to an endpoint; `error` is why the last attempt failed."""

    endpoint_id: UUID
    """Id of the endpoint."""
    status: WebhookDeliveryStatus
    """State of the delivery."""
    attempts: int
    """Number of attempts."""
    attempted_at: Time | None
    """Time of the last attempt."""
    next_attempt_at: Time | None
    """Time of the next attempt; null if there is none."""
    status_code: int | None
    """HTTP status that the endpoint answered last."""
    error: str | None
    """Why the last attempt failed."""


class WebhookEvent(Answer):
    """An event and its deliveries."""

    id: UUID
    """Id of the event, which the header `webhook-id` carries."""
    type: str
    """Type of the event."""
    created_at: Time
    """Time of the change that caused the event."""
    data: dict[str, Any]
    """What changed, as the webhook of this type carries it."""
    deliveries: list[WebhookDelivery]
    """One delivery per endpoint."""


class WebhookEndpointNotFound(NotFound):
    """The webhook endpoint does not exist in this organization."""

    code = "webhook_endpoint_not_found"


class WebhookEventNotFound(NotFound):
    """The event does not exist in this organization."""

    code = "webhook_event_not_found"


class WebhookEndpointExists(Conflict):
    """The organization already has a webhook endpoint with this URL."""

    code = "webhook_endpoint_exists"


def create_endpoint(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    request: NewWebhookEndpoint,
    *,
    private: bool,
) -> WebhookEndpointWithSecret:
    """Create an endpoint; return it with the secret that signs its webhooks.

    `private` also allows addresses that are not on the public internet. Raises
    OrganizationNotFound, WebhookEndpointExists, Conflict (too many endpoints), InvalidRequest.
    """
    _refuse_private(request.url, private)
    secret = secrets.token_bytes(SECRET_BYTES)
    outcome = procedures.call(
        db,
        "create_webhook_endpoint",
        tenant=caller.tenant,
        organization_id=organization_id,
        url=request.url,
        types=list(request.types),
        secret=secret,
        most=MOST_ENDPOINTS,
    )
    return _with_secret(outcome, secret)


def list_endpoints(
    db: psycopg.Connection, caller: Caller, organization_id: UUID
) -> WebhookEndpoints:
    """List the endpoints of an organization. Raises OrganizationNotFound."""
    outcome = procedures.call(
        db, "webhook_endpoints", tenant=caller.tenant, organization_id=organization_id
    )
    return WebhookEndpoints(items=procedures.accepted(outcome)[0])


def update_endpoint(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    endpoint_id: UUID,
    request: WebhookEndpointChange,
    *,
    private: bool,
) -> WebhookEndpoint:
    """Change the named fields of an endpoint.

    Raises OrganizationNotFound, WebhookEndpointNotFound, WebhookEndpointExists, InvalidRequest.
    """
    change = request.model_dump(mode="json", exclude_unset=True)
    if "url" in change:
        _refuse_private(request.url, private)
    outcome = procedures.call(
        db,
        "update_webhook_endpoint",
        tenant=caller.tenant,
        organization_id=organization_id,
        endpoint_id=endpoint_id,
        change=Jsonb(change),
    )
    return WebhookEndpoint.model_validate(procedures.accepted(outcome)[0])


def delete_endpoint(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, endpoint_id: UUID
) -> WebhookEndpoint:
    """Delete an endpoint and what was still to be sent to it; return it as it was.

    Raises OrganizationNotFound, WebhookEndpointNotFound.
    """
    outcome = procedures.call(
        db,
        "delete_webhook_endpoint",
        tenant=caller.tenant,
        organization_id=organization_id,
        endpoint_id=endpoint_id,
    )
    return WebhookEndpoint.model_validate(procedures.accepted(outcome)[0])


def rotate_secret(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, endpoint_id: UUID
) -> WebhookEndpointWithSecret:
    """Give an endpoint a new secret; the old one also signs for one more day.

    Raises OrganizationNotFound, WebhookEndpointNotFound.
    """
    secret = secrets.token_bytes(SECRET_BYTES)
    outcome = procedures.call(
        db,
        "rotate_webhook_secret",
        tenant=caller.tenant,
        organization_id=organization_id,
        endpoint_id=endpoint_id,
        secret=secret,
        overlap=SECRET_OVERLAP,
    )
    return _with_secret(outcome, secret)


def replay_events(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    endpoint_id: UUID,
    request: WebhookReplay,
) -> WebhooksReplayed:
    """Send one event, or the events since an instant, to an endpoint again.

    Raises OrganizationNotFound, WebhookEndpointNotFound, WebhookEventNotFound, Conflict (the
    endpoint is disabled), InvalidRequest.
    """
    if (request.event_id is None) == (request.since is None):
        raise invalid_field("body", "", "must have either event_id or since")
    outcome = procedures.call(
        db,
        "replay_webhooks",
        tenant=caller.tenant,
        organization_id=organization_id,
        endpoint_id=endpoint_id,
        event_id=request.event_id,
        since=request.since,
    )
    return WebhooksReplayed.model_validate(procedures.accepted(outcome)[0])


def list_events(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    event_type: WebhookEventType | None,
    limit: int,
    cursor: str | None,
) -> Page[WebhookEvent]:
    """List the events, newest first, with their deliveries.

    Raises OrganizationNotFound, InvalidRequest (cursor).
    """

    def fetch(bounds: Bounds[datetime], most: int) -> tuple[list[WebhookEvent], None]:
        outcome = procedures.call(
            db,
            "webhook_events",
            tenant=caller.tenant,
            organization_id=organization_id,
            type=event_type,
            before=bounds.before,
            since=bounds.since,
            limit=most,
        )
        rows, _ = procedures.accepted(outcome)
        return [WebhookEvent.model_validate(format_amounts(row)) for row in rows], None

    return paginate("webhook-events", organization_id, limit, cursor, None, fetch)


def _refuse_private(url: str, private: bool) -> None:
    """Check the URL alone; its host is looked up when a webhook is sent."""
    if private:
        return
    address = parse_url(url)
    if address.scheme != "https":
        raise invalid_field("body", "/url", "must begin with https://")
    if not is_public(address.host):
        raise invalid_field("body", "/url", "must be on the public internet")


def _with_secret(outcome: dict[str, Any], secret: bytes) -> WebhookEndpointWithSecret:
    # https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    text = "whsec_" + base64.b64encode(secret).decode()
    return WebhookEndpointWithSecret.model_validate(
        {**procedures.accepted(outcome)[0], "secret": text}
    )
