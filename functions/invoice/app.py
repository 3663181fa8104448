"""Invoices from draft to paid, and the credit notes that take them back."""

from typing import Annotated
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from synaxis_billing import invoices
from synaxis_billing.documents.conversion import of_credit_note, of_invoice
from synaxis_billing.edge import cache as caching
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.documents import DOCUMENTS, represented
from synaxis_billing.edge.http import Api, IdempotencyKey, answered, created, entry
from synaxis_billing.edge.invoicing import issuer, terms
from synaxis_billing.edge.query import Cursor, Limit
from synaxis_billing.pages import DEFAULT_LIMIT, Page

api = Api()
handler = entry(api, around=caching.invocation)
INVOICES = "/v1/organizations/{organization_id}/invoices"
INVOICE = f"{INVOICES}/{{invoice_id}}"


@api.endpoint(f"POST {INVOICES}", "billing:admin", status=201, other=200, refuses=(409,))
def draft(organization_id: UUID, body: invoices.InvoicePeriod) -> Response[invoices.Invoice]:
    drafted, known = invoices.draft(connection(), api.caller, organization_id, body, *terms())
    return answered(drafted, status=200 if known else 201)


@api.endpoint(f"GET {INVOICES}", "billing:read")
def listed(
    organization_id: UUID,
    status: Annotated[invoices.Status | None, Query()] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[Page[invoices.Invoice]]:
    return answered(
        invoices.listed(connection(), api.caller, organization_id, status, limit, cursor)
    )


@api.endpoint(f"GET {INVOICE}", "billing:read", also=DOCUMENTS)
def get(organization_id: UUID, invoice_id: UUID) -> Response[invoices.Invoice]:
    invoice = invoices.get(connection(), api.caller, organization_id, invoice_id)
    return represented(api, invoice, lambda: of_invoice(invoice))


@api.endpoint(f"POST {INVOICE}/issue", "billing:admin", refuses=(409,))
def issue(organization_id: UUID, invoice_id: UUID) -> Response[invoices.Invoice]:
    return answered(invoices.issue(connection(), api.caller, organization_id, invoice_id, *terms()))


@api.endpoint(f"POST {INVOICE}/pay", "billing:admin", refuses=(409,))
def pay(
    organization_id: UUID, invoice_id: UUID, body: invoices.Payment
) -> Response[invoices.Invoice]:
    return answered(invoices.pay(connection(), api.caller, organization_id, invoice_id, body))


@api.endpoint(f"POST {INVOICE}/cancel", "billing:admin", refuses=(409,))
def cancel(organization_id: UUID, invoice_id: UUID) -> Response[invoices.Invoice]:
    return answered(invoices.cancel(connection(), api.caller, organization_id, invoice_id))


@api.endpoint(f"POST {INVOICE}/credit-notes", "billing:admin", status=201, refuses=(409, 422))
def credit(
    organization_id: UUID, invoice_id: UUID, key: IdempotencyKey, body: invoices.CreditNoteRequest
) -> Response[invoices.CreditNote]:
    return created(
        invoices.credit(connection(), api.caller, organization_id, invoice_id, key, body, issuer())
    )


@api.endpoint(f"GET {INVOICE}/credit-notes", "billing:read")
def credit_notes(organization_id: UUID, invoice_id: UUID) -> Response[invoices.CreditNotes]:
    return answered(invoices.credit_notes(connection(), api.caller, organization_id, invoice_id))


@api.endpoint(f"GET {INVOICE}/credit-notes/{{credit_note_id}}", "billing:read", also=DOCUMENTS)
def credit_note(
    organization_id: UUID, invoice_id: UUID, credit_note_id: UUID
) -> Response[invoices.CreditNote]:
    note = invoices.credit_note(
        connection(), api.caller, organization_id, invoice_id, credit_note_id
    )
    invoice = invoices.get(connection(), api.caller, organization_id, invoice_id)
    return represented(api, note, lambda: of_credit_note(note, invoice))
