"""An invoice or a credit note as the client asks for it: JSON, PDF or a table."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel

from synaxis_billing.documents.model import InvoiceDocument
from synaxis_billing.edge import config
from synaxis_billing.edge.http import Api, answered

DOCUMENTS = PDF, CSV = "application/pdf", "text/csv"


def represented(
    api: Api, answer: BaseModel, document: Callable[[], InvoiceDocument]
) -> Response[Any]:
    """By the first of these types that the request accepts; JSON if it names neither."""
    accepted = [
        one.partition(";")[0].strip()
        for one in api.current_event.headers.get("accept", "").lower().split(",")
    ]
    for kind in accepted:
        if kind == PDF:
            # Not at the top: it is large, and most requests want JSON.
            from synaxis_billing.documents.pdf import pdf

            said = document()
            return _file(said, pdf(said, config.font_folders()), PDF, "pdf")
        if kind == CSV:
            from synaxis_billing.documents.table import csv

            said = document()
            return _file(said, csv(said), f"{CSV}; charset=utf-8", "csv")
    return answered(answer)


def _file(
    document: InvoiceDocument, body: str | bytes, content_type: str, ending: str
) -> Response[Any]:
    name = f"{document.number or 'draft'}.{ending}"
    headers: dict[str, str | list[str]] = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Vary": "Accept",
    }
    return Response(200, content_type, body, headers=headers)
