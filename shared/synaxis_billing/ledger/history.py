"""History of the balance: what it was at the end of each day."""

from datetime import date
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import invalid_field
from synaxis_billing.fields import Answer, Money

MOST_DAYS = 400


class ClosingBalance(Answer):
    """The balance at the end of a day, or now for today."""

    day: date
    """Day in the time zone of the organization."""
    balance_usd: Money
    """`balance_after_usd` of the newest transaction of the day or of the days before, in US
    dollars."""
    version: int
    """Number of that transaction in the chain of the organization; 0 if there was none."""


class BalanceHistory(Answer):
    """The closing balance of each day."""

    timezone: str
    """Time zone that the days are in."""
    items: list[ClosingBalance]
    """Each day, oldest first, at most until today."""


def get_balance_history(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    start: date | None,
    end: date | None,
) -> BalanceHistory:
    """Return the closing balances of the days from `start` until `end` (exclusive), by default of
    the last 30 days, as the transactions have them.

    Raises OrganizationNotFound, InvalidRequest (no period, or more than MOST_DAYS).
    """
    if start is not None and end is not None and start >= end:
        raise invalid_field("query", "/from", "must be before `to`")
    outcome = procedures.call(
        db,
        "balance_history",
        tenant=caller.tenant,
        organization_id=organization_id,
        **{"from": start, "to": end},
        most=MOST_DAYS,
    )
    value, _ = procedures.accepted(outcome)
    if value["items"] is None:
        raise invalid_field("query", "/from", f"must be at most {MOST_DAYS} days before the end")
    return BalanceHistory.model_validate(value)
