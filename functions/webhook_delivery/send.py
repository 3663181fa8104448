"""Sends signed webhooks, from where the internet can be reached: a queue's worker."""

from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from synaxis_billing.edge.aws import queue
from synaxis_billing.edge.invocation import task
from synaxis_billing.edge.settings import settings
from synaxis_billing.webhooks import delivery


@task
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a queue's batch of signed requests; queue the result of each. A request whose result is
    not queued is sent again."""
    return queue.each(event, context, _send)


def _send(record: SQSRecord) -> None:
    request = delivery.Signed.model_validate_json(record.body)
    attempt = delivery.send(request, private=settings().webhooks_to_private)
    if failed := queue.send(settings().webhook_results_queue_url, [attempt.model_dump_json()]):
        raise queue.Unsent(failed[0])
