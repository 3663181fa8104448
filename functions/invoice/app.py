"""Invoices from draft to paid, and the credit notes that take them back."""

from typing import Annotated
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from synaxis_billing import fx, invoices
from synaxis_billing.edge import cache as caching
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http import Api, IdempotencyKey, answered, created, entry
from synaxis_billing.edge.invoicing import issuer
from synaxis_billing.edge.query import Cursor, Limit
from synaxis_billing.pages import DEFAULT_LIMIT, Page

api = Api()
handler = entry(api, around=caching.invocation)
INVOICES = "/v1/organizations/{organization_id}/invoices"


@api.endpoint(f"POST {INVOICES}", "billing:admin", status=201)
def draft(organization_id: UUID, body: invoices.InvoicePeriod) -> Response[invoices.Invoice]:
    rates = fx.rates(connection, cache())
    drafted, known = invoices.draft(
        connection(), api.caller, organization_id, body, rates, issuer()
    )
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


@api.endpoint(f"GET {INVOICES}/{{invoice_id}}", "billing:read")
def get(organization_id: UUID, invoice_id: UUID) -> Response[invoices.Invoice]:
    return answered(invoices.get(connection(), api.caller, organization_id, invoice_id))


@api.endpoint(f"POST {INVOICES}/{{invoice_id}}/issue", "billing:admin")
def issue(organization_id: UUID, invoice_id: UUID) -> Response[invoices.Invoice]:
    rates = fx.rates(connection, cache())
    return answered(
        invoices.issue(connection(), api.caller, organization_id, invoice_id, rates, issuer())
    )


@api.endpoint(f"POST {INVOICES}/{{invoice_id}}/pay", "billing:admin")
def pay(
    organization_id: UUID, invoice_id: UUID, body: invoices.Payment
) -> Response[invoices.Invoice]:
    return answered(invoices.pay(connection(), api.caller, organization_id, invoice_id, body))


@api.endpoint(f"POST {INVOICES}/{{invoice_id}}/cancel", "billing:admin")
def cancel(organization_id: UUID, invoice_id: UUID) -> Response[invoices.Invoice]:
    return answered(invoices.cancel(connection(), api.caller, organization_id, invoice_id))


@api.endpoint(f"POST {INVOICES}/{{invoice_id}}/credit-notes", "billing:admin", status=201)
def credit(
    organization_id: UUID, invoice_id: UUID, key: IdempotencyKey, body: invoices.CreditNoteRequest
) -> Response[invoices.CreditNote]:
    return created(
        invoices.credit(connection(), api.caller, organization_id, invoice_id, key, body, issuer())
    )


@api.endpoint(f"GET {INVOICES}/{{invoice_id}}/credit-notes", "billing:read")
def credit_notes(organization_id: UUID, invoice_id: UUID) -> Response[invoices.CreditNotes]:
    return answered(invoices.credit_notes(connection(), api.caller, organization_id, invoice_id))
