"""Credit that comes in or is put right: top-ups, refunds and adjustments."""

from typing import Annotated, ClassVar
from uuid import UUID

import psycopg
from pydantic import Field

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import Unprocessable
from synaxis_billing.fields import Name, Request, SignedUsd, Text, Usd
from synaxis_billing.idempotency import fingerprint
from synaxis_billing.ledger.transactions import Transaction, accepted_transaction


class TopUpRequest(Request):
    """`reference_id` names the payment, which is credited once."""

    amount_usd: Usd
    """Amount in US dollars that is added to the balance."""
    description: Text | None = None
    """What the credit is for."""
    reference_id: Name | None = None
    """Id of the payment, which is credited once."""
    initiated_by: Name | None = None
    """Who paid; the `sub` of the token if it is left out."""


class RefundRequest(Request):
    """Without `amount_usd`, all that is left of the charge is refunded."""

    transaction_id: UUID
    """Id of the charge to refund."""
    amount_usd: Usd | None = None
    """Amount in US dollars; all that is left of the charge if it is left out."""
    description: Text | None = None
    """Why the charge is refunded."""


class AdjustmentRequest(Request):
    """`allow_negative_balance` lets an adjustment take more credit than is available."""

    amount_usd: SignedUsd
    """Signed amount in US dollars that is added to the balance."""
    description: Text
    """Why the balance is adjusted."""
    allow_negative_balance: Annotated[bool, Field(strict=True)] = False
    """Whether the adjustment may take more credit than is available."""


class RefundExceedsCharge(Unprocessable):
    """The refund exceeds what is left of the charge."""

    code = "refund_exceeds_charge"
    members: ClassVar = {
        "refundable_usd": "What is left of the charge to refund.",
        "required_usd": "The amount of the refund.",
    }


def top_up(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, key: str, request: TopUpRequest
) -> tuple[Transaction, bool]:
    """Credit a payment. Raises OrganizationNotFound, Conflict (the payment was credited before),
    IdempotencyKeyReused."""
    outcome = procedures.call(
        db,
        "top_up",
        tenant=caller.tenant,
        organization_id=organization_id,
        key=key,
        fingerprint=fingerprint("top_up", request),
        amount_usd=request.amount_usd,
        description=request.description,
        reference_id=request.reference_id,
        initiated_by=request.initiated_by or caller.subject,
    )
    return accepted_transaction(outcome)


def refund(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, key: str, request: RefundRequest
) -> tuple[Transaction, bool]:
    """Give back a charge, whole or in part. Raises OrganizationNotFound, TransactionNotFound,
    Conflict (not a charge), RefundExceedsCharge, IdempotencyKeyReused."""
    outcome = procedures.call(
        db,
        "refund",
        tenant=caller.tenant,
        organization_id=organization_id,
        key=key,
        fingerprint=fingerprint("refund", request),
        charge_id=request.transaction_id,
        amount_usd=request.amount_usd,
        description=request.description,
        initiated_by=caller.subject,
    )
    return accepted_transaction(outcome)


def adjust(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    key: str,
    request: AdjustmentRequest,
) -> tuple[Transaction, bool]:
    """Put a balance right. Raises OrganizationNotFound, InsufficientCredits,
    IdempotencyKeyReused."""
    outcome = procedures.call(
        db,
        "adjust",
        tenant=caller.tenant,
        organization_id=organization_id,
        key=key,
        fingerprint=fingerprint("adjust", request),
        amount_usd=request.amount_usd,
        allow_negative_balance=request.allow_negative_balance,
        description=request.description,
        initiated_by=caller.subject,
    )
    return accepted_transaction(outcome)
