"""Webhooks between the queues: to the function that sends, and back with what came of it."""

from collections.abc import Iterable
from datetime import UTC, datetime

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing import deliveries
from synaxis_billing.edge import config, queue
from synaxis_billing.edge.database import connection

logger = Logger()
metrics = Metrics()


def dispatch() -> int:
    """Put what is due into the queue; how many there were. Raises Unsent."""
    sent = 0
    for claimed in deliveries.claim(connection(), datetime.now(UTC)):
        queue.send(config.webhook_queue_url(), _bodies(claimed))
        sent += len(claimed)
    return sent


def send(request: deliveries.Signed) -> None:
    """Raises Unsent: then it may be sent again."""
    attempt = deliveries.send(request, private=config.webhooks_to_private())
    queue.send(config.webhook_results_queue_url(), _bodies([attempt]))


def record(attempt: deliveries.Attempt) -> None:
    outcome = deliveries.record(connection(), attempt)
    metrics.add_metric(f"Webhooks{outcome.capitalize()}", MetricUnit.Count, 1)
    if attempt.error is not None:
        logger.info(
            "webhook failed", endpoint_id=attempt.endpoint_id, error=attempt.error, outcome=outcome
        )


def _bodies(messages: Iterable[deliveries.Signed | deliveries.Attempt]) -> list[str]:
    return [message.model_dump_json() for message in messages]
