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
from synaxis_billing.edge.http.parameters import (
    Accept,
    Cursor,
    From,
    FromInstant,
    Limit,
    Query,
    To,
    ToInstant,
)
from synaxis_billing.edge.http.periods import period
from synaxis_billing.events import refused
from synaxis_billing.fields import ClientId, Day, Name
from synaxis_billing.grants import receipts
from synaxis_billing.ledger import history, holds, transactions
from synaxis_billing.paging import DEFAULT_LIMIT, Page
from synaxis_billing.usage import forecasts, labels, spend_logs, spending
from synaxis_billing.usage.dimensions import SpendFilter, UsageFilter

handler = api = Api()
ORGANIZATION = "/v1/organizations/{organization_id}"
LABELS = f"{ORGANIZATION}/labels"
Top = Annotated[
    spending.Top | None,
    Query(),
    Field(
        description="Only so many groups, those with the most spend over the whole period;"
        " `others` sums the rest."
    ),
]


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
    bounds = period(caller, organization_id, start, end)
    page = (transaction_type, usage, *bounds, limit, cursor)
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
    page = (usage, *period(caller, organization_id, start, end), limit, cursor)
    found = spend_logs.list_spend_logs(connection(), caller, organization_id, *page)
    return represent_list(accept, found, found.items, spend_logs.SpendLog, "spend-logs")


@api.endpoint(f"GET {ORGANIZATION}/spending", "billing:read")
def get_spending(
    caller: Caller,
    organization_id: UUID,
    calls: Annotated[SpendFilter, Query()],
    start: From = None,
    end: To = None,
    group_by: Annotated[
        spending.GroupBy | None,
        Query(),
        Field(description="Dimensions to sum by, comma-separated; none for the total alone."),
    ] = None,
    top: Top = None,
) -> Reply[spending.Spending]:
    """Sum the spend of an organization.

    Exact sums of a period by any mix of dimensions, of the calls that have every field that the
    filters name; without a period, of the current month in the time zone of the organization. A
    day, month or hour without spend has no item. The hours of at most 7 days can be summed. An
    answer has at most 10,000 groups and 6 MB. A token of the platform gets the cost and the margin
    too.
    """
    asked = spending.Question(
        *period(caller, organization_id, start, end),
        spending.parse_group_by(group_by),
        top,
        calls,
    )
    return Reply(spending.get_spending(connection, cache(), caller, organization_id, asked))


@api.endpoint(f"GET {ORGANIZATION}/balance/history", "billing:read")
def get_balance_history(
    caller: Caller,
    organization_id: UUID,
    start: Annotated[
        Day | None, Query("from"), Field(description="First day; 30 days before `to` without it.")
    ] = None,
    end: Annotated[
        Day | None,
        Query("to"),
        Field(description="Day after the last one; tomorrow without it, and at the latest."),
    ] = None,
) -> Reply[history.BalanceHistory]:
    """Get the closing balance of each day.

    Days are those of the organization's time zone; that of today is the balance now. Each is the
    balance after a transaction, whose `version` it names. At most 400 days.
    """
    return Reply(history.get_balance_history(connection(), caller, organization_id, start, end))


@api.endpoint(f"PUT {LABELS}", "billing:admin", settings=True, invalidates=True)
def put_label(caller: Caller, organization_id: UUID, body: labels.NewLabel) -> Reply[labels.Label]:
    """Name a team or a virtual key.

    Or rename it: `team_name` and `virtual_key_name` are shown beside the ids in spending, and
    `subject_name` in budgets.
    """
    return Reply(labels.put_label(connection(), caller, organization_id, body))


@api.endpoint(f"GET {LABELS}", "billing:read")
def list_labels(
    caller: Caller,
    organization_id: UUID,
    kind: Annotated[
        labels.LabelKind | None, Query(), Field(description="Only names of this kind.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[Page[labels.Label]]:
    """List the names of teams and virtual keys.

    By kind and id.
    """
    return Reply(labels.list_labels(connection(), caller, organization_id, kind, limit, cursor))


@api.endpoint(
    f"DELETE {LABELS}",
    "billing:admin",
    settings=True,
    invalidates=True,
    refuses=(labels.LabelNotFound,),
)
def delete_label(
    caller: Caller,
    organization_id: UUID,
    kind: Annotated[labels.LabelKind, Query(), Field(description="What is named.")],
    subject_id: Annotated[
        ClientId, Query("id"), Field(description="Id of the team or the virtual key.")
    ],
) -> Reply[labels.Label]:
    """Delete the name of a team or a virtual key.

    Answers the name as it was.
    """
    return Reply(labels.delete_label(connection(), caller, organization_id, kind, subject_id))


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
    calls: Annotated[SpendFilter, Query()],
    start: FromInstant = None,
    end: ToInstant = None,
    group_by: Annotated[
        spending.PlatformGroupBy | None,
        Query(),
        Field(description="Dimensions to sum by, comma-separated; none for the total alone."),
    ] = None,
    top: Top = None,
) -> Reply[spending.PlatformSpending]:
    """Sum the spend of all organizations.

    Needs `billing:platform` too. Exact sums of a period by any mix of dimensions, days and months
    being those of each organization; without a period, of the current month in UTC. An answer has
    at most 10,000 groups and 6 MB.
    """
    by = spending.parse_group_by(group_by, spending.PLATFORM_DIMENSIONS)
    asked = spending.Question(start, end, by, top, calls)
    return Reply(spending.get_platform_spending(connection(), caller, asked))


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
