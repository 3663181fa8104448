"""What is held about an organization or a person, and how it is erased, by GDPR and LGPD.

Descriptions and initiators of transactions and holds are emptied, and with `profile` the name, the
address and the tax id. The ledger's chain holds digests alone and stays whole. Issued invoices stay
as they are: the law that taxes them wants it (GDPR, article 17(3)(b)).
"""

from datetime import datetime
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field

from synaxis_billing import sql
from synaxis_billing.errors import invalid_field
from synaxis_billing.fields import Answer, Name, Request, Text, Time
from synaxis_billing.ledger import Caller
from synaxis_billing.money import written
from synaxis_billing.pages import page

# Erased at once, within the time that a statement has.
BATCH = 20_000
ERASED_NAME = "erased"

Kind = Literal[
    "organization",
    "transaction",
    "hold",
    "spend_log",
    "invoice",
    "credit_note",
    "webhook_endpoint",
    "webhook_event",
    "erasure",
]
_KINDS: tuple[str, ...] = get_args(Kind)
# What carries an initiator.
_KINDS_OF_A_PERSON = ("transaction", "hold")


class Record(Answer):
    """A row as it is held: of `data`, what its kind's own list or the contract says."""

    kind: Kind
    created_at: Time
    data: dict[str, Any]


class Export(Answer):
    """Kind by kind, each newest first. A page may be empty; the last one has no `next_cursor`."""

    items: list[Record]
    next_cursor: str | None


class ErasureRequest(Request):
    """Of one initiator, or of everybody; `reason` is kept, and should name nobody."""

    reason: Text
    initiated_by: Name | None = None
    profile: Annotated[bool, Field(strict=True)] = False


class Erasure(Answer):
    """How many rows were emptied."""

    organization_id: UUID
    transactions: int
    holds: int
    profile: bool


def export(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    initiated_by: str | None,
    limit: int,
    cursor: str | None,
) -> Export:
    """A page of it. Raises NotFound, InvalidRequest (cursor)."""
    kinds = _KINDS if initiated_by is None else _KINDS_OF_A_PERSON
    kind, _, reached = (cursor or f"{kinds[0]}.").partition(".")
    if kind not in kinds:
        raise invalid_field("query", "/cursor", "must be the next_cursor of this list")

    def fetch(before: datetime | None, most: int) -> list[Record]:
        outcome = sql.call(
            db,
            "personal_data",
            *(caller.tenant, organization_id, kind, initiated_by, before, most),
        )
        rows = written(sql.accepted(outcome)[0])
        return [
            Record.model_validate({"kind": kind, "created_at": row["created_at"], "data": row})
            for row in rows
        ]

    items, following = page(
        f"personal-data-{kind}", organization_id, limit, reached or None, None, fetch
    )
    if following is not None:
        return Export(items=items, next_cursor=f"{kind}.{following}")
    others = kinds[kinds.index(kind) + 1 :]
    return Export(items=items, next_cursor=f"{others[0]}." if others else None)


def erase(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, request: ErasureRequest
) -> Erasure:
    """Raises NotFound, InvalidRequest. What was erased when it is interrupted stays so."""
    if request.profile and request.initiated_by is not None:
        raise invalid_field("body", "/profile", "must not come with initiated_by")
    before, transactions, held = None, 0, 0
    while True:
        outcome = sql.call(
            db,
            "erase_personal_data",
            *(caller.tenant, organization_id, request.initiated_by, request.reason),
            *(caller.subject, before, BATCH),
        )
        erased = sql.accepted(outcome)[0]
        transactions += erased["transactions"]
        held += erased["holds"]
        if erased["reached"] is None:
            break
        before = datetime.fromisoformat(erased["reached"])
    if request.profile:
        _erase_profile(db, caller, organization_id)
    return Erasure(
        organization_id=organization_id,
        transactions=transactions,
        holds=held,
        profile=request.profile,
    )


def _erase_profile(db: psycopg.Connection, caller: Caller, organization_id: UUID) -> None:
    known = sql.accepted(sql.call(db, "organization", caller.tenant, organization_id))[0]
    tax = None if known["tax"] is None else {**known["tax"], "tax_id": None}
    profile = {"name": ERASED_NAME, "address": None, "tax": tax}
    sql.accepted(
        sql.call(db, "update_organization", caller.tenant, organization_id, Jsonb(profile))
    )
