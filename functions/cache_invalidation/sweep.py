"""Sends the invalidations that are left unsent, and measures every outbox, every minute."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.edge.cache import drain
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import metrics, task
from synaxis_billing.invalidations import outbox
from synaxis_billing.invoices import month_end
from synaxis_billing.webhooks import delivery


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    sent = 0
    while new := drain(probe=True):
        sent += new
    metrics.add_metric("InvalidationsSwept", MetricUnit.Count, sent)
    for name, waiting in (
        ("Invalidations", outbox.waiting(connection())),
        ("Webhooks", delivery.waiting(connection())),
        ("MonthEnd", month_end.waiting(connection())),
    ):
        metrics.add_metric(f"{name}Waiting", MetricUnit.Count, waiting["waiting"])
        metrics.add_metric(f"{name}Oldest", MetricUnit.Seconds, waiting["oldest_seconds"])
        metrics.add_metric(f"{name}SetAside", MetricUnit.Count, waiting.get("set_aside", 0))
    return {"sent": sent}
