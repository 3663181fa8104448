"""Sends the invalidations that a killed container has left unsent, every minute."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.edge.cache import drain
from synaxis_billing.edge.invocation import metrics, task


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    sent = 0
    while new := drain():
        sent += new
    metrics.add_metric("InvalidationsSwept", MetricUnit.Count, sent)
    return {"sent": sent}
