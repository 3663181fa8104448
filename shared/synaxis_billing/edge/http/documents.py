"""An invoice or a credit note in the form that the request accepts: JSON, PDF or CSV."""

from collections.abc import Callable

from pydantic import BaseModel

from synaxis_billing.caller import Caller
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import File, Reply
from synaxis_billing.edge.http.negotiation import preferred
from synaxis_billing.edge.settings import settings
from synaxis_billing.invoices import credit_notes, invoices
from synaxis_billing.invoices.documents.conversion import of_credit_note, of_invoice
from synaxis_billing.invoices.documents.model import InvoiceDocument
from synaxis_billing.invoices.links import Linked

JSON = "application/json"
DOCUMENTS = PDF, CSV = "application/pdf", "text/csv"
# Whoever has the link of a document shall not find it in a cache later.
NOT_KEPT = {"cache-control": "private, no-store"}


def represent[Body: BaseModel](
    accept: str, body: Body, document: Callable[[], InvoiceDocument]
) -> Reply[Body]:
    """Return the form that `accept` prefers; JSON if it names none of them."""
    media_type = preferred(accept, (JSON, *DOCUMENTS))
    if media_type == PDF:
        return Reply(body, file=_pdf(document()))
    if media_type == CSV:
        return Reply(body, file=_csv(document()))
    return Reply(body)


def read_document(caller: Caller, linked: Linked) -> InvoiceDocument:
    """Return the document that a link names.

    Raises OrganizationNotFound, InvoiceNotFound, CreditNoteNotFound.
    """
    ids = (caller, linked.organization_id, linked.invoice_id)
    invoice = invoices.get_invoice(connection, cache(), *ids)
    if linked.credit_note_id is None:
        return of_invoice(invoice)
    note = credit_notes.get_credit_note(connection(), *ids, linked.credit_note_id)
    return of_credit_note(note, invoice)


def linked_file(linked: Linked) -> File:
    """Return the document that a link names, as the organization itself reads it."""
    document = read_document(Caller(tenant=str(linked.organization_id)), linked)
    file = _pdf(document) if linked.format == "pdf" else _csv(document)
    return file._replace(headers=NOT_KEPT)


def _pdf(document: InvoiceDocument) -> File:
    # Not at the top: it is large, and most requests want JSON.
    from synaxis_billing.invoices.documents.pdf import pdf

    folder = settings().fonts_folder
    return File(pdf(document, [folder] if folder.is_dir() else []), PDF, _name(document, "pdf"))


def _csv(document: InvoiceDocument) -> File:
    from synaxis_billing.invoices.documents.table import csv

    return File(csv(document), f"{CSV}; charset=utf-8", _name(document, "csv"))


def _name(document: InvoiceDocument, ending: str) -> str:
    return f"{document.number or 'draft'}.{ending}"
