"""Applies the invalidations of other regions to this region's cache."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.edge.aws import bus
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.invocation import logger, metrics, task
from synaxis_billing.edge.settings import settings
from synaxis_billing.invalidations import outbox


@task
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a batch from Kafka or from a queue. A message that cannot be read is reported, so that a
    queue keeps it among its dead letters. Raises Unreachable: then the batch is delivered again."""
    batch = bus.read_batch(event)
    for seconds in outbox.consume(cache(), settings().aws_region, batch.messages):
        metrics.add_metric("InvalidationDelay", MetricUnit.Seconds, seconds)
    metrics.add_metric("InvalidationsUnreadable", MetricUnit.Count, len(batch.unreadable))
    if batch.unreadable:
        logger.error("invalidations cannot be read", records=batch.unreadable)
    return {"batchItemFailures": [{"itemIdentifier": record} for record in batch.unreadable]}
