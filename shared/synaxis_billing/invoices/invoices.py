"""Invoices: the charged usage of a period, in the organization's currency, at one recorded rate.

A charge belongs to the invoice of the period in which it was written. Charges are written in the
order of their times, and an invoice is issued only after its period has ended, so no charge can be
added to an issued invoice. Usage that a client reports late belongs to the next invoice.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.currencies import CURRENCIES
from synaxis_billing.errors import NotFound, invalid_field
from synaxis_billing.fields import Answer, Instant, Money, Request, Time
from synaxis_billing.organizations.profile import Tax
from synaxis_billing.paging import Page, paginate
from synaxis_billing.rates.rates import Rate

type InvoiceStatus = Literal["draft", "issued", "paid", "overdue", "cancelled"]


class Party(Answer):
    """The seller or the buyer of an invoice; `payment_details` tell how to pay the seller."""

    name: str
    address: str | None = None
    tax_id: str | None = None
    email: str | None = None
    payment_details: str | None = None


class Issuer(NamedTuple):
    """The seller, and the series of the numbers of its invoices and credit notes."""

    seller: Party
    invoice_series: str = "INV"
    credit_note_series: str = "CN"


class InvoicePeriod(Request):
    """Half-open: [period_start, period_end)."""

    period_start: Instant
    period_end: Instant


class InvoicePayment(Request):
    """Without `paid_at`, the invoice was paid now."""

    paid_at: Instant | None = None


class LineItem(Answer):
    description: str
    model: str | None
    provider: str | None
    requests: int
    tokens: int
    amount_usd: Money
    amount_billing_currency: Money


class Invoice(Answer):
    """`exchange_rate` is in units of the billing currency per US dollar; every amount in that
    currency is an amount in US dollars at this rate, rounded half-up to `minor_units` decimals."""

    id: UUID
    organization_id: UUID
    invoice_number: str | None
    status: InvoiceStatus
    period_start: Time
    period_end: Time
    timezone: str
    billing_currency: str
    minor_units: int
    exchange_rate: Money
    rate_source: str
    rate_as_of: Time
    line_items: tuple[LineItem, ...]
    subtotal_usd: Money
    tax_usd: Money
    total_amount_usd: Money
    subtotal_billing_currency: Money
    tax_billing_currency: Money
    total_amount_billing_currency: Money
    tax: Tax | None
    seller: Party
    customer: Party
    locale: str
    payment_terms_days: int
    issued_at: Time | None
    due_date: date | None
    paid_at: Time | None
    created_at: Time
    updated_at: Time


class InvoiceNotFound(NotFound):
    """The invoice does not exist in this organization."""

    code = "invoice_not_found"


def draft_invoice(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    period: InvoicePeriod,
    rates: Iterable[Rate],
    issuer: Issuer,
) -> tuple[Invoice, bool]:
    """Draft the invoice of a period; return it, and whether it existed before. An existing draft is
    computed again.

    Raises OrganizationNotFound, InvalidRequest (an empty period), Conflict (the period overlaps
    another invoice's), UnsupportedCurrency.
    """
    if period.period_start >= period.period_end:
        raise invalid_field("body", "/period_end", "must be later than period_start")
    outcome = procedures.call(
        db,
        "draft_invoice",
        tenant=caller.tenant,
        organization_id=organization_id,
        period_start=period.period_start,
        period_end=period.period_end,
        terms=terms(rates, issuer),
    )
    value, known = procedures.accepted(outcome)
    return Invoice.model_validate(value), known


def issue_invoice(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    rates: Iterable[Rate],
    issuer: Issuer,
) -> Invoice:
    """Compute a draft for the last time and give it its number. Issuing again changes nothing.

    Raises OrganizationNotFound, InvoiceNotFound, Conflict (cancelled, or the period has not ended),
    UnsupportedCurrency.
    """
    at = terms(rates, issuer)
    return _invoice(db, "issue_invoice", caller, organization_id, invoice_id, terms=at)


def pay_invoice(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    payment: InvoicePayment,
) -> Invoice:
    """Mark an issued or overdue invoice as paid. Paying again changes nothing.

    Raises OrganizationNotFound, InvoiceNotFound, Conflict.
    """
    paid_at = payment.paid_at
    return _invoice(db, "pay_invoice", caller, organization_id, invoice_id, paid_at=paid_at)


def cancel_invoice(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, invoice_id: UUID
) -> Invoice:
    """Cancel a draft, or an invoice whose total is zero.

    Raises OrganizationNotFound, InvoiceNotFound, Conflict (any other invoice is reversed by a
    credit note).
    """
    return _invoice(db, "cancel_invoice", caller, organization_id, invoice_id)


def get_invoice(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, invoice_id: UUID
) -> Invoice:
    """Return one invoice. Raises OrganizationNotFound, InvoiceNotFound."""
    return _invoice(db, "invoice", caller, organization_id, invoice_id)


def list_invoices(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    status: InvoiceStatus | None,
    limit: int,
    cursor: str | None,
) -> Page[Invoice]:
    """List the invoices, newest first. Raises OrganizationNotFound, InvalidRequest (cursor)."""

    def fetch(before: datetime | None, most: int) -> list[Invoice]:
        outcome = procedures.call(
            db,
            "invoices",
            tenant=caller.tenant,
            organization_id=organization_id,
            status=status,
            before=before,
            limit=most,
        )
        return [Invoice.model_validate(row) for row in procedures.accepted(outcome)[0]]

    items, following = paginate("invoices", organization_id, limit, cursor, None, fetch)
    return Page[Invoice](items=items, next_cursor=following)


def mark_overdue(connect: Callable[[], psycopg.Connection], most: int = 1000) -> int:
    """Mark the unpaid invoices that are past their due date; return their number."""
    marked = 0
    while new := procedures.call(connect(), "mark_overdue", tenant="*", limit=most):
        marked += new
    return marked


def terms(rates: Iterable[Rate], issuer: Issuer) -> Jsonb:
    """Return the rates, the seller and the number series as the database's functions take them."""
    return Jsonb(
        {
            "rates": {
                rate.currency: {
                    "rate": str(rate.rate),
                    "source": rate.source,
                    "as_of": rate.as_of.isoformat(),
                    "minor_units": CURRENCIES[rate.currency].minor_units,
                }
                for rate in rates
            },
            "seller": issuer.seller.model_dump(mode="json"),
            "series": issuer.invoice_series,
        }
    )


def _invoice(
    db: psycopg.Connection,
    function: str,
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    **arguments: Any,
) -> Invoice:
    outcome = procedures.call(
        db,
        function,
        tenant=caller.tenant,
        organization_id=organization_id,
        invoice_id=invoice_id,
        **arguments,
    )
    return Invoice.model_validate(procedures.accepted(outcome)[0])
