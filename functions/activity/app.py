"""An organization's transactions, holds and spend logs, and the sums of its spending."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from synaxis_billing.caller import Caller
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.lists import CSV, represent_list
from synaxis_billing.edge.http.parameters import Accept, Cursor, From, Limit, Query, To
from synaxis_billing.events import refused
from synaxis_billing.fields import Name
from synaxis_billing.grants import receipts
from synaxis_billing.ledger import holds, transactions
from synaxis_billing.paging import DEFAULT_LIMIT, Page
from synaxis_billing.usage import forecasts, spend_logs, spending
from synaxis_billing.usage.dimensions import UsageFilter

handler = api = Api()
ORGANIZATION = "/v1/organizations/{organization_id}"


@api.endpoint(f"GET {ORGANIZATION}/transactions", "billing:read", also=(CSV,))
def list_transactions(
    caller: Caller,
    organization_id: UUID,
    usage: Annotated[UsageFilter, Query()],
    transaction_type: Annotated[
        transactions.TransactionType | None,
        Query("type"),
        Field(description="Only transactions of this type."),
    ] = None,
    start: From = None,
    end: To = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    accept: Accept = "",
) -> Reply[Page[transactions.Transaction]]:
    """List the transactions of an organization, as JSON or CSV.

    Newest first, those that have every field that the filters name, optionally of a period. A page
    of rare ones may have few, or none, and still a cursor.
    """
    page = (transaction_type, usage, start, end, limit, cursor)
    found = transactions.list_transactions(connection(), caller, organization_id, *page)
    return represent_list(accept, found, found.items, transactions.Transaction, "transactions")


@api.endpoint(
    f"GET {ORGANIZATION}/transactions/{{transaction_id}}",
    "billing:read",
    refuses=(transactions.TransactionNotFound,),
)
def get_transaction(
    caller: Caller, organization_id: UUID, transaction_id: UUID
) -> Reply[transactions.Transaction]:
    """Get a transaction.

    It never changes, but for an erasure of its personal fields.
    """
    return Reply(
        transactions.get_transaction(connection(), caller, organization_id, transaction_id)
    )


@api.endpoint(
    f"GET {ORGANIZATION}/transactions/{{transaction_id}}/receipt",
    "billing:read",
    refuses=(transactions.TransactionNotFound,),
)
def get_receipt(
    caller: Caller, organization_id: UUID, transaction_id: UUID
) -> Reply[receipts.Receipt]:
    """Get the receipt of a transaction.

    How its amount came to be, which grants paid for it, which budgets counted it, what of it was
    refunded, the invoice that it is on, and the proof of its hash, which anybody can compute again
    by SHA-256 alone.
    """
    return Reply(receipts.get_receipt(connection(), caller, organization_id, transaction_id))


@api.endpoint(f"GET {ORGANIZATION}/holds", "billing:read")
def list_holds(
    caller: Caller,
    organization_id: UUID,
    status: Annotated[
        holds.HoldStatus | None, Query(), Field(description="Only holds in this state.")
    ] = None,
    request_id: Annotated[
        Name | None, Query(), Field(description="Only holds for this LLM call.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[Page[holds.Hold]]:
    """List the holds of an organization.

    Newest first, with their states now.
    """
    page = (status, request_id, limit, cursor)
    return Reply(holds.list_holds(connection(), caller, organization_id, *page))


@api.endpoint(
    f"GET {ORGANIZATION}/holds/{{hold_id}}", "billing:read", refuses=(holds.HoldNotFound,)
)
def get_hold(caller: Caller, organization_id: UUID, hold_id: UUID) -> Reply[holds.Hold]:
    """Get a hold.

    Its state is that of now: it is expired once its time has passed.
    """
    return Reply(holds.get_hold(connection(), caller, organization_id, hold_id))


@api.endpoint(f"GET {ORGANIZATION}/spend-logs", "billing:read", also=(CSV,))
def list_spend_logs(
    caller: Caller,
    organization_id: UUID,
    usage: Annotated[UsageFilter, Query()],
    start: From = None,
    end: To = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    accept: Accept = "",
) -> Reply[Page[spend_logs.SpendLog]]:
    """List the spend logs of an organization, as JSON or CSV.

    Newest first, those that have every field that the filters name, optionally of a period. A page
    of rare ones may have few, or none, and still a cursor.
    """
    page = (usage, start, end, limit, cursor)
    found = spend_logs.list_spend_logs(connection(), caller, organization_id, *page)
    return represent_list(accept, found, found.items, spend_logs.SpendLog, "spend-logs")


@api.endpoint(f"GET {ORGANIZATION}/spending", "billing:read")
def get_spending(
    caller: Caller,
    organization_id: UUID,
    start: From = None,
    end: To = None,
    group_by: Annotated[
        spending.GroupBy | None,
        Query(),
        Field(description="Dimensions to sum by, comma-separated; none for the total alone."),
    ] = None,
) -> Reply[spending.Spending]:
    """Sum the spend of an organization.

    Exact sums of a period by any mix of dimensions; without a period, of the current month in the
    time zone of the organization. An answer has at most 10,000 groups and 6 MB. A token of the
    platform gets the cost and the margin too.
    """
    by = spending.parse_group_by(group_by)
    return Reply(
        spending.get_spending(connection, cache(), caller, organization_id, start, end, by)
    )


@api.endpoint(f"GET {ORGANIZATION}/forecast", "billing:read")
def get_forecast(
    caller: Caller,
    organization_id: UUID,
    days: Annotated[
        forecasts.Days, Query(), Field(description="Number of days to forecast, today included.")
    ] = forecasts.DEFAULT_DAYS,
) -> Reply[forecasts.SpendForecast]:
    """Forecast the spend of an organization.

    What is expected to be charged by day, with bounds between which four of five are, and when that
    exceeds the credit that is available now. It is made once per day, in the night.
    """
    return Reply(forecasts.get_forecast(connection(), caller, organization_id, days))


@api.endpoint("GET /v1/spending", "billing:read")
def get_platform_spending(
    caller: Caller,
    start: From = None,
    end: To = None,
    group_by: Annotated[
        spending.PlatformGroupBy | None,
        Query(),
        Field(description="Dimensions to sum by, comma-separated; none for the total alone."),
    ] = None,
) -> Reply[spending.PlatformSpending]:
    """Sum the spend of all organizations.

    Needs `billing:platform` too. Exact sums of a period by any mix of dimensions, days and months
    being those of each organization; without a period, of the current month in UTC. An answer has
    at most 10,000 groups and 6 MB.
    """
    by = spending.parse_group_by(group_by, spending.PLATFORM_DIMENSIONS)
    return Reply(spending.get_platform_spending(connection(), caller, start, end, by))


@api.endpoint("GET /v1/forecast", "billing:read")
def get_platform_forecast(
    caller: Caller,
    days: Annotated[
        forecasts.Days, Query(), Field(description="Number of days to forecast.")
    ] = forecasts.DEFAULT_DAYS,
) -> Reply[forecasts.ExpectedSpend]:
    """Forecast the spend of all organizations together.

    Needs `billing:platform` too. The first day is the oldest that has not ended in every time zone;
    days are those of each organization.
    """
    return Reply(forecasts.get_platform_forecast(connection(), caller, days))


@api.endpoint("GET /v1/usage-events/refused", "billing:read")
def list_refused_usage_events(
    caller: Caller, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Reply[Page[refused.RefusedEvent]]:
    """List refused usage events.

    Those that were too late, invalid or not covered by credit, newest first, each until a later try
    of it is accepted.
    """
    return Reply(refused.list_refused(connection(), caller, limit, cursor))
