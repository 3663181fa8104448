"""Answers to charges: the transaction, or usage that waits for a price, which an alarm counts."""

from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.invocation import metrics
from synaxis_billing.ledger.transactions import Transaction
from synaxis_billing.prices.unpriced import Unpriced


def reply_to_charge(
    charged: Transaction | Unpriced, replayed: bool
) -> Reply[Transaction | Unpriced]:
    """Return a charge's answer: 201 with the transaction, or 202 with usage that has no price."""
    if not isinstance(charged, Unpriced):
        return Reply(charged, replayed)
    count_unpriced(1)
    return Reply(charged, status=202)


def count_unpriced(count: int) -> None:
    """Count usage that has no price in the metric of the alarm."""
    if count:
        metrics.add_metric("Unpriced", MetricUnit.Count, count)
