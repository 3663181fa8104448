"""Creates the partitions of the months ahead, daily, charges usage that waited for a price, and
empties old webhooks of payment providers."""

from typing import Any

from synaxis_billing.caller import Caller
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, task
from synaxis_billing.payments.inbox import empty_old_events
from synaxis_billing.prices.unpriced import charge_all_unpriced
from synaxis_billing.schema.partitions import ensure_partitions


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, list[str]]:
    """Return the partitions that were made. Raises Uncharged after all that can be done is done."""
    made = ensure_partitions(connection())
    try:
        charged = charge_all_unpriced(connection(), Caller(tenant="*"))
    finally:
        emptied = empty_old_events(connection())
    logger.info("upkeep", made=made, emptied=emptied, charged=charged)
    return {"made": made}
