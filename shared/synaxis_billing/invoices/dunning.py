"""Dunning: unpaid invoices are asked for again, and at last given up."""

from collections.abc import Callable

import psycopg

from synaxis_billing import procedures


def dun(connect: Callable[[], psycopg.Connection], suspend: bool) -> int:
    """Ask for the overdue invoices whose reminder is due, and give up those that were asked for
    four times; return their number. `suspend`: an organization whose invoice is given up takes no
    new charges and holds until it is paid."""
    return sum(
        procedures.call(
            connect(), "dun", tenant="*", organization_id=organization_id, suspend=suspend
        )
        for organization_id in procedures.each_organization(connect, "organizations_to_dun")
    )
