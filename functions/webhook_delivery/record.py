"""Records the results of sent webhooks, where the database can be reached: a queue's worker."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from synaxis_billing.edge.aws import queue
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, metrics, task
from synaxis_billing.webhooks import delivery


@task
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a queue's batch of attempts."""
    return queue.each(event, context, _record)


def _record(record: SQSRecord) -> None:
    attempt = delivery.Attempt.model_validate_json(record.body)
    outcome = delivery.record(connection(), attempt)
    metrics.add_metric(f"Webhooks{outcome.capitalize()}", MetricUnit.Count, 1)
    if attempt.error is not None:
        logger.info(
            "webhook failed", endpoint_id=attempt.endpoint_id, error=attempt.error, outcome=outcome
        )
