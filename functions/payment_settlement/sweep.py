"""Queues the payments that are due to be asked for, every minute: lost webhooks delay, and lose
nothing."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.caller import Caller
from synaxis_billing.edge.aws import queue
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import metrics, task
from synaxis_billing.edge.payments import access
from synaxis_billing.edge.settings import settings
from synaxis_billing.payments.advancing import due_payments
from synaxis_billing.payments.inbox import ToSettle, count_unknown


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """Return the number of queued payments, and of events that name no known payment."""
    due = [
        ToSettle(organization_id=organization_id, payment_id=payment_id).model_dump_json()
        for organization_id, payment_id in due_payments(access(Caller(tenant="*")))
    ]
    unsent = queue.send(settings().payment_queue_url, due)
    unknown = count_unknown(connection())
    metrics.add_metric("PaymentEventsUnknown", MetricUnit.Count, unknown)
    return {"queued": len(due) - len(unsent), "unknown": unknown}
