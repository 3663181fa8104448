"""The hourly settlement of organizations that nobody calls."""

from collections.abc import Callable

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import TooManyRequests

MOST_ORGANIZATIONS = 10_000


def settle_organizations(
    connect: Callable[[], psycopg.Connection], caller: Caller, most: int = MOST_ORGANIZATIONS
) -> int:
    """Start and end the grants that are due, and warn of credit that expires soon, in one
    transaction for each organization; return the number of organizations."""
    due = procedures.call(connect(), "organizations_to_settle", tenant=caller.tenant, limit=most)
    settled = 0
    for organization_id in due:
        try:
            procedures.call(
                connect(),
                "settle_organization",
                tenant=caller.tenant,
                organization_id=organization_id,
            )
        except TooManyRequests:
            # Its own calls settle it.
            continue
        settled += 1
    return settled
