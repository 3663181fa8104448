"""Brings credit in and puts it right: top-ups, refunds, adjustments."""

from uuid import UUID

from synaxis_billing.caller import Caller
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import IdempotencyKey
from synaxis_billing.ledger import credit
from synaxis_billing.ledger.transactions import Transaction

handler = api = Api()
ORGANIZATION = "/v1/organizations/{organization_id}"


@api.endpoint(f"POST {ORGANIZATION}/topups", "billing:topup", status=201, refuses=(409, 422))
def create_topup(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: credit.TopUpRequest
) -> Reply[Transaction]:
    return Reply(*credit.top_up(connection(), caller, organization_id, key, body))


@api.endpoint(f"POST {ORGANIZATION}/refunds", "billing:topup", status=201, refuses=(409, 422))
def create_refund(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: credit.RefundRequest
) -> Reply[Transaction]:
    return Reply(*credit.refund(connection(), caller, organization_id, key, body))


@api.endpoint(f"POST {ORGANIZATION}/adjustments", "billing:admin", status=201, refuses=(402, 422))
def create_adjustment(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: credit.AdjustmentRequest
) -> Reply[Transaction]:
    return Reply(*credit.adjust(connection(), caller, organization_id, key, body))
