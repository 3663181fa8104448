"""The platform's months: the progress of their invoices, and their revenue."""

from typing import Annotated

from pydantic import Field

from synaxis_billing.caller import Caller
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.lists import CSV, represent_list
from synaxis_billing.edge.http.parameters import Accept, Query
from synaxis_billing.grants import revenue
from synaxis_billing.invoices import month_end

handler = api = Api()


@api.endpoint("GET /v1/month-end/{month}", "billing:read")
def get_month_end(caller: Caller, month: month_end.Month) -> Reply[month_end.MonthEndProgress]:
    """Get the progress of a month end.

    Needs `billing:platform` too. Counts the organizations that were billed, and lists failures.
    """
    return Reply(month_end.get_progress(connection(), caller, month))


@api.endpoint("GET /v1/revenue", "billing:admin", also=(CSV,))
def get_revenue(
    caller: Caller,
    month: Annotated[month_end.Month, Query(), Field(description="A calendar month in UTC.")],
    accept: Accept = "",
) -> Reply[revenue.Revenue]:
    """Get the revenue of a month, as JSON or CSV.

    Needs `billing:platform` too. Deferred revenue, what was sold, recognized, lost by expiry and
    paid out, per organization and in total, with a journal. CSV has a row per organization. The
    figures of a month that has ended never change.
    """
    found = revenue.get_revenue(connection, caller, month)
    return represent_list(accept, found, found.items, revenue.OrganizationRevenue, "revenue")
