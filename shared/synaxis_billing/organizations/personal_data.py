"""Personal data: export and erasure by organization or person, as GDPR and LGPD require.

An erasure empties the descriptions and initiators of transactions and holds, and with `profile` the
name, address and tax id. The ledger's chain contains only digests of them and stays whole. Issued
invoices are kept, as tax law requires (GDPR, article 17(3)(b)).
"""

import hashlib
import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

import psycopg
from pydantic import ConfigDict, Field

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import invalid_field
from synaxis_billing.fields import Answer, Name, Request, Text, Time
from synaxis_billing.money import format_amounts
from synaxis_billing.paging import cursor_at, reached_by

# Erased at once: charges that meet an expired hold among them wait for that long.
BATCH = 5_000
# Goes on in another request after that, within the time that API Gateway has for an answer.
ERASING_SECONDS = 15
# Until what is locked is asked for again.
BUSY_SECONDS = 0.02
# Looked through for one page of what a person initiated, within the time that a statement has.
SCAN = 100_000
_LATEST = datetime.max.replace(tzinfo=UTC)
ERASED_NAME = "erased"

type RecordKind = Literal[
    "organization",
    "transaction",
    "hold",
    "credit_grant",
    "budget",
    "spend_log",
    "invoice",
    "credit_note",
    "webhook_endpoint",
    "webhook_event",
    "refused_event",
    "payment",
    "erasure",
]
_KINDS: tuple[str, ...] = get_args(RecordKind.__value__)
# What carries an initiator, or is about a person of this id.
_KINDS_OF_A_PERSON = (
    *("transaction", "hold", "credit_grant", "budget", "refused_event", "payment", "erasure"),
)


class PersonalDataRecord(Answer):
    """A row as it is held: of `data`, what its kind's own list or the contract says."""

    kind: RecordKind
    """Kind of the row."""
    created_at: Time
    """Time at which the row was written."""
    data: dict[str, Any]
    """The row as it is held, by the names of its kind."""


class PersonalDataExport(Answer):
    """Kind by kind, each newest first. A page may be empty; the last one has no `next_cursor`."""

    items: list[PersonalDataRecord]
    """Rows of one kind, newest first."""
    next_cursor: str | None


class ErasureRequest(Request):
    """Of one initiator, or of everybody; `reason` is kept, and should name nobody."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {
                "required": ["initiated_by", "profile"],
                "properties": {"initiated_by": {"type": "string"}, "profile": {"const": True}},
            }
        }
    )

    reason: Text
    """Why the data is erased. It is kept, and should name nobody."""
    initiated_by: Name | None = None
    """Whose data is erased; that of everybody if it is left out."""
    profile: Annotated[bool, Field(strict=True)] = False
    """Whether the name, the address and the tax id of the organization are erased too."""


class Erasure(Answer):
    """How many rows were emptied, and whether the profile was; all are when there is no
    `next_cursor`."""

    organization_id: UUID
    transactions: int
    """Number of transactions that were emptied."""
    holds: int
    """Number of holds that were emptied."""
    profile: bool
    """Whether the profile was emptied."""
    next_cursor: str | None


def export_personal_data(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    initiated_by: str | None,
    limit: int,
    cursor: str | None,
) -> PersonalDataExport:
    """Return a page of what is held. Raises OrganizationNotFound, InvalidRequest (cursor)."""
    kinds = _KINDS if initiated_by is None else _KINDS_OF_A_PERSON
    kind, _, reached = (cursor or f"{kinds[0]}.").partition(".")
    if kind not in kinds:
        raise invalid_field("query", "/cursor", "must be the next_cursor of this list")
    listed = f"personal-data-{kind}"
    before = reached_by(reached, listed, organization_id) if reached else None
    outcome = procedures.call(
        db,
        "personal_data",
        tenant=caller.tenant,
        organization_id=organization_id,
        kind=kind,
        initiated_by=initiated_by,
        before=before,
        limit=limit,
        scan=SCAN,
    )
    found, _ = procedures.accepted(outcome)
    items = [
        PersonalDataRecord.model_validate(
            {"kind": kind, "created_at": row["created_at"], "data": row}
        )
        for row in format_amounts(found["rows"])
    ]
    if found["reached"] is not None:
        following = cursor_at(listed, organization_id, datetime.fromisoformat(found["reached"]))
        return PersonalDataExport(items=items, next_cursor=f"{kind}.{following}")
    others = kinds[kinds.index(kind) + 1 :]
    return PersonalDataExport(items=items, next_cursor=f"{others[0]}." if others else None)


def erase_personal_data(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    request: ErasureRequest,
    cursor: str | None = None,
) -> Erasure:
    """Erase from the newest row on, or from where `cursor` of an earlier answer left off.

    Raises OrganizationNotFound, InvalidRequest. An interrupted erasure keeps what it has erased.
    """
    if request.profile and request.initiated_by is not None:
        raise invalid_field("body", "/profile", "must not come with initiated_by")
    # A cursor belongs to the erasure of one person.
    person = hashlib.sha256((request.initiated_by or "").encode()).hexdigest()
    erasing = f"erasure-{person}"
    before = reached_by(cursor, erasing, organization_id) if cursor is not None else None
    reason = {"reason": request.reason, "erased_by": caller.subject}
    profile = request.profile and cursor is None
    if profile:
        outcome = procedures.call(
            db,
            "erase_profile",
            tenant=caller.tenant,
            organization_id=organization_id,
            name=ERASED_NAME,
            **reason,
        )
        procedures.accepted(outcome)
    whose = {
        "tenant": caller.tenant,
        "organization_id": organization_id,
        "initiated_by": request.initiated_by,
    }
    if cursor is None:
        procedures.accepted(procedures.call(db, "erase_persons", **whose))
    transactions, held, following = _erase_rows(db, before, {**whose, **reason})
    return Erasure(
        organization_id=organization_id,
        transactions=transactions,
        holds=held,
        profile=profile,
        next_cursor=cursor_at(erasing, organization_id, following) if following else None,
    )


def _erase_rows(
    db: psycopg.Connection, before: datetime | None, arguments: dict[str, Any]
) -> tuple[int, int, datetime | None]:
    """Erase batch by batch for ERASING_SECONDS. Return the numbers of transactions and of holds,
    and the time before which the erasure goes on; None when it is complete."""
    transactions, held = 0, 0
    ends = time.monotonic() + ERASING_SECONDS
    while True:
        outcome = procedures.call(
            db, "erase_personal_data", before=before, limit=BATCH, **arguments
        )
        erased, _ = procedures.accepted(outcome)
        transactions += erased["transactions"]
        held += erased["holds"]
        if erased["busy"]:
            before = before or _LATEST
            time.sleep(BUSY_SECONDS)
        else:
            before = datetime.fromisoformat(erased["reached"]) if erased["reached"] else None
        if before is None or time.monotonic() >= ends:
            return transactions, held, before
