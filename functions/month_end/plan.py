"""Puts every organization's month into a queue, to be billed."""

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from synaxis_billing.edge.aws import queue
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, task
from synaxis_billing.edge.settings import settings
from synaxis_billing.invoices import month_end

_MONTH = TypeAdapter[str](month_end.Month)


@task
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take {"time": when it was scheduled} for the month before, or {"month": "2026-02"}. Planned
    again, a month's unbilled organizations are sent again. Raises Unsent."""
    month = _month(event)
    sent = 0
    for jobs in month_end.plan_month(connection(), month):
        queue.send(settings().month_end_queue_url, [job.model_dump_json() for job in jobs])
        sent += len(jobs)
    logger.info("planned", month=month, sent=sent)
    return {"month": month, "sent": sent}


def _month(event: dict[str, Any]) -> str:
    if "month" in event:
        return _MONTH.validate_python(event["month"])
    return month_end.month_before(datetime.fromisoformat(event["time"]))
