"""Webhooks on their way: `dispatch` signs what is due, `send` sends it, from where the internet can
be reached, and `record` keeps what came of it, from where the database can."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from synaxis_billing.deliveries import Attempt, Signed
from synaxis_billing.edge import queue, webhooks

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def dispatch(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    sent = webhooks.dispatch()
    logger.info("dispatched", sent=sent)
    return {"sent": sent}


def send(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes a queue's batch of signed requests."""
    return queue.each(event, context, _send)


@webhooks.metrics.log_metrics
def record(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes a queue's batch of what came of them."""
    return queue.each(event, context, _record)


def _send(record: SQSRecord) -> None:
    webhooks.send(Signed.model_validate_json(record.body))


def _record(record: SQSRecord) -> None:
    webhooks.record(Attempt.model_validate_json(record.body))
