"""Signs the webhooks that are due and queues them, every minute."""

from datetime import UTC, datetime
from typing import Any

from synaxis_billing.edge.aws import queue
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, task
from synaxis_billing.edge.settings import settings
from synaxis_billing.webhooks import delivery


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """Return the number of queued webhooks. Raises Unsent."""
    sent = 0
    for requests in delivery.claim(connection(), datetime.now(UTC)):
        bodies = [request.model_dump_json() for request in requests]
        queue.send(settings().webhook_queue_url, bodies)
        sent += len(requests)
    logger.info("dispatched", sent=sent)
    return {"sent": sent}
