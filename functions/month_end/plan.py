"""Puts every organization's month into a queue, to be billed."""

from collections.abc import Sequence
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
    again, a month's unbilled organizations are sent again. Raises Unsent after all others are sent:
    the month's progress names the organizations that the queue did not take."""
    month = _month(event)
    counts = [(len(jobs), _queue(jobs)) for jobs in month_end.plan_month(connection(), month)]
    sent = sum(planned - failed for planned, failed in counts)
    failed = sum(failed for _, failed in counts)
    logger.info("planned", month=month, sent=sent, failed=failed)
    if failed:
        raise queue.Unsent(f"{failed} organizations")
    return {"month": month, "sent": sent}


def _queue(jobs: Sequence[month_end.Job]) -> int:
    """Queue a page of jobs; record those that the queue does not take, and return their number."""
    bodies = [job.model_dump_json() for job in jobs]
    failures = queue.send(settings().month_end_queue_url, bodies)
    for position, reason in failures.items():
        month_end.record_failure(connection(), jobs[position], f"it was not queued: {reason}")
    return len(failures)


def _month(event: dict[str, Any]) -> str:
    if "month" in event:
        return _MONTH.validate_python(event["month"])
    return month_end.month_before(datetime.fromisoformat(event["time"]))
