"""Brings credit in and puts it right: top-ups, grants, refunds, adjustments."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from synaxis_billing.caller import Caller
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import Cursor, IdempotencyKey, Limit, Query
from synaxis_billing.edge.settings import settings
from synaxis_billing.errors import Conflict
from synaxis_billing.grants import grants
from synaxis_billing.ledger import credit
from synaxis_billing.ledger.transactions import (
    InsufficientCredits,
    Transaction,
    TransactionNotFound,
)
from synaxis_billing.paging import DEFAULT_LIMIT, Page
from synaxis_billing.rates import rates

handler = api = Api()
ORGANIZATION = "/v1/organizations/{organization_id}"
GRANTS = f"{ORGANIZATION}/grants"


@api.endpoint(f"POST {ORGANIZATION}/topups", "billing:topup", status=201, refuses=(Conflict,))
def create_topup(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: credit.TopUpRequest
) -> Reply[Transaction]:
    """Top up credit that was paid for.

    A `reference_id` names the payment, which is credited once. The credit is a grant, which covers
    debt first; `paid` says what was paid for it in another currency.
    """
    rate = rates.current_rate(connection, cache(), body.paid.currency) if body.paid else None
    return Reply(*credit.top_up(connection(), caller, organization_id, key, body, rate))


@api.endpoint(f"POST {GRANTS}", "billing:topup", status=201)
def create_grant(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: grants.GrantRequest
) -> Reply[grants.Grant]:
    """Grant promotional credit, at once or from a later time on.

    With `every`, the credit is granted again at the beginning of each month in the organization's
    time zone, and each grant expires with its month. To stop that, void the scheduled grant.
    """
    return Reply(*grants.create_grant(connection(), caller, organization_id, key, body))


@api.endpoint(f"GET {GRANTS}", "billing:read")
def list_grants(
    caller: Caller,
    organization_id: UUID,
    status: Annotated[
        grants.GrantStatus | None, Query(), Field(description="Only grants in this state.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[Page[grants.Grant]]:
    """List the credit grants of an organization, newest first.

    Each as it is now: what is left of it, and whether it can be used.
    """
    page = (status, limit, cursor)
    return Reply(grants.list_grants(connection(), caller, organization_id, *page))


@api.endpoint(
    f"POST {GRANTS}/{{grant_id}}/void",
    "billing:topup",
    status=201,
    refuses=(grants.GrantNotFound, Conflict),
)
def void_grant(
    caller: Caller, organization_id: UUID, grant_id: UUID, key: IdempotencyKey
) -> Reply[Transaction]:
    """Void a credit grant.

    Takes back what is left of it. Credit that unexpired holds need stays until they end. A
    scheduled grant does not start, and no later one of its schedule follows it.
    """
    return Reply(*grants.void_grant(connection(), caller, organization_id, grant_id, key))


@api.endpoint(
    f"POST {ORGANIZATION}/refunds",
    "billing:topup",
    status=201,
    refuses=(
        TransactionNotFound,
        Conflict,
        credit.ChargeIsInvoiced,
        credit.RefundExceedsCharge,
    ),
)
def create_refund(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: credit.RefundRequest
) -> Reply[Transaction]:
    """Refund a charge, whole or in part.

    Gives credit back to the grants that the charge took it from, last taken first, never more than
    it took. Credit of a grant that has ended comes back as a new grant, which lives for 30 days, or
    as many as the operator has set.
    """
    grace_days = settings().refund_grace_days
    return Reply(*credit.refund(connection(), caller, organization_id, key, body, grace_days))


@api.endpoint(
    f"POST {ORGANIZATION}/adjustments", "billing:admin", status=201, refuses=(InsufficientCredits,)
)
def create_adjustment(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: credit.AdjustmentRequest
) -> Reply[Transaction]:
    """Adjust a balance by a signed amount.

    A positive amount is a grant. A negative one takes credit as a charge does, and more than is
    available only with `allow_negative_balance`; charges and holds then wait for credit.
    """
    return Reply(*credit.adjust(connection(), caller, organization_id, key, body))
