"""The webhooks of providers: verified, stored, and turned into a question. An event's numbers are
never booked."""

import base64
from datetime import datetime
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import TemporarilyUnavailable
from synaxis_billing.fields import Answer, Time
from synaxis_billing.paging import NO_ORGANIZATION, Page, bounds_of, cursors, reached
from synaxis_billing.payments.providers import (
    Call,
    Calls,
    InvalidSignature,
    NoAnswer,
    ProviderName,
    Refused,
    require_answer,
)


class UnmatchedEvent(Answer):
    """A webhook of a provider that names no payment that is known here. It is settled when the
    payment appears."""

    provider: ProviderName
    """Provider that sent it."""
    event_id: str
    """Id of the event at the provider."""
    type: str
    """Type of the event at the provider."""
    external_ids: list[str]
    """Ids of the provider's objects that it names."""
    received_at: Time
    """Time at which it came."""


class ToSettle(Answer):
    """A payment that a provider is to be asked about: a message to the worker."""

    organization_id: UUID
    payment_id: UUID


def receive_event(
    db: psycopg.Connection,
    calls: Calls,
    provider: ProviderName,
    body: bytes,
    headers: dict[str, str],
    received_at: datetime,
) -> list[ToSettle]:
    """Verify and store a webhook; return the payment that it is about, or none if that is not known
    or the event is settled already.

    Raises InvalidSignature, TemporarilyUnavailable.
    """
    call = Call(
        provider=provider,
        operation="verify",
        body=base64.b64encode(body).decode(),
        headers=headers,
        received_at=received_at,
    )
    try:
        notice = require_answer(calls(call)).notice
    except NoAnswer as error:
        raise TemporarilyUnavailable from error
    except Refused as error:
        raise InvalidSignature from error
    assert notice
    outcome = procedures.call(
        db,
        "store_payment_event",
        tenant="*",
        provider=provider,
        event_id=notice.event_id,
        type=notice.type,
        external_ids=notice.external_ids,
        body=body.decode(),
    )
    value, _ = procedures.accepted(outcome)
    return [ToSettle.model_validate(value)] if value else []


def list_unmatched(
    db: psycopg.Connection, caller: Caller, limit: int, cursor: str | None
) -> Page[UnmatchedEvent]:
    """List the events that name no object that is known here, newest first. A page has a few more
    than `limit` when they came at one instant.

    Raises Forbidden (a tenant's token), InvalidRequest (cursor).
    """
    caller.require_platform()
    bounds = bounds_of(cursor, "payment-events", NO_ORGANIZATION)
    found = procedures.call(
        db, "unmatched_payment_events", tenant=caller.tenant, **bounds._asdict(), limit=limit
    )
    items = [UnmatchedEvent.model_validate(row) for row in found["items"]]
    previous, following = cursors("payment-events", NO_ORGANIZATION, bounds, reached(found))
    return Page(items=items, previous_cursor=previous, next_cursor=following)


def count_unknown(db: psycopg.Connection) -> int:
    """Return how many events name no object that is known here."""
    return int(procedures.call(db, "unknown_payment_events", tenant="*"))


def empty_old_events(db: psycopg.Connection) -> int:
    """Empty the bodies of the events that came 30 days ago, and return their number."""
    emptied = 0
    while some := int(procedures.call(db, "empty_payment_events", tenant="*")):
        emptied += some
    return emptied
