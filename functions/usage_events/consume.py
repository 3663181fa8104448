"""Takes usage events from a queue, a stream or a topic."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.caller import Caller
from synaxis_billing.edge.aws import deliveries
from synaxis_billing.edge.charging import count_results
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, metrics, task
from synaxis_billing.events import ingest

_CALLER = Caller(tenant="*", subject="usage-events")


@task
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a batch of messages; return those that are to be delivered again. Events that can never
    be charged are kept among the refused ones. Raises Undelivered for messages of Kafka."""
    taken = ingest.consume(connection, _CALLER, deliveries.read(event))
    count_results(taken.results)
    metrics.add_metric("UsageEvents", MetricUnit.Count, len(taken.results))
    for error in taken.errors:
        logger.error("a usage event cannot be taken", exc_info=error)
    return deliveries.answer(event, taken.failed)
