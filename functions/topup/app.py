"""Brings credit in and puts it right: top-ups, refunds, adjustments."""

from uuid import UUID

from aws_lambda_powertools.event_handler import Response

from synaxis_billing import ledger
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http import Api, IdempotencyKey, created, entry

api = Api()
handler = entry(api)
ORGANIZATION = "/v1/organizations/{organization_id}"


@api.endpoint(f"POST {ORGANIZATION}/topups", "billing:topup", status=201, refuses=(409, 422))
def top_up(
    organization_id: UUID, key: IdempotencyKey, body: ledger.TopUpRequest
) -> Response[ledger.Transaction]:
    return created(ledger.top_up(connection(), api.caller, organization_id, key, body))


@api.endpoint(f"POST {ORGANIZATION}/refunds", "billing:topup", status=201, refuses=(409, 422))
def refund(
    organization_id: UUID, key: IdempotencyKey, body: ledger.RefundRequest
) -> Response[ledger.Transaction]:
    return created(ledger.refund(connection(), api.caller, organization_id, key, body))


@api.endpoint(f"POST {ORGANIZATION}/adjustments", "billing:admin", status=201, refuses=(402, 422))
def adjust(
    organization_id: UUID, key: IdempotencyKey, body: ledger.AdjustmentRequest
) -> Response[ledger.Transaction]:
    return created(ledger.adjust(connection(), api.caller, organization_id, key, body))
