"""Settles the grants of organizations that nobody calls, hourly, so that events come in time."""

from typing import Any

from synaxis_billing.caller import Caller
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, task
from synaxis_billing.grants.schedule import settle_organizations


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    settled = settle_organizations(connection, Caller(tenant="*"))
    logger.info("settlement", settled=settled)
    return {"settled": settled}
