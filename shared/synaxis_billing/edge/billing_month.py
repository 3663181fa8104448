"""A month's jobs, to the queue and from it."""

from datetime import datetime
from typing import Any

import psycopg
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from pydantic import TypeAdapter

from synaxis_billing import month_end
from synaxis_billing.edge import config, queue
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invoicing import terms
from synaxis_billing.errors import BillingError

metrics = Metrics()
_MONTH = TypeAdapter[str](month_end.Month)


def of(event: dict[str, Any]) -> str:
    """The month that an event is for. Raises ValidationError, KeyError."""
    if "month" in event:
        return _MONTH.validate_python(event["month"])
    return month_end.month_before(datetime.fromisoformat(event["time"]))


def send(jobs: list[month_end.Job]) -> None:
    """Raises Unsent."""
    queue.send(config.month_end_queue_url(), [job.model_dump_json() for job in jobs])


def bill(job: month_end.Job) -> None:
    """Raises what went wrong, after it has been recorded where the month's progress is read."""
    try:
        status = month_end.bill(connection(), job, *terms())
    except BillingError as error:
        _failed(job, str(error))
        raise
    except psycopg.Error as error:
        _failed(job, type(error).__name__)
        raise
    metrics.add_metric("InvoicesIssued", MetricUnit.Count, int(status == "issued"))


def _failed(job: month_end.Job, reason: str) -> None:
    metrics.add_metric("InvoicesFailed", MetricUnit.Count, 1)
    month_end.failed(connection(), job, reason)
