"""Credit that comes in or is put right: top-ups, refunds and adjustments."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field, model_validator

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.currencies import CurrencyCode
from synaxis_billing.errors import Conflict, Unprocessable, invalid_field
from synaxis_billing.fields import Instant, Name, Request, SignedUsd, Text, Usd
from synaxis_billing.idempotency import fingerprint
from synaxis_billing.ledger.transactions import Transaction, accepted_transaction
from synaxis_billing.rates.rates import Rate

DEFAULT_PRIORITY = 50
Priority = Annotated[int, Field(strict=True, ge=0, le=100)]


class PricePaid(Request):
    """What was paid, net of tax."""

    amount: Usd
    """Amount in the currency."""
    currency: CurrencyCode
    """ISO 4217 code of the currency, in any case."""


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
    priority: Priority = DEFAULT_PRIORITY
    """Credit of a lower priority is used first."""
    expires_at: Instant | None = None
    """Instant from which what is left is gone; never if it is left out."""
    paid: PricePaid | None = None
    """What was paid for the credit; `amount_usd` if it is left out."""


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
    expires_at: Instant | None = None
    """Instant from which what is left of a positive adjustment is gone; never if it is left
    out."""

    @model_validator(mode="after")
    def _check_expiry(self) -> Self:
        if self.expires_at and self.amount_usd < 0:
            raise ValueError("`expires_at` must be left out of a negative adjustment")
        return self


class ChargeIsInvoiced(Conflict):
    """The charge is on an invoice that is not paid. Credit the invoice instead."""

    code = "charge_is_invoiced"
    members: ClassVar = {"invoice_id": "Id of the invoice."}


class RefundExceedsCharge(Unprocessable):
    """The refund exceeds what is left of the charge."""

    code = "refund_exceeds_charge"
    members: ClassVar = {
        "refundable_usd": "What is left of the charge to refund.",
        "required_usd": "The amount of the refund.",
    }


def top_up(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    key: str,
    request: TopUpRequest,
    rate: Rate | None = None,
) -> tuple[Transaction, bool]:
    """Credit a payment. `rate` is that of the payment's currency; without it, US dollars.

    Raises OrganizationNotFound, Conflict (the payment was credited before), InvalidRequest (the
    expiry is past), IdempotencyKeyReused.
    """
    paid = request.paid and request.paid.model_dump(mode="json")
    cost_basis = request.paid.amount if request.paid else request.amount_usd
    if paid and rate:
        cost_basis /= rate.rate
        paid["exchange_rate"] = str(rate.rate)
        paid["rate_source"] = rate.source
        paid["rate_as_of"] = rate.as_of.isoformat()
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
        priority=request.priority,
        expires_at=request.expires_at,
        cost_basis_usd=cost_basis.quantize(Decimal("1e-8"), ROUND_HALF_UP),
        paid=paid and Jsonb(paid),
    )
    refuse_ended_grant(outcome)
    return accepted_transaction(outcome)


def refund(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    key: str,
    request: RefundRequest,
    grace_days: int,
) -> tuple[Transaction, bool]:
    """Give back a charge, whole or in part. Credit of a grant that has ended comes back as a new
    grant, which lives for `grace_days`.

    Raises OrganizationNotFound, TransactionNotFound,
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
        grace_days=grace_days,
    )
    return accepted_transaction(outcome)


def adjust(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    key: str,
    request: AdjustmentRequest,
) -> tuple[Transaction, bool]:
    """Put a balance right. Raises OrganizationNotFound, InsufficientCredits, InvalidRequest (the
    expiry is past), IdempotencyKeyReused."""
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
        expires_at=request.expires_at,
    )
    refuse_ended_grant(outcome)
    return accepted_transaction(outcome)


def refuse_ended_grant(outcome: dict[str, Any]) -> None:
    """Raise InvalidRequest for the outcome of a grant that would end before it starts."""
    if outcome["outcome"] == "ended_grant":
        raise invalid_field("body", "/expires_at", "must be later than the grant starts")
