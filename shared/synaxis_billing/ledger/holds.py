"""Holds: credit reserved for a call whose cost is not known yet.

A hold is no transaction: the balance stays, what is available shrinks. It lets go by itself when it
expires; after that it can still be captured, if the credit is still there.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field

from synaxis_billing import sql
from synaxis_billing.fields import Answer, Money, Request, Text, Time, Usd
from synaxis_billing.ledger import Caller, Transaction, Usage, fingerprint, usage_arguments

DEFAULT_SECONDS = 15 * 60
LONGEST_SECONDS = 24 * 60 * 60


class HoldRequest(Usage):
    """What it says of the usage, its capture need not say again."""

    amount_usd: Usd
    description: Text | None = None
    expires_in_seconds: Annotated[int, Field(strict=True, ge=1, le=LONGEST_SECONDS)] = (
        DEFAULT_SECONDS
    )


class CaptureRequest(Usage):
    """The call's real cost, at most what is held."""

    amount_usd: Usd
    description: Text | None = None


class ReleaseRequest(Request):
    hold_id: UUID


class Hold(Answer):
    id: UUID
    organization_id: UUID
    amount_usd: Money
    status: Literal["held", "captured", "released", "expired"]
    expires_at: Time
    captured_usd: Money | None
    transaction_id: UUID | None
    description: str | None
    reference_id: str | None
    initiated_by: str | None
    request_id: str | None
    team_id: UUID | None
    virtual_key_id: UUID | None
    model: str | None
    provider: str | None
    tokens: int | None
    region: str | None
    created_at: Time


def hold(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, key: str, request: HoldRequest
) -> tuple[Hold, bool]:
    """The hold, and whether the key had it already.

    Raises NotFound, InsufficientCredits, Unprocessable (key reused).
    """
    arguments = usage_arguments("hold", caller, request, idempotency_key=key)
    outcome = sql.call(
        db, "hold", caller.tenant, organization_id, Jsonb(arguments), request.expires_in_seconds
    )
    return _hold(outcome)


def capture(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    hold_id: UUID,
    key: str,
    request: CaptureRequest,
) -> tuple[Transaction, bool]:
    """The charge of the hold's real cost; the rest is free at once.

    Raises NotFound, Conflict (captured or released before), InsufficientCredits (expired, and the
    credit is gone), Unprocessable (more than is held, key reused).
    """
    arguments = usage_arguments(f"capture {hold_id}", caller, request, idempotency_key=key)
    value, replayed = sql.accepted(
        sql.call(db, "capture_hold", caller.tenant, organization_id, hold_id, Jsonb(arguments))
    )
    return Transaction.model_validate(value), replayed


def release(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, hold_id: UUID, key: str
) -> tuple[Hold, bool]:
    """The hold, which reserves nothing any more. Raises NotFound, Conflict, Unprocessable."""
    request = ReleaseRequest(hold_id=hold_id)
    outcome = sql.call(
        db,
        "release_hold",
        caller.tenant,
        organization_id,
        hold_id,
        key,
        fingerprint("release", request),
    )
    return _hold(outcome)


def _hold(outcome: dict[str, Any]) -> tuple[Hold, bool]:
    value, replayed = sql.accepted(outcome)
    return Hold.model_validate(value), replayed
