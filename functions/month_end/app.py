"""Month end: `plan` puts every organization's month into a queue, `work` bills each, and the API
tells how far a month is."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from synaxis_billing import month_end
from synaxis_billing.edge import billing_month, queue
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http import Api, answered, entry

logger = Logger()
api = Api()
handler = entry(api)


@api.endpoint("GET /v1/month-end/{month}", "billing:read")
def progress(month: month_end.Month) -> Response[month_end.Progress]:
    return answered(month_end.progress(connection(), api.caller, month))


@logger.inject_lambda_context(clear_state=True)
def plan(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Takes {"time": when it was scheduled} for the month before, or {"month": "2026-02"}. Planned
    again, what is not billed yet is sent again."""
    month = billing_month.of(event)
    sent = 0
    for jobs in month_end.plan(connection(), month):
        billing_month.send(jobs)
        sent += len(jobs)
    logger.info("planned", month=month, sent=sent)
    return {"month": month, "sent": sent}


@billing_month.metrics.log_metrics
def work(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes a queue's batch of organizations' months; what fails is delivered again."""
    return queue.each(event, context, _bill)


def _bill(record: SQSRecord) -> None:
    billing_month.bill(month_end.Job.model_validate_json(record.body))
