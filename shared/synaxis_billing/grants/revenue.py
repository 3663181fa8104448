"""Revenue: credit that was sold, and how much of it has been earned.

What is paid for credit is deferred revenue until the credit is used, which recognizes it, or
expires, which is breakage. Figures are in US dollars, net of tax, of months in UTC. Those of a
month that has ended never change.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, Money

PAGE = 500

type Account = Literal["cash", "deferred_revenue", "revenue", "breakage_revenue"]


class RevenueFigures(Answer):
    """Opening and sold, less recognized, breakage and paid out, are closing."""

    opening_deferred_usd: Money
    """What was paid for credit that was left at the start of the month."""
    sold_usd: Money
    """What was paid for credit in the month."""
    recognized_usd: Money
    """Cost basis of paid credit that was used, less that of credit that was refunded."""
    breakage_usd: Money
    """Cost basis of paid credit that expired or was voided."""
    paid_out_usd: Money
    """Cost basis of credit that was refunded to the payer."""
    closing_deferred_usd: Money
    """What was paid for credit that is left at the end of the month."""
    promotional_used_usd: Money
    """Credit that was given and used in the month."""
    debt_usd: Money
    """Usage at the end of the month that nothing has paid for."""
    invoiced_usd: Money
    """Of the debt, what issued invoices asked for, net of tax."""
    overdue_usd: Money
    """Of the debt, what overdue invoices asked for, net of tax."""


class OrganizationRevenue(RevenueFigures):
    """The revenue of one organization."""

    organization_id: UUID


class JournalEntry(Answer):
    """An amount that moves from one account to another."""

    date: date
    """Last day of the month."""
    debit: Account
    """Account that is debited."""
    credit: Account
    """Account that is credited."""
    amount_usd: Money
    """Amount in US dollars."""
    source: Literal["sold", "recognized", "breakage", "paid_out"]
    """The figure that the entry books."""


class Revenue(Answer):
    """The revenue of all organizations in a month."""

    month: str
    """The month, such as 2026-02, in UTC."""
    closed: bool
    """Whether the month has ended, so that its figures never change again."""
    total: RevenueFigures
    """The sums over all organizations."""
    journal: list[JournalEntry]
    """The total as bookings, which carry the opening to the closing deferred revenue."""
    items: list[OrganizationRevenue]
    """The organizations with any revenue, credit or debt, in the order of their ids."""


def get_revenue(connect: Callable[[], psycopg.Connection], caller: Caller, month: str) -> Revenue:
    """Return the revenue of a month over all organizations. Raises Forbidden for a tenant's
    token."""
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    end = (start + timedelta(days=31)).replace(day=1)
    items = list(_of_organizations(connect, caller, start, end))
    total = RevenueFigures.model_validate(
        {name: sum(getattr(item, name) for item in items) for name in RevenueFigures.model_fields}
    )
    return Revenue(
        month=month,
        closed=end <= datetime.now(UTC),
        total=total,
        journal=_journal(total, (end - timedelta(days=1)).date()),
        items=items,
    )


def _of_organizations(
    connect: Callable[[], psycopg.Connection], caller: Caller, start: datetime, end: datetime
) -> Iterator[OrganizationRevenue]:
    last: UUID | None = None
    while True:
        outcome = procedures.call(
            connect(),
            "revenue",
            tenant=caller.tenant,
            start=start,
            end=end,
            after=last,
            limit=PAGE,
        )
        rows = [OrganizationRevenue.model_validate(row) for row in procedures.accepted(outcome)[0]]
        for row in rows:
            if any(getattr(row, name) for name in RevenueFigures.model_fields):
                yield row
        if len(rows) < PAGE:
            return
        last = rows[-1].organization_id


def _journal(total: RevenueFigures, day: date) -> list[JournalEntry]:
    booked: list[tuple[Account, Account, Literal["sold", "recognized", "breakage", "paid_out"]]] = [
        ("cash", "deferred_revenue", "sold"),
        ("deferred_revenue", "revenue", "recognized"),
        ("deferred_revenue", "breakage_revenue", "breakage"),
        ("deferred_revenue", "cash", "paid_out"),
    ]
    return [
        JournalEntry(
            date=day,
            debit=debit,
            credit=credit,
            amount_usd=getattr(total, f"{source}_usd"),
            source=source,
        )
        for debit, credit, source in booked
    ]
