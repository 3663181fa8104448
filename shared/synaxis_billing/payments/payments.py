"""Payments: credit is bought, and invoices are paid.

A payment is written before the provider is called, under an id that is the provider's key in every
try. What the provider's object says, asked after a webhook or by itself, is then settled: the
difference to what is recorded is booked.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import TemporarilyUnavailable
from synaxis_billing.idempotency import fingerprint
from synaxis_billing.invoices.invoices import terms
from synaxis_billing.invoices.parties import Issuer
from synaxis_billing.paging import Bounds, Page, paginate, paginate_by_id
from synaxis_billing.payments.advancing import Access, advance, call_for_payment
from synaxis_billing.payments.models import (
    OPEN,
    NewPayment,
    Payment,
    PaymentFilter,
    PaymentPreview,
    PaymentRefused,
    PaymentStatus,
    PlatformPayment,
    PreviewRequest,
)
from synaxis_billing.payments.providers import NoAnswer, Refused
from synaxis_billing.rates.rates import Rate


def preview_payment(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    request: PreviewRequest,
    rates: Iterable[Rate],
    issuer: Issuer,
) -> PaymentPreview:
    """Return what credit costs now. Raises OrganizationNotFound, UnsupportedCurrency."""
    outcome = procedures.call(
        db,
        "preview_payment",
        tenant=caller.tenant,
        organization_id=organization_id,
        credit_usd=request.amount_usd,
        terms=terms(rates, issuer),
    )
    return PaymentPreview.model_validate(procedures.accepted(outcome)[0])


def create_payment(
    access: Access,
    organization_id: UUID,
    key: str,
    request: NewPayment,
    rates: Iterable[Rate],
    issuer: Issuer,
) -> tuple[Payment, bool]:
    """Return a payment with the page on which to pay it, and whether it existed before.

    Raises OrganizationNotFound, InvoiceNotFound, Conflict (the invoice cannot be paid, or is being
    paid by the other provider; a closed organization buys no credit), UnsupportedCurrency,
    AmountTooSmall, PaymentRefused, IdempotencyKeyReused, TemporarilyUnavailable (no answer: the
    payment is unknown, and a retry with the same key completes it).
    """
    outcome = procedures.call(
        access.connect(),
        "create_payment",
        tenant=access.caller.tenant,
        organization_id=organization_id,
        key=key,
        fingerprint=fingerprint("create_payment", request),
        purpose="invoice" if request.invoice_id else "topup",
        provider=request.provider,
        credit_usd=request.amount_usd,
        invoice_id=request.invoice_id,
        return_url=request.return_url,
        terms=terms(rates, issuer),
        initiated_by=access.caller.subject,
    )
    value, replayed = procedures.accepted(outcome)
    payment = Payment.model_validate(value)
    if payment.status in OPEN and payment.checkout_url is None:
        try:
            payment = advance(access, organization_id, payment.id)
        except (NoAnswer, Refused) as error:
            raise TemporarilyUnavailable from error
    if payment.status == "failed":
        raise PaymentRefused(failure_code=payment.failure_code)
    return payment, replayed


def get_payment(access: Access, organization_id: UUID, payment_id: UUID) -> Payment:
    """Return a payment. The provider is asked about an open one; if it does not answer, the payment
    is as it was settled last. Raises OrganizationNotFound, PaymentNotFound."""
    payment = call_for_payment(access, "payment", organization_id, payment_id)
    if payment.status not in OPEN:
        return payment
    try:
        return advance(access, organization_id, payment_id)
    except (NoAnswer, Refused):
        return payment


def list_payments(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    status: PaymentStatus | None,
    limit: int,
    cursor: str | None,
) -> Page[Payment]:
    """List payments, newest first, as they were settled last. Raises OrganizationNotFound."""

    def fetch(bounds: Bounds[datetime], most: int) -> tuple[list[Payment], None]:
        outcome = procedures.call(
            db,
            "payments",
            tenant=caller.tenant,
            organization_id=organization_id,
            status=status,
            before=bounds.before,
            since=bounds.since,
            limit=most,
        )
        return [Payment.model_validate(row) for row in procedures.accepted(outcome)[0]], None

    return paginate("payments", organization_id, limit, cursor, None, fetch)


def list_platform_payments(
    db: psycopg.Connection, caller: Caller, listed: PaymentFilter, limit: int, cursor: str | None
) -> Page[PlatformPayment]:
    """List payments of all organizations, newest first, as they were settled last.

    Raises Forbidden (a tenant's token), InvalidRequest (cursor).
    """
    caller.require_platform()

    def fetch(bounds: Bounds[UUID], most: int) -> list[PlatformPayment]:
        found = procedures.call(
            db,
            "platform_payments",
            tenant=caller.tenant,
            **listed.model_dump(),
            before=bounds.before,
            since=bounds.since,
            limit=most,
        )
        return [PlatformPayment.model_validate(row) for row in found]

    return paginate_by_id("platform-payments", limit, cursor, fetch)
