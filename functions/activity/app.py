"""What an organization did: its transactions, its spend logs, and what it spent on what."""

from typing import Annotated
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from synaxis_billing import ledger, usage
from synaxis_billing import spending as spent
from synaxis_billing.edge import cache as caching
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http import Api, answered, entry
from synaxis_billing.edge.query import Cursor, From, Limit, To
from synaxis_billing.pages import DEFAULT_LIMIT, Page

api = Api()
handler = entry(api, around=caching.invocation)
ORGANIZATION = "/v1/organizations/{organization_id}"


@api.endpoint(f"GET {ORGANIZATION}/transactions", "billing:read")
def transactions(
    organization_id: UUID,
    transaction_type: Annotated[ledger.TransactionType | None, Query(alias="type")] = None,
    start: From = None,
    end: To = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[Page[ledger.Transaction]]:
    return answered(
        ledger.transactions(
            connection(), api.caller, organization_id, transaction_type, start, end, limit, cursor
        )
    )


@api.endpoint(f"GET {ORGANIZATION}/spend-logs", "billing:read")
def spend_logs(
    organization_id: UUID,
    start: From = None,
    end: To = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[Page[usage.SpendLog]]:
    return answered(
        usage.spend_logs(connection(), api.caller, organization_id, start, end, limit, cursor)
    )


@api.endpoint(f"GET {ORGANIZATION}/spending", "billing:read")
def spending(
    organization_id: UUID,
    start: From = None,
    end: To = None,
    group_by: Annotated[spent.GroupBy | None, Query()] = None,
) -> Response[spent.Spending]:
    by = spent.dimensions(group_by)
    return answered(
        spent.spending(connection, cache(), api.caller, organization_id, start, end, by)
    )
