"""Refunds to the payer: money goes back for credit that is unspent."""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from synaxis_billing import procedures
from synaxis_billing.errors import Unprocessable
from synaxis_billing.fields import Answer, Money, Request, Time, Usd
from synaxis_billing.idempotency import fingerprint
from synaxis_billing.payments.advancing import Access, advance
from synaxis_billing.payments.models import OPEN, PaymentRefused
from synaxis_billing.payments.providers import NoAnswer, Refused


class PaymentRefundRequest(Request):
    """Without `amount_usd`, all unspent credit of the payment is refunded."""

    amount_usd: Usd | None = None
    """Credit in US dollars whose price goes back; all that is unspent if it is left out."""
    allow_negative_balance: Annotated[bool, Field(strict=True)] = False
    """Whether spent credit may be refunded too; it becomes debt."""


class PaymentRefund(Answer):
    """Money that goes back to the payer, and the credit that it was paid for."""

    id: UUID
    payment_id: UUID
    """Id of the payment."""
    status: Literal["pending", "unknown", "succeeded", "failed"]
    """State of the refund at the provider."""
    currency: str
    """ISO 4217 code of the currency."""
    amount: Money
    """What goes back to the payer, with tax."""
    credit_usd: Money
    """Credit in US dollars that leaves, a minor unit of the currency less than asked at most."""
    failure_code: str | None
    """Why the refund failed, in the provider's words."""
    initiated_by: str | None
    """Who asked for it."""
    created_at: Time


class RefundExceedsPayment(Unprocessable):
    """The refund exceeds the unspent credit of the payment."""

    code = "refund_exceeds_payment"
    members: ClassVar = {
        "refundable_usd": "Credit that can be refunded.",
        "required_usd": "The amount of the refund.",
    }


def refund_payment(
    access: Access, organization_id: UUID, payment_id: UUID, key: str, request: PaymentRefundRequest
) -> tuple[PaymentRefund, bool]:
    """Give money back to the payer for unspent credit, and return the refund, and whether it
    existed before. Without an answer of the provider it is tried again under the same key.

    Raises OrganizationNotFound, PaymentNotFound, Conflict (not paid, or disputed),
    RefundExceedsPayment, PaymentRefused, IdempotencyKeyReused.
    """
    ids = {"organization_id": organization_id, "payment_id": payment_id}
    outcome = procedures.call(
        access.connect(),
        "create_payment_refund",
        tenant=access.caller.tenant,
        **ids,
        key=key,
        fingerprint=fingerprint(f"refund_payment {payment_id}", request),
        amount_usd=request.amount_usd,
        allow_negative_balance=request.allow_negative_balance,
        initiated_by=access.caller.subject,
    )
    value, replayed = procedures.accepted(outcome)
    refund = PaymentRefund.model_validate(value)
    if refund.status in OPEN:
        try:
            advance(access, organization_id, payment_id)
        except (NoAnswer, Refused):
            # The sweep tries again: nothing is lost, and the credit is frozen.
            return refund, replayed
        outcome = procedures.call(
            access.connect(),
            "payment_refund",
            tenant=access.caller.tenant,
            **ids,
            refund_id=refund.id,
        )
        refund = PaymentRefund.model_validate(procedures.accepted(outcome)[0])
    if refund.status == "failed":
        raise PaymentRefused(failure_code=refund.failure_code)
    return refund, replayed
