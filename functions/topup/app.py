"""Brings credit in and puts it right: top-ups, refunds, adjustments."""

from uuid import UUID

from synaxis_billing.caller import Caller
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import IdempotencyKey
from synaxis_billing.errors import Conflict
from synaxis_billing.ledger import credit
from synaxis_billing.ledger.transactions import (
    InsufficientCredits,
    Transaction,
    TransactionNotFound,
)

handler = api = Api()
ORGANIZATION = "/v1/organizations/{organization_id}"


@api.endpoint(f"POST {ORGANIZATION}/topups", "billing:topup", status=201, refuses=(Conflict,))
def create_topup(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: credit.TopUpRequest
) -> Reply[Transaction]:
    """Top up credit that was paid for.

    A `reference_id` names the payment, which is credited once.
    """
    return Reply(*credit.top_up(connection(), caller, organization_id, key, body))


@api.endpoint(
    f"POST {ORGANIZATION}/refunds",
    "billing:topup",
    status=201,
    refuses=(TransactionNotFound, Conflict, credit.RefundExceedsCharge),
)
def create_refund(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: credit.RefundRequest
) -> Reply[Transaction]:
    """Refund a charge, whole or in part.

    Gives credit back to the balance, never more than the charge took.
    """
    return Reply(*credit.refund(connection(), caller, organization_id, key, body))


@api.endpoint(
    f"POST {ORGANIZATION}/adjustments", "billing:admin", status=201, refuses=(InsufficientCredits,)
)
def create_adjustment(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: credit.AdjustmentRequest
) -> Reply[Transaction]:
    """Adjust a balance by a signed amount.

    Takes more credit than is available only with `allow_negative_balance`; charges and holds then
    wait for credit.
    """
    return Reply(*credit.adjust(connection(), caller, organization_id, key, body))
