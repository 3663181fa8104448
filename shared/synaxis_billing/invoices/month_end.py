"""Month end: each organization has the invoice of its local month, once, whatever happens twice."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import psycopg

from synaxis_billing import fx, sql
from synaxis_billing.fields import Answer, shown, spelled
from synaxis_billing.invoices import Issuer, terms
from synaxis_billing.ledger import Caller

PAGE = 1000
MOST_FAILURES = 100

_MONTH = "^[1-9][0-9]{3}-(0[1-9]|1[0-2])$"
Month = Annotated[
    str,
    spelled(_MONTH, "must be a month such as 2026-02"),
    shown(_MONTH, "2026-02"),
]


class Job(Answer):
    """One organization's month, as a message of the queue."""

    month: Month
    organization_id: UUID


class Failure(Answer):
    organization_id: UUID
    error: str


class Progress(Answer):
    """`empty` are organizations that were charged nothing; the first failures are listed."""

    month: str
    organizations: int
    pending: int
    issued: int
    empty: int
    failed: int
    failures: list[Failure]


def month_before(scheduled: datetime) -> str:
    """The month that a schedule's time ends, never that of now: a late retry bills the same."""
    return (scheduled.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")


def plan(db: psycopg.Connection, month: str) -> Iterator[list[Job]]:
    """Pages of what is still to be billed of a month; planned again, what is left of it."""
    last = None
    while True:
        outcome = sql.call(db, "plan_month_end", "*", month, last, PAGE)
        found = sql.accepted(outcome)[0]
        yield [Job(month=month, organization_id=one) for one in found["organization_ids"]]
        last = found["last"]
        if last is None:
            return


def bill(db: psycopg.Connection, job: Job, rates: Iterable[fx.Rate], issuer: Issuer) -> str:
    """Issue the invoice, in one transaction: "issued", or "empty" when there is nothing to bill.
    What was done before stays. Raises BillingError."""
    outcome = sql.call(db, "bill_month", "*", job.organization_id, job.month, terms(rates, issuer))
    return str(sql.accepted(outcome)[0]["status"])


def failed(db: psycopg.Connection, job: Job, reason: str) -> None:
    """Record why an organization could not be billed; it stays to be done."""
    sql.call(db, "month_failed", "*", job.organization_id, job.month, reason)


def progress(db: psycopg.Connection, caller: Caller, month: str) -> Progress:
    """Raises Forbidden for a tenant's token."""
    outcome = sql.call(db, "month_end", caller.tenant, month, MOST_FAILURES)
    return Progress.model_validate(sql.accepted(outcome)[0])
