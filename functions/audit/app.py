"""Checks every promise of the ledger, nightly."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.edge.database import administrator
from synaxis_billing.edge.invocation import logger, metrics, task
from synaxis_billing.ledger import audit


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the number of organizations and the broken promises; each of these is logged too."""
    with administrator() as connection:
        found = audit.audit(connection)
    broken = found.all_broken
    for promise in broken:
        logger.error("broken promise", promise=promise)
    metrics.add_metric("BrokenPromises", MetricUnit.Count, len(broken))
    return {"organizations": len(found.organizations), "broken": broken}
