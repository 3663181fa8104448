"""Invalidation across regions: `consume` has this region forget what others changed; `sweep` tells
what a killed container has left untold."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from synaxis_billing.edge import cache as caching

metrics = caching.metrics


@metrics.log_metrics
def consume(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes a batch from Kafka or from a queue; a queue keeps for its dead letters what cannot be
    read. Raises Unreachable: then the batch is delivered again."""
    unreadable = caching.consume(event)
    return {"batchItemFailures": [{"itemIdentifier": one} for one in unreadable]}


@metrics.log_metrics
def sweep(_event: dict[str, Any], _context: LambdaContext) -> dict[str, int]:
    """Every minute. Returns how many changes were told."""
    return {"told": caching.sweep()}
