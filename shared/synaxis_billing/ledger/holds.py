"""Holds: credit reserved for a call whose cost is not known yet.

A hold is not a transaction: the balance stays, the available credit shrinks. A hold expires by
itself; after that it can still be captured if the credit is still available.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import psycopg
from pydantic import Field

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import NotFound, Unprocessable
from synaxis_billing.fields import UNNAMED, Answer, Money, Request, Text, Time, Usd
from synaxis_billing.idempotency import fingerprint
from synaxis_billing.ledger.charges import charged_or_kept, spend
from synaxis_billing.ledger.transactions import Transaction
from synaxis_billing.paging import SEARCHED_ROWS, Bounds, Page, paginate, reached
from synaxis_billing.prices.unpriced import Unpriced
from synaxis_billing.usage.dimensions import PricedUsage, Used, usage_arguments

DEFAULT_SECONDS = 15 * 60
LONGEST_SECONDS = 24 * 60 * 60
Seconds = Annotated[int, Field(strict=True, ge=1, le=LONGEST_SECONDS)]

type Overrun = Literal["refuse", "charge"]
type HoldStatus = Literal["held", "captured", "released", "expired"]


class HoldRequest(PricedUsage):
    """A capture takes over the usage that it does not state itself."""

    amount_usd: Usd | None = None
    """The most that the call can cost, in US dollars, unless `usage` has the most of its tokens."""
    description: Text | None = None
    """What the hold is for; a capture takes it over."""
    expires_in_seconds: Seconds = DEFAULT_SECONDS
    """Seconds after which the hold expires by itself."""


class HoldChange(Request):
    """Changes the fields that it names."""

    amount_usd: Usd = UNNAMED
    """The most that the call can cost, in US dollars; more than before needs the credit."""
    expires_in_seconds: Seconds = UNNAMED
    """Seconds from now after which the hold expires by itself."""


class CaptureRequest(PricedUsage):
    """`amount_usd`, or the price of `usage`, is the call's real cost: at most the held amount,
    unless `overrun` is "charge", which charges the whole cost whatever credit there is, since the
    call was made."""

    description: Text | None = None
    """What the charge is for; that of the hold if it is left out."""
    overrun: Overrun = "refuse"
    """Whether a cost above the held amount is refused, or charged whole: the call was made."""


class ReleaseRequest(Request):
    """The release of a hold, as the fingerprint of its key."""

    hold_id: UUID


class Reservation(Answer):
    """Reserved credit, and what became of it."""

    id: UUID
    organization_id: UUID
    amount_usd: Money
    """Held amount in US dollars."""
    status: HoldStatus
    """State of the hold; it is `expired` once `expires_at` has passed."""
    expires_at: Time
    """Time at which the hold expires by itself."""
    captured_usd: Money | None
    """Captured amount in US dollars; null until it is captured."""
    transaction_id: UUID | None
    """Id of the charge that captured it; null until then."""
    description: str | None
    """What the hold is for."""
    initiated_by: str | None
    """Who asked for it: the `sub` of the token."""


class Hold(Used, Reservation):
    """Credit that is reserved for a call whose cost is not known yet."""

    tokens: int | None
    """Number of tokens that the call may use, if it was said."""
    created_at: Time


class HoldNotFound(NotFound):
    """The hold does not exist in this organization."""

    code = "hold_not_found"


class CaptureExceedsHold(Unprocessable):
    """The capture exceeds the held amount."""

    code = "capture_exceeds_hold"
    members: ClassVar = {
        "held_usd": "The amount that is held.",
        "required_usd": "The amount of the capture.",
    }


def hold(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, key: str, request: HoldRequest
) -> tuple[Hold, bool]:
    """Reserve credit; return the hold, and whether it is an earlier one replayed.

    Raises OrganizationNotFound, InsufficientCredits, OrganizationSuspended, IdempotencyKeyReused,
    TooManyRequests.
    """
    arguments = usage_arguments("hold", caller, request, idempotency_key=key)
    return _accepted_hold(spend(db, "hold", caller, organization_id, arguments))


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
    IdempotencyKeyReused, TooManyRequests.
    """
    arguments = usage_arguments(
        f"capture {hold_id}", caller, request, idempotency_key=key, hold_id=str(hold_id)
    )
    return charged_or_kept(spend(db, "capture_hold", caller, organization_id, arguments))


def release(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, hold_id: UUID, key: str
) -> tuple[Hold, bool]:
    """Free all of a hold. Raises OrganizationNotFound, HoldNotFound, Conflict,
    IdempotencyKeyReused, TooManyRequests."""
    arguments = {
        "idempotency_key": key,
        "fingerprint": "\\x" + fingerprint("release", ReleaseRequest(hold_id=hold_id)).hex(),
        "hold_id": str(hold_id),
    }
    return _accepted_hold(spend(db, "release_hold", caller, organization_id, arguments))


def change(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    hold_id: UUID,
    request: HoldChange,
) -> Hold:
    """Change how much an open hold reserves, and for how long from now.

    Raises OrganizationNotFound, HoldNotFound, Conflict (the hold has ended), InsufficientCredits,
    OrganizationSuspended, TooManyRequests.
    """
    arguments = request.model_dump(mode="json", exclude_unset=True) | {"hold_id": str(hold_id)}
    return _accepted_hold(spend(db, "change_hold", caller, organization_id, arguments))[0]


def get_hold(db: psycopg.Connection, caller: Caller, organization_id: UUID, hold_id: UUID) -> Hold:
    """Return one hold. Raises OrganizationNotFound, HoldNotFound."""
    return _accepted_hold(
        procedures.call(
            db, "hold_of", tenant=caller.tenant, organization_id=organization_id, hold_id=hold_id
        )
    )[0]


def list_holds(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    status: HoldStatus | None,
    request_id: str | None,
    limit: int,
    cursor: str | None,
) -> Page[Hold]:
    """List holds, newest first. Raises OrganizationNotFound, InvalidRequest (cursor)."""

    def fetch(bounds: Bounds[datetime], most: int) -> tuple[list[Hold], datetime | None]:
        outcome = procedures.call(
            db,
            "holds",
            tenant=caller.tenant,
            organization_id=organization_id,
            status=status,
            request_id=request_id,
            before=bounds.before,
            since=bounds.since,
            limit=most,
            scan=SEARCHED_ROWS if status or request_id else most,
        )
        value, _ = procedures.accepted(outcome)
        return [Hold.model_validate(row) for row in value["items"]], reached(value)

    return paginate("holds", organization_id, limit, cursor, None, fetch)


def _accepted_hold(outcome: dict[str, Any]) -> tuple[Hold, bool]:
    value, replayed = procedures.accepted(outcome)
    return Hold.model_validate(value), replayed
