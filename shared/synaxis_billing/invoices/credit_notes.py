"""Credit notes: they reverse an issued invoice, whole or in part."""

from datetime import date
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

import psycopg
from pydantic import Field, model_validator

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import NotFound, Unprocessable
from synaxis_billing.fields import Answer, Money, Request, Text, Time, Usd
from synaxis_billing.idempotency import fingerprint
from synaxis_billing.invoices.invoices import terms
from synaxis_billing.invoices.parties import Issuer
from synaxis_billing.paging import Page, paginate_by_place


class CreditNoteRequest(Request):
    """Without `amount_usd` (net), all that is left of what the invoice asked for is credited.
    `refund_credit` also gives the net amount back, as a refund of the usage; without it, what was
    not paid is owed, but on no invoice."""

    reason: Text
    """Why the invoice is credited, as the credit note prints it."""
    amount_usd: Usd | None = None
    """Net amount in US dollars; all that is left of the invoice if it is left out."""
    refund_credit: Annotated[bool, Field(strict=True)] = False
    """Whether the net amount is also refunded to the balance of the organization."""
    reissue: Annotated[bool, Field(strict=True)] = False
    """Whether the invoice, which is of a top-up, is credited whole and issued again at the same
    price and tax, with the name, address and tax id of today. No credit moves."""

    @model_validator(mode="after")
    def _check_reissue(self) -> Self:
        if self.reissue and (self.amount_usd is not None or self.refund_credit):
            raise ValueError("`reissue` excludes `amount_usd` and `refund_credit`")
        return self


class CreditNote(Answer):
    """A credit note, which reverses an invoice, whole or in part."""

    id: UUID
    organization_id: UUID
    invoice_id: UUID
    """Id of the invoice that is credited."""
    credit_note_number: str
    """Number, gap-free in its series and year."""
    issue_date: date
    """Day of issue, in the time zone of the invoice."""
    reason: str
    """Why the invoice is credited."""
    subtotal_usd: Money
    """Net amount in US dollars."""
    tax_usd: Money
    """Tax in US dollars."""
    total_amount_usd: Money
    """Net amount and tax in US dollars."""
    subtotal_billing_currency: Money
    """Net amount in the billing currency, at the rate of the invoice."""
    tax_billing_currency: Money
    """Tax in the billing currency."""
    total_amount_billing_currency: Money
    """Net amount and tax in the billing currency."""
    transaction_id: UUID | None
    """Id of the transaction that gave the credit back; null without `refund_credit`."""
    corrected_invoice_id: UUID | None
    """Id of the invoice that replaces the credited one; null without `reissue`."""
    created_at: Time


class CreditNoteNotFound(NotFound):
    """The credit note does not exist for this invoice."""

    code = "credit_note_not_found"


class CreditExceedsInvoice(Unprocessable):
    """The credit note exceeds what is left of the invoice, less what was refunded of it; of a
    top-up's invoice, what was paid for the credit that is left."""

    code = "credit_exceeds_invoice"
    members: ClassVar = {
        "requested_usd": "The net amount of the credit note.",
        "creditable_usd": "What is left of the invoice to credit, net.",
    }


def credit_invoice(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    key: str,
    request: CreditNoteRequest,
    issuer: Issuer,
    grace_days: int,
) -> tuple[CreditNote, bool]:
    """Credit an invoice, or reissue it; return the credit note, and whether it is an earlier one
    replayed. An invoice that is credited in full is cancelled. `grace_days` are those of a refund.

    Raises OrganizationNotFound, InvoiceNotFound, Conflict (draft or cancelled; to reissue, not of a
    top-up, or the seller is incomplete), CreditExceedsInvoice, IdempotencyKeyReused.
    """
    arguments: dict[str, Any] = {
        "tenant": caller.tenant,
        "organization_id": organization_id,
        "invoice_id": invoice_id,
        "key": key,
        "fingerprint": fingerprint(f"credit_invoice {invoice_id}", request),
        "reason": request.reason,
        "series": issuer.credit_note_series,
    }
    if request.reissue:
        # At the rate of the invoice that it replaces.
        outcome = procedures.call(db, "reissue_invoice", **arguments, terms=terms((), issuer))
    else:
        outcome = procedures.call(
            db,
            "credit_invoice",
            **arguments,
            amount_usd=request.amount_usd,
            refund_credit=request.refund_credit,
            initiated_by=caller.subject,
            grace_days=grace_days,
        )
    value, replayed = procedures.accepted(outcome)
    return CreditNote.model_validate(value), replayed


def list_credit_notes(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    limit: int,
    cursor: str | None,
) -> Page[CreditNote]:
    """List the credit notes of an invoice, oldest first.

    Raises OrganizationNotFound, InvoiceNotFound, InvalidRequest (cursor).
    """

    def fetch(after: int, most: int) -> list[CreditNote]:
        outcome = procedures.call(
            db,
            "credit_notes",
            tenant=caller.tenant,
            organization_id=organization_id,
            invoice_id=invoice_id,
            after=after,
            limit=most,
        )
        return [CreditNote.model_validate(row) for row in procedures.accepted(outcome)[0]]

    return paginate_by_place("credit-notes", invoice_id, limit, cursor, fetch)


def get_credit_note(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, invoice_id: UUID, note_id: UUID
) -> CreditNote:
    """Return one credit note. Raises OrganizationNotFound, InvoiceNotFound, CreditNoteNotFound."""
    outcome = procedures.call(
        db,
        "credit_note",
        tenant=caller.tenant,
        organization_id=organization_id,
        invoice_id=invoice_id,
        credit_note_id=note_id,
    )
    return CreditNote.model_validate(procedures.accepted(outcome)[0])
