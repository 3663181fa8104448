"""Refused usage events: kept with the reason until a later try of the same event is accepted."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import BillingError
from synaxis_billing.events import subjects
from synaxis_billing.fields import Answer, Time
from synaxis_billing.paging import Bounds, Page, paginate_by_id

_NOBODY = UUID(int=0)
# Of an event that is refused for its length, so much is kept, as text.
LARGEST_EVENT = 24_000


class RefusedEvent(Answer):
    """A usage event that was not charged. Send it again, with the same source and id, when the
    reason is gone."""

    id: UUID
    """Id of this entry."""
    organization_id: UUID | None
    """Id of the organization that would have been charged; null if the event names none that
    exists."""
    source: str
    """Source of the event."""
    event_id: str
    """Id of the event at its source."""
    subject: str | None
    """Organization that the event names."""
    event: Any
    """The event as it came; null after an erasure."""
    code: str
    """Code of the reason, as of a refused charge."""
    error: dict[str, Any]
    """The reason, as the problem that the charge alone would have had."""
    times: int
    """Number of tries that were refused."""
    created_at: Time
    """Time of the first refusal."""
    refused_at: Time
    """Time of the last refusal."""


def key_of(source: str, event_id: str) -> str:
    """Return an event's idempotency key. No client's key has a character outside of ASCII."""
    return f"§ event {source} {event_id}"


class Refusal(NamedTuple):
    """An event, as it came, with the reason of its refusal."""

    organization_id: UUID
    source: str
    event_id: str
    subject: str | None
    event: Any
    error: BillingError | dict[str, Any]


def nobody(caller: Caller) -> UUID:
    """Return the organization of a caller's events that name none that exists."""
    return _NOBODY if caller.tenant == "*" else UUID(caller.tenant)


def keep(db: psycopg.Connection, caller: Caller, refusals: Iterable[Refusal]) -> None:
    """Keep refused events, or the newest reason of each that is kept already."""
    of_each: dict[UUID, dict[tuple[str, str], dict[str, Any]]] = {}
    for refusal in refusals:
        of_each.setdefault(refusal.organization_id, {})[refusal.source, refusal.event_id] = _row(
            caller, refusal
        )
    for organization_id in sorted(of_each):
        procedures.call(
            db,
            "refuse_events",
            tenant=caller.tenant,
            organization_id=organization_id,
            events=Jsonb(list(of_each[organization_id].values())),
        )


def _row(caller: Caller, refusal: Refusal) -> dict[str, Any]:
    error = refusal.error
    problem = error.problem() if isinstance(error, BillingError) else error
    # PostgreSQL's text holds no NUL, but the escape of it.
    event = json.dumps(refusal.event)
    if len(event) > LARGEST_EVENT:
        event = json.dumps(event[:LARGEST_EVENT])
    return {
        "key": key_of(refusal.source, refusal.event_id),
        "source": refusal.source,
        "event_id": refusal.event_id,
        "subject": refusal.subject,
        "event": event,
        "code": problem["code"],
        "error": json.dumps(problem),
        "initiated_by": caller.subject,
    }


def list_refused(
    db: psycopg.Connection, caller: Caller, limit: int, cursor: str | None
) -> Page[RefusedEvent]:
    """List refused events, newest first. Raises InvalidRequest (cursor)."""

    def fetch(bounds: Bounds[UUID], most: int) -> list[RefusedEvent]:
        found: list[Any] = procedures.call(
            db, "refused_events_page", tenant=caller.tenant, **bounds._asdict(), limit=most
        )
        return [RefusedEvent.model_validate(event) for event in found]

    page = paginate_by_id("refused-events", limit, cursor, fetch)
    accepted = _accepted_since(db, caller, page.items)
    waiting = [entry for entry in page.items if entry.id not in accepted]
    return page.model_copy(update={"items": waiting})


def _accepted_since(
    db: psycopg.Connection, caller: Caller, entries: Iterable[RefusedEvent]
) -> set[UUID]:
    """Return the entries of no organization whose event was accepted when there was one."""
    of_nobody = [entry for entry in entries if entry.organization_id is None]
    named = {entry.subject for entry in of_nobody if entry.subject is not None}
    if not named:
        return set()
    found = subjects.find(db, caller, named).organizations
    keys = {
        entry.id: (found[entry.subject], key_of(entry.source, entry.event_id))
        for entry in of_nobody
        if entry.subject in found
    }
    used = subjects.used_keys(db, caller, keys.values())
    return {entry_id for entry_id, key in keys.items() if key in used}
