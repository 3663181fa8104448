"""Queues the payments that are due, every minute: automatic top-ups, and those to be asked for, so
that lost webhooks delay, and lose nothing."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.caller import Caller
from synaxis_billing.edge.aws import queue
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import metrics, task
from synaxis_billing.edge.invoicing import issuer
from synaxis_billing.edge.payments import access
from synaxis_billing.edge.settings import settings
from synaxis_billing.payments.advancing import due_payments
from synaxis_billing.payments.auto_topups import claim_auto_topups
from synaxis_billing.payments.inbox import ToSettle, count_unknown
from synaxis_billing.rates import rates


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """Return the number of queued payments, and of events that name no known payment."""
    platform = access(Caller(tenant="*"))
    claimed = claim_auto_topups(platform, rates.current_rates(connection, cache()), issuer())
    due = [
        ToSettle(organization_id=organization_id, payment_id=payment_id).model_dump_json()
        for organization_id, payment_id in [*claimed, *due_payments(platform)]
    ]
    unsent = queue.send(settings().payment_queue_url, due)
    unknown = count_unknown(connection())
    metrics.add_metric("PaymentEventsUnknown", MetricUnit.Count, unknown)
    return {"queued": len(due) - len(unsent), "unknown": unknown}
