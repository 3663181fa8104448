"""Invoices from draft to paid, and the credit notes that reverse them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from synaxis_billing.caller import Caller
from synaxis_billing.currencies import UnsupportedCurrency
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import File, Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.documents import DOCUMENTS, linked_file, read_document, represent
from synaxis_billing.edge.http.lists import CSV, represent_list
from synaxis_billing.edge.http.parameters import Accept, Cursor, IdempotencyKey, Limit, Query
from synaxis_billing.edge.invoicing import issuer
from synaxis_billing.edge.settings import settings
from synaxis_billing.errors import Conflict
from synaxis_billing.invoices import credit_notes, invoices, links, topups
from synaxis_billing.invoices.documents.conversion import of_credit_note, of_invoice
from synaxis_billing.ledger.transactions import TransactionNotFound
from synaxis_billing.paging import DEFAULT_LIMIT, Page
from synaxis_billing.rates import rates

handler = api = Api()
ORGANIZATION = "/v1/organizations/{organization_id}"
INVOICES = f"{ORGANIZATION}/invoices"
INVOICE = f"{INVOICES}/{{invoice_id}}"
NOTES = f"{INVOICE}/credit-notes"


@api.endpoint(
    f"POST {INVOICES}",
    "billing:admin",
    status=201,
    other=200,
    refuses=(UnsupportedCurrency, Conflict),
)
def draft_invoice(
    caller: Caller, organization_id: UUID, body: invoices.InvoicePeriod
) -> Reply[invoices.Invoice]:
    """Draft the invoice of a period.

    Answers 200 with the same draft, computed again, if it exists.
    """
    current = rates.current_rates(connection, cache())
    invoice, known = invoices.draft_invoice(
        connection(), caller, organization_id, body, current, issuer()
    )
    return Reply(invoice, status=200 if known else 201)


@api.endpoint(f"GET {INVOICES}", "billing:read")
def list_invoices(
    caller: Caller,
    organization_id: UUID,
    status: Annotated[
        invoices.InvoiceStatus | None, Query(), Field(description="Only invoices in this state.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[Page[invoices.InvoiceSummary]]:
    """List the invoices of an organization.

    Newest first, optionally of one status, each without its lines.
    """
    page = (status, limit, cursor)
    return Reply(invoices.list_invoices(connection(), caller, organization_id, *page))


@api.endpoint(f"GET {INVOICE}", "billing:read", also=DOCUMENTS, refuses=(invoices.InvoiceNotFound,))
def get_invoice(
    caller: Caller, organization_id: UUID, invoice_id: UUID, accept: Accept = ""
) -> Reply[invoices.Invoice]:
    """Get an invoice as JSON, PDF or CSV.

    The header `Accept` chooses; JSON unless it names another. Each shows the 500 largest lines, and
    the sums of the others, which `/lines` lists.
    """
    invoice = invoices.get_invoice(connection, cache(), caller, organization_id, invoice_id)
    return represent(accept, invoice, lambda: of_invoice(invoice))


@api.endpoint(
    f"GET {INVOICE}/lines", "billing:read", also=(CSV,), refuses=(invoices.InvoiceNotFound,)
)
def list_invoice_lines(
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    accept: Accept = "",
) -> Reply[Page[invoices.LineItem]]:
    """List the lines of an invoice, as JSON or CSV.

    The largest amount first. Lines of a draft that is computed again meanwhile may change their
    places.
    """
    page = (organization_id, invoice_id, limit, cursor)
    found = invoices.list_lines(connection(), caller, *page)
    return represent_list(accept, found, found.items, invoices.LineItem, "lines")


@api.endpoint(
    f"GET {ORGANIZATION}/topups/{{transaction_id}}/invoice",
    "billing:read",
    also=DOCUMENTS,
    refuses=(TransactionNotFound, UnsupportedCurrency, Conflict),
)
def get_topup_invoice(
    caller: Caller, organization_id: UUID, transaction_id: UUID, accept: Accept = ""
) -> Reply[invoices.Invoice]:
    """Get the invoice of a top-up as JSON, PDF or CSV.

    It is issued within a minute of the top-up, or now. The header `Accept` chooses; JSON unless it
    names another.
    """
    current = rates.current_rates(connection, cache())
    invoice = topups.invoice_topup(
        connection(), caller, organization_id, transaction_id, current, issuer()
    )
    return represent(accept, invoice, lambda: of_invoice(invoice))


@api.endpoint(
    f"POST {INVOICE}/issue",
    "billing:admin",
    refuses=(invoices.InvoiceNotFound, UnsupportedCurrency, Conflict),
)
def issue_invoice(
    caller: Caller, organization_id: UUID, invoice_id: UUID
) -> Reply[invoices.Invoice]:
    """Issue an invoice.

    Computes the draft a last time and gives it its number. Issuing again changes nothing.
    """
    current = rates.current_rates(connection, cache())
    return Reply(
        invoices.issue_invoice(connection(), caller, organization_id, invoice_id, current, issuer())
    )


@api.endpoint(f"POST {INVOICE}/pay", "billing:admin", refuses=(invoices.InvoiceNotFound, Conflict))
def pay_invoice(
    caller: Caller, organization_id: UUID, invoice_id: UUID, body: invoices.InvoicePayment
) -> Reply[invoices.Invoice]:
    """Mark an invoice as paid.

    Takes an issued or overdue invoice, whose debt a top-up of the net amount covers. Paying again
    changes nothing.
    """
    return Reply(invoices.pay_invoice(connection(), caller, organization_id, invoice_id, body))


@api.endpoint(
    f"POST {INVOICE}/cancel",
    "billing:admin",
    refuses=(invoices.InvoiceNotFound, Conflict),
    invalidates=True,
)
def cancel_invoice(
    caller: Caller, organization_id: UUID, invoice_id: UUID
) -> Reply[invoices.Invoice]:
    """Cancel a draft.

    Or a statement, which asks for nothing; any other is reversed by a credit note.
    """
    return Reply(invoices.cancel_invoice(connection(), caller, organization_id, invoice_id))


@api.endpoint(
    f"POST {NOTES}",
    "billing:admin",
    status=201,
    refuses=(invoices.InvoiceNotFound, Conflict, credit_notes.CreditExceedsInvoice),
    invalidates=True,
)
def create_credit_note(
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    key: IdempotencyKey,
    body: credit_notes.CreditNoteRequest,
) -> Reply[credit_notes.CreditNote]:
    """Credit an issued invoice, whole or in part.

    An invoice that is credited in full is cancelled. With `reissue`, the invoice of a top-up is
    credited whole and issued again to the parties of today, in one act and without moving credit.
    """
    credited = credit_notes.credit_invoice(
        connection(),
        caller,
        organization_id,
        invoice_id,
        key,
        body,
        issuer(),
        settings().refund_grace_days,
    )
    return Reply(*credited)


@api.endpoint(f"GET {NOTES}", "billing:read", refuses=(invoices.InvoiceNotFound,))
def list_credit_notes(
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[Page[credit_notes.CreditNote]]:
    """List the credit notes of an invoice.

    Oldest first.
    """
    page = (organization_id, invoice_id, limit, cursor)
    return Reply(credit_notes.list_credit_notes(connection(), caller, *page))


@api.endpoint(
    f"GET {NOTES}/{{credit_note_id}}",
    "billing:read",
    also=DOCUMENTS,
    refuses=(invoices.InvoiceNotFound, credit_notes.CreditNoteNotFound),
)
def get_credit_note(
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    credit_note_id: UUID,
    accept: Accept = "",
) -> Reply[credit_notes.CreditNote]:
    """Get a credit note as JSON, PDF or CSV.

    The header `Accept` chooses; JSON unless it names another.
    """
    invoice_of = (caller, organization_id, invoice_id)
    note = credit_notes.get_credit_note(connection(), *invoice_of, credit_note_id)
    invoice = invoices.get_invoice(connection, cache(), *invoice_of)
    return represent(accept, note, lambda: of_credit_note(note, invoice))


@api.endpoint(
    f"POST {ORGANIZATION}/documents",
    "billing:read",
    status=201,
    refuses=(invoices.InvoiceNotFound, credit_notes.CreditNoteNotFound),
)
def create_document_link(
    caller: Caller, organization_id: UUID, body: links.NewDocumentLink
) -> Reply[links.DocumentLink]:
    """Link to the document of an invoice or of a credit note.

    Anybody who has the link opens this document, and nothing else, without a token, for five
    minutes.
    """
    linked = links.Linked(organization_id, body.invoice_id, body.credit_note_id, body.format)
    read_document(caller, linked)
    return Reply(links.link(connection(), linked))


@api.endpoint(
    "GET /v1/documents/{token}",
    None,
    refuses=(links.DocumentLinkNotFound, links.DocumentLinkExpired),
)
def open_document(token: links.LinkToken) -> File:
    return linked_file(links.open_link(connection(), token))
