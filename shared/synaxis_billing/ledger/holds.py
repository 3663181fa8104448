"""Holds: credit reserved for a call whose cost is not known yet.

A hold is not a transaction: the balance stays, the available credit shrinks. A hold expires by
itself; after that it can still be captured if the credit is still available.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import NotFound, Unprocessable
from synaxis_billing.fields import Answer, Money, Request, Text, Time
from synaxis_billing.idempotency import fingerprint
from synaxis_billing.ledger.transactions import Transaction, charged_or_kept
from synaxis_billing.prices.unpriced import Unpriced
from synaxis_billing.usage.dimensions import PricedUsage, usage_arguments

DEFAULT_SECONDS = 15 * 60
LONGEST_SECONDS = 24 * 60 * 60


class HoldRequest(PricedUsage):
    """A capture takes over the usage that it does not state itself."""

    description: Text | None = None
    expires_in_seconds: Annotated[int, Field(strict=True, ge=1, le=LONGEST_SECONDS)] = (
        DEFAULT_SECONDS
    )


class CaptureRequest(PricedUsage):
    """The call's real cost, at most the held amount."""

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


class HoldNotFound(NotFound):
    """The hold does not exist in this organization."""

    code = "hold_not_found"


class CaptureExceedsHold(Unprocessable):
    """The capture exceeds the held amount."""

    code = "capture_exceeds_hold"


def hold(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, key: str, request: HoldRequest
) -> tuple[Hold, bool]:
    """Reserve credit; return the hold, and whether it is an earlier one replayed.

    Raises OrganizationNotFound, InsufficientCredits, IdempotencyKeyReused.
    """
    outcome = procedures.call(
        db,
        "hold",
        tenant=caller.tenant,
        organization_id=organization_id,
        request=Jsonb(usage_arguments("hold", caller, request, idempotency_key=key)),
        expires_in_seconds=request.expires_in_seconds,
    )
    return _accepted_hold(outcome)


def capture(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    hold_id: UUID,
    key: str,
    request: CaptureRequest,
) -> tuple[Transaction | Unpriced, bool]:
    """Charge the real cost of a hold, and free the rest at once.

    Usage whose model has no price is kept, to be charged when the price comes; the hold stays.

    Raises OrganizationNotFound, HoldNotFound, Conflict (captured or released before),
    CaptureExceedsHold, InsufficientCredits (the hold has expired and the credit is spent),
    IdempotencyKeyReused.
    """
    arguments = usage_arguments(f"capture {hold_id}", caller, request, idempotency_key=key)
    outcome = procedures.call(
        db,
        "capture_hold",
        tenant=caller.tenant,
        organization_id=organization_id,
        hold_id=hold_id,
        request=Jsonb(arguments),
    )
    return charged_or_kept(outcome)


def release(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, hold_id: UUID, key: str
) -> tuple[Hold, bool]:
    """Free all of a hold. Raises OrganizationNotFound, HoldNotFound, Conflict,
    IdempotencyKeyReused."""
    outcome = procedures.call(
        db,
        "release_hold",
        tenant=caller.tenant,
        organization_id=organization_id,
        hold_id=hold_id,
        key=key,
        fingerprint=fingerprint("release", ReleaseRequest(hold_id=hold_id)),
    )
    return _accepted_hold(outcome)


def _accepted_hold(outcome: dict[str, Any]) -> tuple[Hold, bool]:
    value, replayed = procedures.accepted(outcome)
    return Hold.model_validate(value), replayed
