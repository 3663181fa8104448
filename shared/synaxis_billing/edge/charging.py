"""Answers to charges: the transaction, or usage that waits for a price, which an alarm counts."""

from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.invocation import metrics
from synaxis_billing.errors import Conflict
from synaxis_billing.ledger import charges
from synaxis_billing.ledger.transactions import Transaction
from synaxis_billing.prices.unpriced import Unpriced


def reply_to_charge(
    charged: Transaction | Unpriced, replayed: bool
) -> Reply[Transaction | Unpriced]:
    """Return a charge's answer: 201 with the transaction, or 202 with usage that has no price."""
    if not isinstance(charged, Unpriced):
        return Reply(charged, replayed)
    _count_unpriced(1)
    return Reply(charged, status=202)


def reply_to_batch(results: list[charges.Result]) -> Reply[charges.BatchAnswer]:
    """Return a batch's answer: one result per charge."""
    _count_unpriced(sum(isinstance(result, charges.Kept) for result in results))
    return Reply(charges.BatchAnswer(results=results))


def count_results(results: list[charges.Accepted | charges.Refused]) -> None:
    """Count usage that waits for a price, and what was refused without anybody being told."""
    refused = [result for result in results if isinstance(result, charges.Refused)]
    told = sum(result.error["code"] == Conflict.code for result in refused)
    metrics.add_metric("UsageEventsRefused", MetricUnit.Count, len(refused) - told)
    _count_unpriced(
        sum(isinstance(result, charges.Accepted) and result.is_unpriced for result in results)
    )


def _count_unpriced(count: int) -> None:
    if count:
        metrics.add_metric("Unpriced", MetricUnit.Count, count)
