"""Signs the webhooks that are due and queues them, every minute."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.edge.aws import queue
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, metrics, task
from synaxis_billing.edge.settings import settings
from synaxis_billing.webhooks import delivery


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """Return the number of queued webhooks. One that the queue does not take is tried again later,
    and stops no other."""
    sent = 0
    for requests in delivery.claim(connection(), datetime.now(UTC)):
        bodies = [request.model_dump_json() for request in requests]
        failures = queue.send(settings().webhook_queue_url, bodies)
        unsent = [(requests[position], reason) for position, reason in failures.items()]
        delivery.give_back(connection(), unsent)
        sent += len(requests) - len(unsent)
        metrics.add_metric("WebhooksUnsent", MetricUnit.Count, len(unsent))
    logger.info("dispatched", sent=sent)
    return {"sent": sent}
