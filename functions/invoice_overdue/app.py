"""Marks unpaid invoices as overdue, hourly, once their due date has passed at the customer."""

from typing import Any

from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, task
from synaxis_billing.invoices import invoices


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    marked = invoices.mark_overdue(connection)
    logger.info("overdue", marked=marked)
    return {"marked": marked}
