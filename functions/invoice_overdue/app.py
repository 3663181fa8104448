"""Hourly: marks the invoices that are past their due date, where the customer is, and not paid."""

from aws_lambda_powertools import Logger

from synaxis_billing import invoices
from synaxis_billing.edge.database import connection

logger = Logger()


def handler(_event: dict[str, object], _context: object) -> dict[str, int]:
    marked = invoices.mark_overdue(connection)
    logger.info("overdue", marked=marked)
    return {"marked": marked}
