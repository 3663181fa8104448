"""Credit grants: credit of one origin, with the order in which it is used and its expiry."""

from typing import Literal, Self
from uuid import UUID

import psycopg
from pydantic import model_validator

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import NotFound
from synaxis_billing.fields import Answer, Instant, Money, Request, Text, Time, Usd
from synaxis_billing.idempotency import fingerprint
from synaxis_billing.ledger.credit import DEFAULT_PRIORITY, Priority, refuse_ended_grant
from synaxis_billing.ledger.transactions import Transaction, accepted_transaction
from synaxis_billing.paging import SEARCHED_ROWS, Page, bounds_of, cursors, reached

type GrantKind = Literal["paid", "promotional", "adjustment", "refund"]
type GrantStatus = Literal["scheduled", "active", "depleted", "expired", "voided"]


class GrantRequest(Request):
    """Credit that is given. Without `effective_at` it can be used at once."""

    amount_usd: Usd
    """Amount in US dollars, of each grant if it recurs."""
    kind: Literal["promotional"]
    """Credit that nobody pays for."""
    priority: Priority = DEFAULT_PRIORITY
    """Credit of a lower priority is used first."""
    effective_at: Instant | None = None
    """Instant from which the credit can be used; now if it is left out or past."""
    expires_at: Instant | None = None
    """Instant from which what is left is gone; never if it is left out."""
    description: Text
    """What the credit is for."""
    every: Literal["month"] | None = None
    """Give it again at the beginning of each local month; each grant expires with its month."""

    @model_validator(mode="after")
    def _check_expiry(self) -> Self:
        if self.every and self.expires_at:
            raise ValueError("`expires_at` and `every` exclude each other")
        return self


class VoidRequest(Request):
    """The grant to void, as its path names it."""

    grant_id: UUID


class GrantPayment(Answer):
    """What was paid for a grant, net of tax."""

    amount: Money
    """Amount in the currency of the payment."""
    currency: str
    """ISO 4217 code of the currency."""


class Grant(Answer):
    """Credit of one origin, as it is now."""

    id: UUID
    organization_id: UUID
    kind: GrantKind
    """Where the credit comes from."""
    status: GrantStatus
    """Whether the credit can be used."""
    amount_usd: Money
    """Amount in US dollars."""
    remaining_usd: Money
    """What is left, in US dollars. Of an ended grant: what unexpired holds still reserve."""
    frozen_usd: Money
    """Of that, what a dispute or a refund of the payment keeps from use."""
    priority: int
    """Credit of a lower priority is used first."""
    effective_at: Time
    """Instant from which the credit can be used."""
    expires_at: Time | None
    """Instant from which what is left is gone; null for never."""
    cost_basis_usd: Money
    """What was paid for it, net of tax, in US dollars; 0 for credit that was given."""
    paid: GrantPayment | None
    """The payment, when it was named in its own currency."""
    origin_id: UUID | None
    """Id of the ended grant whose refunded credit this grant gives back."""
    schedule_id: UUID | None
    """Id of the first grant of a recurring one."""
    transaction_id: UUID | None
    """Id of the transaction that brought the credit; null until `effective_at`."""
    created_at: Time


class GrantNotFound(NotFound):
    """The grant does not exist in this organization."""

    code = "grant_not_found"


def create_grant(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, key: str, request: GrantRequest
) -> tuple[Grant, bool]:
    """Give promotional credit; return the grant, and whether it is an earlier answer replayed.

    Raises OrganizationNotFound, InvalidRequest (it ends before it starts), IdempotencyKeyReused.
    """
    outcome = procedures.call(
        db,
        "create_grant",
        tenant=caller.tenant,
        organization_id=organization_id,
        key=key,
        fingerprint=fingerprint("create_grant", request),
        amount_usd=request.amount_usd,
        priority=request.priority,
        effective_at=request.effective_at,
        expires_at=request.expires_at,
        every=request.every,
        description=request.description,
        initiated_by=caller.subject,
    )
    refuse_ended_grant(outcome)
    value, replayed = procedures.accepted(outcome)
    return Grant.model_validate(value), replayed


def void_grant(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, grant_id: UUID, key: str
) -> tuple[Transaction, bool]:
    """Take back what is left of a grant, but for what unexpired holds need until they end.

    Raises OrganizationNotFound, GrantNotFound, Conflict (expired or voided before),
    IdempotencyKeyReused.
    """
    return accepted_transaction(
        procedures.call(
            db,
            "void_grant",
            tenant=caller.tenant,
            organization_id=organization_id,
            grant_id=grant_id,
            key=key,
            fingerprint=fingerprint("void_grant", VoidRequest(grant_id=grant_id)),
            initiated_by=caller.subject,
        )
    )


def list_grants(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    status: GrantStatus | None,
    limit: int,
    cursor: str | None,
) -> Page[Grant]:
    """List grants as they are now, newest first. A page has a few more than `limit` when they were
    made at one instant. Raises OrganizationNotFound, InvalidRequest (cursor)."""
    bounds = bounds_of(cursor, "grants", organization_id)
    outcome = procedures.call(
        db,
        "grants",
        tenant=caller.tenant,
        organization_id=organization_id,
        status=status,
        before=bounds.before,
        since=bounds.since,
        limit=limit,
        scan=SEARCHED_ROWS if status else limit + 1,
    )
    value, _ = procedures.accepted(outcome)
    items = [Grant.model_validate(row) for row in value["items"]]
    previous, following = cursors("grants", organization_id, bounds, reached(value))
    return Page[Grant](items=items, previous_cursor=previous, next_cursor=following)
