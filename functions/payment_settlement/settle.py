"""Settles payments that changed at their providers: a queue's worker."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from synaxis_billing.caller import Caller
from synaxis_billing.edge.aws import queue
from synaxis_billing.edge.invocation import logger, metrics, task
from synaxis_billing.edge.payments import access
from synaxis_billing.errors import NotFound
from synaxis_billing.payments.advancing import advance
from synaxis_billing.payments.inbox import ToSettle


@task
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a queue's batch of payments; one whose provider does not answer is delivered again."""
    return queue.each(event, context, _settle)


def _settle(record: SQSRecord) -> None:
    message = ToSettle.model_validate_json(record.body)
    try:
        settled = advance(access(Caller(tenant="*")), message.organization_id, message.payment_id)
    except NotFound as error:
        # No try can find it.
        logger.error("a payment is missing", payment_id=str(message.payment_id), reason=str(error))
        return
    metrics.add_metric(f"Payments{settled.status.capitalize()}", MetricUnit.Count, 1)
    logger.info("settled", payment_id=str(settled.id), status=settled.status)
