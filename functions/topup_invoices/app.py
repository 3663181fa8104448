"""Issues the invoices of top-ups, every minute."""

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.caller import Caller
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, metrics, task
from synaxis_billing.edge.invoicing import issuer
from synaxis_billing.errors import BillingError
from synaxis_billing.invoices import topups
from synaxis_billing.rates import rates


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    issued = 0
    current = rates.current_rates(connection, cache())
    for topup in topups.claim_topups(connection):
        ids = (topup.organization_id, topup.transaction_id)
        try:
            topups.invoice_topup(connection(), Caller(tenant="*"), *ids, current, issuer())
            issued += 1
        except BillingError as error:
            logger.warning("a top-up has no invoice", transaction_id=str(ids[1]), reason=str(error))
            topups.record_failure(connection(), topup, error)
    failed = topups.count_failed(connection())
    metrics.add_metric("TopUpsWithoutInvoice", MetricUnit.Count, failed)
    return {"issued": issued, "failed": failed}
