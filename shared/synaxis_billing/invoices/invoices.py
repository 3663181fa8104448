"""Invoices: the usage of a period, in the organization's currency, at one recorded rate; what
credit settled of it, and what is due.

Tax arises when money is owed for the first time: on what no credit settled here, and on the sale of
credit (topups.py). An invoice that asks for nothing is called a statement.

A charge belongs to the invoice of the period in which it was written. Charges are written in the
order of their times, and an invoice is issued only after its period has ended, so no charge can be
added to an issued invoice. Usage that a client reports late belongs to the next invoice.
"""

import contextlib
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.cache import Cache, Family, Unreachable
from synaxis_billing.caller import Caller
from synaxis_billing.currencies import CURRENCIES
from synaxis_billing.errors import NotFound, invalid_field
from synaxis_billing.fields import Answer, Instant, Money, Request, Time
from synaxis_billing.invoices.parties import Customer, Issuer, Seller
from synaxis_billing.invoices.settled import CreditStatement, Settled
from synaxis_billing.organizations.profile import Tax
from synaxis_billing.paging import Bounds, Page, paginate, paginate_by_place
from synaxis_billing.rates.rates import Rate

type InvoiceKind = Literal["usage", "topup"]
type InvoiceStatus = Literal["draft", "issued", "paid", "overdue", "uncollectible", "cancelled"]


class InvoicePeriod(Request):
    """Half-open: [period_start, period_end)."""

    period_start: Instant
    """Start of the period (inclusive)."""
    period_end: Instant
    """End of the period (exclusive)."""


class InvoicePayment(Request):
    """Without `paid_at`, the invoice was paid now."""

    paid_at: Instant | None = None
    """Time of the payment; now if it is left out."""


class LineItem(Answer):
    """What was charged for one model of one provider."""

    description: str
    """What was used."""
    model: str | None
    """Name of the model; null if the charges did not say."""
    provider: str | None
    """Name of the provider; null if the charges did not say."""
    requests: int
    """Number of charges."""
    tokens: int
    """Number of tokens."""
    amount_usd: Money
    """Net amount in US dollars."""
    amount_billing_currency: Money
    """Net amount in the billing currency."""


class FurtherLines(Answer):
    """The sums of the lines that an invoice does not show."""

    lines: int
    """Number of these lines."""
    requests: int
    """Number of charges."""
    tokens: int
    """Number of tokens."""
    amount_usd: Money
    """Net amount in US dollars."""
    amount_billing_currency: Money
    """Net amount in the billing currency."""


class InvoiceSummary(Answer):
    """An invoice without its lines. `exchange_rate` is in units of the billing currency per US
    dollar. Subtotal and tax are rounded half-up to the currency's minor units."""

    id: UUID
    organization_id: UUID
    kind: InvoiceKind
    """Usage of a period, or the sale of credit."""
    transaction_id: UUID | None
    """Id of the top-up that is invoiced; null for usage."""
    invoice_number: str | None
    """Number, gap-free in its series and year; null until the invoice is issued."""
    corrects_number: str | None = None
    """Number of the invoice that this one replaces with corrected parties; null for others."""
    status: InvoiceStatus
    """State of the invoice."""
    period_start: Time
    """Start of the period (inclusive)."""
    period_end: Time
    """End of the period (exclusive)."""
    timezone: str
    """IANA time zone of the organization."""
    first_day: date
    """First day of the period, in the time zone of the organization."""
    last_day: date
    """Last day of the period (inclusive), in the time zone of the organization."""
    billing_currency: str
    """ISO 4217 code of the billing currency."""
    minor_units: int
    """Number of decimals of the billing currency (ISO 4217)."""
    exchange_rate: Money
    """Units of the billing currency per US dollar; fixed when the invoice is issued."""
    rate_source: str
    """Source of the exchange rate."""
    rate_as_of: Time
    """Time of the exchange rate at its source."""
    line_count: int
    """Number of lines: of models and providers that were charged in the period, and of adjustments
    and refunds."""
    subtotal_usd: Money
    """Net amount in US dollars."""
    tax_usd: Money
    """Tax in US dollars."""
    total_amount_usd: Money
    """Net amount and tax in US dollars."""
    subtotal_billing_currency: Money
    """Net amount in the billing currency."""
    tax_billing_currency: Money
    """Tax in the billing currency."""
    total_amount_billing_currency: Money
    """Net amount and tax in the billing currency."""
    settled: tuple[Settled, ...]
    """What credit settled of the net amount; the rest is due."""
    amount_due_usd: Money
    """What the invoice asks for, in US dollars: what no credit settled, and its tax."""
    amount_due_billing_currency: Money
    """What the invoice asks for in the billing currency."""
    credit: CreditStatement | None
    """How the balance moved in the period; null for a top-up."""
    tax: Tax | None
    """How the invoice is taxed; null for no tax."""
    seller: Seller
    """Who issues the invoice."""
    customer: Customer
    """Who is billed."""
    locale: str
    """Language and region of the document."""
    payment_terms_days: int
    """Days from the issue to the due date."""
    issued_at: Time | None
    """Time of issue; null until then."""
    issue_date: date | None
    """Day of issue, in the time zone of the organization; null until then."""
    due_date: date | None
    """Day until which to pay, in the time zone of the organization; null until the issue, and when
    nothing is left to pay then."""
    paid_at: Time | None
    """Time of the payment; null until then."""
    created_at: Time
    updated_at: Time
    """Time of the last change."""


class Invoice(InvoiceSummary):
    """`exchange_rate` is in units of the billing currency per US dollar. Subtotal and tax are
    rounded half-up to the currency's minor units; the lines add up to the subtotal."""

    line_items: tuple[LineItem, ...]
    """What was charged in the period, by model and provider: the 500 largest amounts."""
    further_lines: FurtherLines | None
    """Sums of the lines after the first 500, which `/lines` lists; null if there are none."""


_INVOICES = Family("invoice", Invoice)
# A credit note, or the cancellation of a statement, invalidates what is paid.
_FINAL = ("paid", "cancelled")


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

    Raises OrganizationNotFound, InvoiceNotFound, Conflict (cancelled, the period has not ended, or
    tax is charged by a seller without name, address or tax id), UnsupportedCurrency.
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
    """Mark an issued or overdue invoice as paid, by a top-up that covers what it asked for. Paying
    again changes nothing.

    Raises OrganizationNotFound, InvoiceNotFound, Conflict.
    """
    by = {"paid_at": payment.paid_at, "initiated_by": caller.subject}
    return _invoice(db, "pay_invoice", caller, organization_id, invoice_id, **by)


def cancel_invoice(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, invoice_id: UUID
) -> Invoice:
    """Cancel a draft, or a statement, which asks for nothing.

    Raises OrganizationNotFound, InvoiceNotFound, Conflict (any other invoice is reversed by a
    credit note).
    """
    return _invoice(db, "cancel_invoice", caller, organization_id, invoice_id)


def get_invoice(
    connect: Callable[[], psycopg.Connection],
    cache: Cache,
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
) -> Invoice:
    """Return one invoice, from the cache once it is final. Raises OrganizationNotFound,
    InvoiceNotFound."""
    key = _INVOICES.key(organization_id, str(invoice_id))
    # An organization that the token may not touch does not exist for it, cached or not.
    if caller.tenant in ("*", str(organization_id)) and (known := cache.get(key)):
        return known
    outcome = procedures.call(
        connect(),
        "invoice",
        tenant=caller.tenant,
        organization_id=organization_id,
        invoice_id=invoice_id,
    )
    value, _ = procedures.accepted(outcome)
    invoice = Invoice.model_validate(value)
    # The erasure of a profile changes what has no number.
    if invoice.invoice_number is not None and invoice.status in _FINAL:
        with contextlib.suppress(Unreachable):
            cache.set(key, invoice, version=value["version"])
    return invoice


def list_invoices(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    status: InvoiceStatus | None,
    limit: int,
    cursor: str | None,
) -> Page[InvoiceSummary]:
    """List the invoices, newest first. Raises OrganizationNotFound, InvalidRequest (cursor)."""

    def fetch(bounds: Bounds[datetime], most: int) -> tuple[list[InvoiceSummary], None]:
        outcome = procedures.call(
            db,
            "invoices",
            tenant=caller.tenant,
            organization_id=organization_id,
            status=status,
            before=bounds.before,
            since=bounds.since,
            limit=most,
        )
        rows, _ = procedures.accepted(outcome)
        return [InvoiceSummary.model_validate(row) for row in rows], None

    return paginate("invoices", organization_id, limit, cursor, None, fetch)


def list_lines(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    limit: int,
    cursor: str | None,
) -> Page[LineItem]:
    """List the lines of an invoice, the largest amount first.

    Raises OrganizationNotFound, InvoiceNotFound, InvalidRequest (cursor).
    """

    def fetch(after: int, most: int) -> list[LineItem]:
        outcome = procedures.call(
            db,
            "invoice_lines",
            tenant=caller.tenant,
            organization_id=organization_id,
            invoice_id=invoice_id,
            after=after,
            limit=most,
        )
        return [LineItem.model_validate(row) for row in procedures.accepted(outcome)[0]]

    return paginate_by_place("lines", invoice_id, limit, cursor, fetch)


def mark_overdue(connect: Callable[[], psycopg.Connection]) -> int:
    """Mark the unpaid invoices that are past their due date; return their number."""
    return sum(
        procedures.call(connect(), "mark_overdue", tenant="*", organization_id=organization_id)
        for organization_id in procedures.each_organization(connect, "due_invoices")
    )


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
