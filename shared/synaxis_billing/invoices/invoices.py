"""Invoices: what an organization used in a period, in its own currency, at one recorded rate.

A log belongs to the invoice of the period that it was written in: logs are written at their own
time, in order, and an invoice is issued only after its period, so that no log can come late to it.
What a client reports late is written late, and is the next invoice's.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field

from synaxis_billing import fx, sql
from synaxis_billing.errors import NotFound, invalid_field
from synaxis_billing.fields import Answer, Instant, Money, Request, Text, Time, Usd
from synaxis_billing.ledger import Caller, fingerprint
from synaxis_billing.organizations import Tax
from synaxis_billing.pages import Page, page

Status = Literal["draft", "issued", "paid", "overdue", "cancelled"]


class Party(Answer):
    """Who sells, or buys; `payment_details` say how to pay the seller."""

    name: str
    address: str | None = None
    tax_id: str | None = None
    email: str | None = None
    payment_details: str | None = None


class Issuer(NamedTuple):
    """Who issues invoices, and the series that their numbers and those of credit notes are of."""

    seller: Party
    invoice_series: str = "INV"
    credit_note_series: str = "CN"


class InvoicePeriod(Request):
    """Half-open."""

    period_start: Instant
    period_end: Instant


class Payment(Request):
    """`paid_at` is now if it is left out."""

    paid_at: Instant | None = None


class CreditNoteRequest(Request):
    """`amount_usd` is net; without it, it is all that is left of the invoice. `refund_credit` gives
    the net amount back to the organization's balance too."""

    reason: Text
    amount_usd: Usd | None = None
    refund_credit: Annotated[bool, Field(strict=True)] = False


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
    status: Status
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


class CreditNote(Answer):
    id: UUID
    organization_id: UUID
    invoice_id: UUID
    credit_note_number: str
    reason: str
    subtotal_usd: Money
    tax_usd: Money
    total_amount_usd: Money
    subtotal_billing_currency: Money
    tax_billing_currency: Money
    total_amount_billing_currency: Money
    transaction_id: UUID | None
    created_at: Time


class CreditNotes(Answer):
    """Oldest first."""

    items: list[CreditNote]


def draft(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    period: InvoicePeriod,
    rates: Iterable[fx.Rate],
    issuer: Issuer,
) -> tuple[Invoice, bool]:
    """The invoice of the period, and whether it was there before; a draft is computed again.

    Raises NotFound, InvalidRequest (no period), Conflict (it overlaps another invoice's).
    """
    if period.period_start >= period.period_end:
        raise invalid_field("body", "/period_end", "must be later than period_start")
    outcome = sql.call(
        db,
        "draft_invoice",
        *(caller.tenant, organization_id, period.period_start, period.period_end),
        terms(rates, issuer),
    )
    value, known = sql.accepted(outcome)
    return Invoice.model_validate(value), known


def issue(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    rates: Iterable[fx.Rate],
    issuer: Issuer,
) -> Invoice:
    """The draft, computed a last time, with its number; again, the same. Raises NotFound, Conflict
    (cancelled, or the period has not ended)."""
    at = terms(rates, issuer)
    return _change(db, "issue_invoice", caller, organization_id, invoice_id, at)


def pay(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    payment: Payment,
) -> Invoice:
    """An issued or overdue invoice as paid; again, the same. Raises NotFound, Conflict."""
    return _change(db, "pay_invoice", caller, organization_id, invoice_id, payment.paid_at)


def cancel(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, invoice_id: UUID
) -> Invoice:
    """A draft, or an invoice of nothing, dropped. Raises NotFound, Conflict (a credit note takes
    any other back)."""
    return _change(db, "cancel_invoice", caller, organization_id, invoice_id)


def credit(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    key: str,
    request: CreditNoteRequest,
    issuer: Issuer,
) -> tuple[CreditNote, bool]:
    """The credit note, and whether it is an earlier answer given again. What is credited in whole
    is cancelled. Raises NotFound, Conflict (draft or cancelled), Unprocessable (more than is left,
    or the key was used otherwise)."""
    outcome = sql.call(
        db,
        "credit_invoice",
        *(caller.tenant, organization_id, invoice_id, key),
        fingerprint(f"credit_invoice {invoice_id}", request),
        *(request.amount_usd, request.reason, request.refund_credit, caller.subject),
        issuer.credit_note_series,
    )
    value, replayed = sql.accepted(outcome)
    return CreditNote.model_validate(value), replayed


def credit_notes(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, invoice_id: UUID
) -> CreditNotes:
    """Those of an invoice. Raises NotFound."""
    outcome = sql.call(db, "credit_notes", caller.tenant, organization_id, invoice_id)
    return CreditNotes(items=sql.accepted(outcome)[0])


def credit_note(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, invoice_id: UUID, note_id: UUID
) -> CreditNote:
    """Raises NotFound."""
    for note in credit_notes(db, caller, organization_id, invoice_id).items:
        if note.id == note_id:
            return note
    raise NotFound("The invoice has no such credit note.", code="credit_note_not_found")


def get(db: psycopg.Connection, caller: Caller, organization_id: UUID, invoice_id: UUID) -> Invoice:
    """Raises NotFound."""
    return _change(db, "invoice", caller, organization_id, invoice_id)


def listed(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    status: Status | None,
    limit: int,
    cursor: str | None,
) -> Page[Invoice]:
    """Newest first. Raises NotFound, InvalidRequest (cursor)."""

    def fetch(before: datetime | None, most: int) -> list[Invoice]:
        outcome = sql.call(db, "invoices", caller.tenant, organization_id, status, before, most)
        return [Invoice.model_validate(row) for row in sql.accepted(outcome)[0]]

    items, following = page("invoices", organization_id, limit, cursor, None, fetch)
    return Page[Invoice](items=items, next_cursor=following)


def mark_overdue(connect: Callable[[], psycopg.Connection], most: int = 1000) -> int:
    """Mark what is due and not paid; how many invoices there were."""
    marked = 0
    while new := sql.call(connect(), "mark_overdue", "*", most):
        marked += new
    return marked


def _change(
    db: psycopg.Connection,
    function: str,
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    *arguments: Any,
) -> Invoice:
    outcome = sql.call(db, function, caller.tenant, organization_id, invoice_id, *arguments)
    return Invoice.model_validate(sql.accepted(outcome)[0])


def terms(rates: Iterable[fx.Rate], issuer: Issuer) -> Jsonb:
    """What the database computes and numbers an invoice by."""
    return Jsonb(
        {
            "rates": {
                one.currency: {
                    "rate": str(one.rate),
                    "source": one.source,
                    "as_of": one.as_of.isoformat(),
                    "minor_units": fx.CURRENCIES[one.currency].minor_units,
                }
                for one in rates
            },
            "seller": issuer.seller.model_dump(mode="json"),
            "series": issuer.invoice_series,
        }
    )
