"""Invoices from draft to paid, and the credit notes that reverse them."""

from typing import Annotated
from uuid import UUID

from synaxis_billing.caller import Caller
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.documents import DOCUMENTS, represent
from synaxis_billing.edge.http.parameters import Accept, Cursor, IdempotencyKey, Limit, Query
from synaxis_billing.edge.invoicing import issuer
from synaxis_billing.invoices import credit_notes, invoices
from synaxis_billing.invoices.documents.conversion import of_credit_note, of_invoice
from synaxis_billing.paging import DEFAULT_LIMIT, Page
from synaxis_billing.rates import rates

handler = api = Api()
INVOICES = "/v1/organizations/{organization_id}/invoices"
INVOICE = f"{INVOICES}/{{invoice_id}}"
NOTES = f"{INVOICE}/credit-notes"


@api.endpoint(f"POST {INVOICES}", "billing:admin", status=201, other=200, refuses=(409,))
def draft_invoice(
    caller: Caller, organization_id: UUID, body: invoices.InvoicePeriod
) -> Reply[invoices.Invoice]:
    current = rates.current_rates(connection, cache())
    invoice, known = invoices.draft_invoice(
        connection(), caller, organization_id, body, current, issuer()
    )
    return Reply(invoice, status=200 if known else 201)


@api.endpoint(f"GET {INVOICES}", "billing:read")
def list_invoices(
    caller: Caller,
    organization_id: UUID,
    status: Annotated[invoices.InvoiceStatus | None, Query()] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[Page[invoices.Invoice]]:
    page = (status, limit, cursor)
    return Reply(invoices.list_invoices(connection(), caller, organization_id, *page))


@api.endpoint(f"GET {INVOICE}", "billing:read", also=DOCUMENTS)
def get_invoice(
    caller: Caller, organization_id: UUID, invoice_id: UUID, accept: Accept = ""
) -> Reply[invoices.Invoice]:
    invoice = invoices.get_invoice(connection(), caller, organization_id, invoice_id)
    return represent(accept, invoice, lambda: of_invoice(invoice))


@api.endpoint(f"POST {INVOICE}/issue", "billing:admin", refuses=(409,))
def issue_invoice(
    caller: Caller, organization_id: UUID, invoice_id: UUID
) -> Reply[invoices.Invoice]:
    current = rates.current_rates(connection, cache())
    return Reply(
        invoices.issue_invoice(connection(), caller, organization_id, invoice_id, current, issuer())
    )


@api.endpoint(f"POST {INVOICE}/pay", "billing:admin", refuses=(409,))
def pay_invoice(
    caller: Caller, organization_id: UUID, invoice_id: UUID, body: invoices.InvoicePayment
) -> Reply[invoices.Invoice]:
    return Reply(invoices.pay_invoice(connection(), caller, organization_id, invoice_id, body))


@api.endpoint(f"POST {INVOICE}/cancel", "billing:admin", refuses=(409,))
def cancel_invoice(
    caller: Caller, organization_id: UUID, invoice_id: UUID
) -> Reply[invoices.Invoice]:
    return Reply(invoices.cancel_invoice(connection(), caller, organization_id, invoice_id))


@api.endpoint(f"POST {NOTES}", "billing:admin", status=201, refuses=(409, 422))
def create_credit_note(
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    key: IdempotencyKey,
    body: credit_notes.CreditNoteRequest,
) -> Reply[credit_notes.CreditNote]:
    invoice = (organization_id, invoice_id)
    return Reply(*credit_notes.credit_invoice(connection(), caller, *invoice, key, body, issuer()))


@api.endpoint(f"GET {NOTES}", "billing:read")
def list_credit_notes(
    caller: Caller, organization_id: UUID, invoice_id: UUID
) -> Reply[credit_notes.CreditNotes]:
    return Reply(credit_notes.list_credit_notes(connection(), caller, organization_id, invoice_id))


@api.endpoint(f"GET {NOTES}/{{credit_note_id}}", "billing:read", also=DOCUMENTS)
def get_credit_note(
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    credit_note_id: UUID,
    accept: Accept = "",
) -> Reply[credit_notes.CreditNote]:
    invoice_of = (connection(), caller, organization_id, invoice_id)
    note = credit_notes.get_credit_note(*invoice_of, credit_note_id)
    invoice = invoices.get_invoice(*invoice_of)
    return represent(accept, note, lambda: of_credit_note(note, invoice))
