"""Creates the partitions of the months ahead, daily, so that one is never missing."""

from typing import Any

from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, task
from synaxis_billing.schema.partitions import ensure_partitions


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, list[str]]:
    made = ensure_partitions(connection())
    logger.info("partitions", made=made)
    return {"made": made}
