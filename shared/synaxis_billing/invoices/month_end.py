"""Month end: each organization gets the invoice of its local month exactly once."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, json_schema, matching
from synaxis_billing.invoices.invoices import terms
from synaxis_billing.invoices.parties import Issuer
from synaxis_billing.rates.rates import Rate

PAGE = 1000
MOST_FAILURES = 100

_MONTH = "^[1-9][0-9]{3}-(0[1-9]|1[0-2])$"
Month = Annotated[
    str,
    matching(_MONTH, "must be a month such as 2026-02"),
    json_schema(_MONTH, "2026-02", description="A calendar month."),
]


class Job(Answer):
    """One organization's month, as a message of the queue."""

    month: Month
    organization_id: UUID


class MonthEndFailure(Answer):
    """An organization that could not be billed."""

    organization_id: UUID
    error: str
    """Why the organization could not be billed."""


class MonthEndProgress(Answer):
    """`empty` are organizations that were charged nothing; the first failures are listed."""

    month: str
    """The month, such as 2026-02."""
    organizations: int
    """Number of organizations to bill."""
    pending: int
    """Number of organizations that are still to be billed."""
    issued: int
    """Number of organizations that got an invoice."""
    empty: int
    """Number of organizations that were charged nothing."""
    failed: int
    """Number of organizations that could not be billed."""
    failures: list[MonthEndFailure]
    """The first failures."""


def month_before(scheduled: datetime) -> str:
    """Return the month that ends before a schedule's time; a late retry gets the same month."""
    return (scheduled.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")


def plan_month(db: psycopg.Connection, month: str) -> Iterator[list[Job]]:
    """Iterate over pages of jobs that remain to be billed for a month.

    A repeated plan sets failures back to pending, so that only its own are counted.
    """
    last = None
    while True:
        outcome = procedures.call(
            db, "plan_month_end", tenant="*", month=month, after=last, limit=PAGE
        )
        found, _ = procedures.accepted(outcome)
        yield [Job(month=month, organization_id=one) for one in found["organization_ids"]]
        last = found["last"]
        if last is None:
            return


def bill_month(db: psycopg.Connection, job: Job, rates: Iterable[Rate], issuer: Issuer) -> str:
    """Issue the invoice, in one transaction; return "issued", or "empty" when nothing was charged.
    An organization that was billed before stays as it is. Raises BillingError."""
    outcome = procedures.call(
        db,
        "bill_month",
        tenant="*",
        organization_id=job.organization_id,
        month=job.month,
        terms=terms(rates, issuer),
    )
    return str(procedures.accepted(outcome)[0]["status"])


def record_failure(db: psycopg.Connection, job: Job, reason: str) -> None:
    """Record why an organization could not be billed; the next run bills it."""
    procedures.call(
        db,
        "month_failed",
        tenant="*",
        organization_id=job.organization_id,
        month=job.month,
        error=reason,
    )


def waiting(db: psycopg.Connection) -> dict[str, float]:
    """Return how many organizations wait to be billed for a month (`waiting`), for how many seconds
    the oldest has (`oldest_seconds`), and how many could not be (`set_aside`)."""
    found: dict[str, float] = procedures.call(db, "waiting_months", tenant="*")
    return found


def get_progress(db: psycopg.Connection, caller: Caller, month: str) -> MonthEndProgress:
    """Return the progress of a month. Raises Forbidden for a tenant's token."""
    outcome = procedures.call(
        db, "month_end", tenant=caller.tenant, month=month, limit=MOST_FAILURES
    )
    return MonthEndProgress.model_validate(procedures.accepted(outcome)[0])
