"""Bills an organization's month: a queue's worker."""

from typing import Any

import psycopg
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from synaxis_billing.edge.aws import queue
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import metrics, task
from synaxis_billing.edge.invoicing import issuer
from synaxis_billing.errors import BillingError
from synaxis_billing.invoices import month_end
from synaxis_billing.rates import rates


@task
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a queue's batch of jobs; a failed one is delivered again."""
    return queue.each(event, context, _bill)


def _bill(record: SQSRecord) -> None:
    job = month_end.Job.model_validate_json(record.body)
    try:
        current = rates.current_rates(connection, cache())
        status = month_end.bill_month(connection(), job, current, issuer())
    except BillingError as error:
        _record_failure(job, str(error))
        raise
    except psycopg.Error as error:
        _record_failure(job, type(error).__name__)
        raise
    metrics.add_metric("InvoicesIssued", MetricUnit.Count, int(status == "issued"))


def _record_failure(job: month_end.Job, reason: str) -> None:
    metrics.add_metric("InvoicesFailed", MetricUnit.Count, 1)
    month_end.record_failure(connection(), job, reason)
