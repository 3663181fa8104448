"""The progress of a month's invoices."""

from synaxis_billing.caller import Caller
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.invoices import month_end

handler = api = Api()


@api.endpoint("GET /v1/month-end/{month}", "billing:read")
def get_month_end(caller: Caller, month: month_end.Month) -> Reply[month_end.MonthEndProgress]:
    """Get the progress of a month end.

    Needs `billing:platform` too. Counts the organizations that were billed, and lists failures.
    """
    return Reply(month_end.get_progress(connection(), caller, month))
