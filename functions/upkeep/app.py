"""Daily: makes the partitions of the months ahead, so that one is never missing."""

from aws_lambda_powertools import Logger

from synaxis_billing import upkeep
from synaxis_billing.edge.database import connection

logger = Logger()


def handler(_event: dict[str, object], _context: object) -> dict[str, list[str]]:
    made = upkeep.ensure_partitions(connection())
    logger.info("partitions", made=made)
    return {"made": made}
