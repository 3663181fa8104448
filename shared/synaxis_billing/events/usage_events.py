"""Usage events: charges as CloudEvents, each taken once by its source and id.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import psycopg
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SkipValidation,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from synaxis_billing.caller import Caller, OrganizationNotFound
from synaxis_billing.errors import BillingError, Conflict, Unprocessable, invalid_field
from synaxis_billing.events import refused, subjects
from synaxis_billing.fields import ClientId, Instant, Request
from synaxis_billing.ledger import charges
from synaxis_billing.usage.dimensions import usage_arguments

TYPE = "com.synaxis.usage.v1"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
LARGEST_BATCH = charges.LARGEST_BATCH
# An event may come so late, and its clock may be so far ahead.
LATEST = timedelta(days=35)
AHEAD = timedelta(minutes=5)

# Neither contains what separates them in the key.
Source = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\s\x00-\x1f\x7f]+$")]
EventId = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class EventTooLate(Unprocessable):
    """The event is older than 35 days. It was kept among the refused events."""

    code = "event_too_late"


class UsageEvent(Request):
    """A charge as a CloudEvent; `source` and `id` are its idempotency key."""

    # CloudEvents takes extension attributes of any name.
    model_config = ConfigDict(extra="ignore")

    specversion: Literal["1.0"]
    """Version of CloudEvents."""
    type: Literal["com.synaxis.usage.v1"]
    """Kind of the event."""
    source: Source
    """What reports the usage, such as a gateway: a URI reference."""
    id: EventId
    """Id of the event at its source: the same for each try."""
    subject: ClientId
    """Organization to charge: its id, or its external id."""
    time: Instant | None = None
    """Time of the call, at most 35 days ago. It is kept; the charge is booked when it comes."""
    datacontenttype: Annotated[str, StringConstraints(pattern=r"^application/json\b")] | None = None
    """Media type of `data`: application/json."""
    data: charges.ChargeRequest
    """The charge."""


def _list(body: object) -> object:
    return body if isinstance(body, list) else [body]


# One event, or a batch of them. Each is validated by itself, in take().
Events = Annotated[
    list[SkipValidation[UsageEvent]],
    BeforeValidator(_list),
    Field(min_length=1, max_length=LARGEST_BATCH),
]


class _Taken(NamedTuple):
    """A valid event of an organization that exists, and its place in the batch."""

    place: int
    event: UsageEvent
    organization_id: UUID

    @property
    def key(self) -> str:
        return refused.key_of(self.event.source, self.event.id)


def take(db: psycopg.Connection, caller: Caller, raws: Sequence[Any]) -> list[charges.Result]:
    """Charge the usage of at most 1,000 events, as book() does; return one result per event, in
    order.

    Raises PayloadTooLarge, before anything is charged, if the answer could be too large.
    """
    events = [_validated(raw, place) for place, raw in enumerate(raws)]
    refusals = [event for event in events if isinstance(event, charges.Refused)]
    charges.require_room(raws, refusals)
    return [charges.answer(item) for item in _book(db, caller, raws, events)]


def book(
    db: psycopg.Connection, caller: Caller, raws: Sequence[Any]
) -> list[charges.Accepted | charges.Refused]:
    """Charge the usage of at most 1,000 events; return what became of each, in order.

    Events are taken in any order, any number of times, with the same effect. Those that are refused
    are kept, but for calls that were charged by another key, and for those of a busy organization,
    which are to be sent again.
    """
    events = [_validated(raw, place) for place, raw in enumerate(raws)]
    return _book(db, caller, raws, events)


def _validated(raw: Any, place: int) -> UsageEvent | charges.Refused:
    try:
        return UsageEvent.model_validate(raw)
    except ValidationError as error:
        return charges.refused(charges.invalid_item(error, place))


def _book(
    db: psycopg.Connection,
    caller: Caller,
    raws: Sequence[Any],
    events: Sequence[UsageEvent | charges.Refused],
) -> list[charges.Accepted | charges.Refused]:
    named = (
        event.subject if isinstance(event, UsageEvent) else _subject(raw)
        for raw, event in zip(raws, events, strict=True)
    )
    found = subjects.find(db, caller, {subject for subject in named if subject is not None})
    results: list[charges.Accepted | charges.Refused | None] = []
    known = []
    for place, event in enumerate(events):
        results.append(event if isinstance(event, charges.Refused) else None)
        if isinstance(event, charges.Refused):
            continue
        if (organization_id := found.organizations.get(event.subject)) is None:
            results[place] = charges.refused(OrganizationNotFound())
        else:
            known.append(_Taken(place, event, organization_id))
    untimely = _untimely(db, caller, known, found.now)
    results = [untimely.get(place, result) for place, result in enumerate(results)]
    timely = [taken for taken in known if taken.place not in untimely]
    for taken, item in zip(
        timely, charges.charge_all(db, caller, [_charge(caller, of) for of in timely]), strict=True
    ):
        results[taken.place] = item
    _keep_refused(db, caller, raws, results, found)
    return [result for result in results if result is not None]


def _charge(caller: Caller, taken: _Taken) -> dict[str, Any]:
    arguments = usage_arguments(
        "charge",
        caller,
        taken.event.data,
        organization_id=str(taken.organization_id),
        idempotency_key=taken.key,
    )
    # Not a part of the fingerprint: a source that stamps each try anew repeats one event.
    time = taken.event.time
    return arguments if time is None else {**arguments, "occurred_at": time.isoformat()}


def _untimely(
    db: psycopg.Connection, caller: Caller, known: Sequence[_Taken], now: datetime
) -> dict[int, charges.Refused]:
    """Return the refusals of events of the future, and of those that are too late; one that was
    taken when it was not too late is answered as before."""
    untimely: dict[int, charges.Refused] = {}
    late: list[_Taken] = []
    for taken in known:
        time = taken.event.time or now
        if time > now + AHEAD:
            error = invalid_field("body", f"/{taken.place}/time", "must not be in the future")
            untimely[taken.place] = charges.refused(error)
        elif time < now - LATEST:
            late.append(taken)
    used = subjects.used_keys(db, caller, [(taken.organization_id, taken.key) for taken in late])
    for taken in late:
        if (taken.organization_id, taken.key) not in used:
            untimely[taken.place] = charges.refused(EventTooLate())
    return untimely


def _keep_refused(
    db: psycopg.Connection,
    caller: Caller,
    raws: Sequence[Any],
    results: Sequence[charges.Accepted | charges.Refused | None],
    found: subjects.Subjects,
) -> None:
    """Keep what was refused and can be named."""
    nobody = refused.nobody(caller)
    refused.keep(
        db,
        caller,
        [
            named
            for raw, result in zip(raws, results, strict=True)
            if isinstance(result, charges.Refused)
            and result.error["code"] != Conflict.code
            and not charges.is_busy(result)
            if (named := refusal(raw, result.error, found.organizations, nobody)) is not None
        ],
    )


def is_named(raw: Any) -> bool:
    """Say whether an event has a source and an id."""
    return refusal(raw, {}, {}, refused.nobody(Caller(tenant="*"))) is not None


def refusal(
    raw: Any,
    error: BillingError | dict[str, Any],
    organizations: Mapping[str, UUID],
    nobody: UUID,
) -> refused.Refusal | None:
    """Return an event with the reason of its refusal; None for one without a source and an id."""
    try:
        source = _SOURCE.validate_python(raw["source"])
        event_id = _EVENT_ID.validate_python(raw["id"])
    except (KeyError, TypeError, IndexError, ValidationError):
        return None
    subject = _subject(raw)
    owner = organizations.get(subject, nobody) if subject is not None else nobody
    return refused.Refusal(owner, source, event_id, subject, raw, error)


def _subject(raw: Any) -> str | None:
    try:
        return _SUBJECT.validate_python(raw["subject"])
    except (KeyError, TypeError, IndexError, ValidationError):
        return None


_SOURCE, _EVENT_ID = TypeAdapter[str](Source), TypeAdapter[str](EventId)
_SUBJECT = TypeAdapter[str](ClientId)
