"""An invoice or a credit note in the form that the request accepts: JSON, PDF or CSV."""

from collections.abc import Callable

from pydantic import BaseModel

from synaxis_billing.edge.http.answers import File, Reply
from synaxis_billing.edge.http.negotiation import preferred
from synaxis_billing.edge.settings import settings
from synaxis_billing.invoices.documents.model import InvoiceDocument

JSON = "application/json"
DOCUMENTS = PDF, CSV = "application/pdf", "text/csv"


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
