"""Marks unpaid invoices as overdue, hourly, once their due date has passed at the customer, and
asks for them again."""

from typing import Any

from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, task
from synaxis_billing.edge.settings import settings
from synaxis_billing.invoices import dunning, invoices


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    marked = invoices.mark_overdue(connection)
    dunned = dunning.dun(connection, settings().suspend_uncollectible)
    logger.info("overdue", marked=marked, dunned=dunned)
    return {"marked": marked, "dunned": dunned}
