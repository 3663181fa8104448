"""The platform's list of its organizations."""

from datetime import date
from typing import Literal

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import invalid_field
from synaxis_billing.fields import Answer, ClientId, Money, Name, Request
from synaxis_billing.organizations.profile import Organization, OrganizationStatus
from synaxis_billing.paging import (
    NO_ORGANIZATION,
    SEARCHED_ROWS,
    Page,
    bounds_of,
    cursors,
    paginate_by_place,
    reached,
)

type OrganizationSort = Literal["runs_out", "balance", "spent"]


class OrganizationWithBalance(Organization):
    """An organization in the platform's list, with its credit now."""

    balance_usd: Money
    """Sum of all transactions in US dollars."""
    held_usd: Money
    """Credit in US dollars that unexpired holds reserve."""
    available_usd: Money
    """Credit in US dollars that can be charged: balance_usd + credit_limit_usd - held_usd."""
    spent_7_days_usd: Money
    """Sum of the charges of the last seven local days, today included, in US dollars."""
    runs_out: date | None
    """Day on which the credit is expected to run out, as of the newest nightly forecast; null if
    it does not within 90 days, or nothing was charged yet."""


class OrganizationTotals(Answer):
    """Sums over all organizations that the filters match."""

    organizations: int
    """Number of them."""
    balance_usd: Money
    """Sum of their balances in US dollars, debts subtracted."""
    debt_usd: Money
    """Sum of the balances below zero in US dollars, as a positive amount."""
    spent_7_days_usd: Money
    """Sum of the charges of their last seven local days in US dollars."""


class OrganizationPage(Page[OrganizationWithBalance]):
    """A page of the platform's organizations."""

    totals: OrganizationTotals | None = None
    """With the first page of a list with `sort`."""


class OrganizationFilter(Request):
    """Which organizations the platform's list has, and in which order."""

    external_id: ClientId | None = None
    """Only the organization with this external id."""
    q: Name | None = None
    """Only organizations whose name contains this."""
    status: OrganizationStatus | None = None
    """Only organizations with this status."""
    sort: OrganizationSort | None = None
    """Order: those that run out first, have the least balance, or spent the most in seven days;
    newest first without it."""


def list_organizations(
    db: psycopg.Connection,
    caller: Caller,
    listed: OrganizationFilter,
    limit: int,
    cursor: str | None,
) -> OrganizationPage:
    """List the platform's organizations that the filter matches, newest first or by its `sort`. A
    page of the newest has a few more than `limit` when they were made at one instant.

    Raises Forbidden (a tenant's token), InvalidRequest (cursor; external_id beside sort).
    """
    if listed.sort is not None:
        return _sorted_organizations(db, caller, listed, limit, cursor)
    bounds = bounds_of(cursor, "organizations", NO_ORGANIZATION)
    outcome = procedures.call(
        db,
        "organizations_page",
        tenant=caller.tenant,
        external_id=listed.external_id,
        name=listed.q,
        status=listed.status,
        before=bounds.before,
        since=bounds.since,
        limit=limit,
        scan=SEARCHED_ROWS if listed.q or listed.status else limit + 1,
    )
    value, _ = procedures.accepted(outcome)
    items = [OrganizationWithBalance.model_validate(row) for row in value["items"]]
    previous, following = cursors("organizations", NO_ORGANIZATION, bounds, reached(value))
    return OrganizationPage(items=items, previous_cursor=previous, next_cursor=following)


def _sorted_organizations(
    db: psycopg.Connection,
    caller: Caller,
    listed: OrganizationFilter,
    limit: int,
    cursor: str | None,
) -> OrganizationPage:
    if listed.external_id is not None:
        raise invalid_field("query", "/external_id", "must not be given beside `sort`")
    totals = None

    def fetch(after: int, most: int) -> list[OrganizationWithBalance]:
        nonlocal totals
        outcome = procedures.call(
            db,
            "organizations_by",
            tenant=caller.tenant,
            sort=listed.sort,
            name=listed.q,
            status=listed.status,
            after=after,
            limit=most,
        )
        value, _ = procedures.accepted(outcome)
        totals = value["totals"]
        return [OrganizationWithBalance.model_validate(row) for row in value["items"]]

    by = f"organizations-{listed.sort}"
    page = paginate_by_place(by, NO_ORGANIZATION, limit, cursor, fetch)
    return OrganizationPage(**dict(page), totals=totals)
