"""Queues: sending messages, and handling a batch message by message."""

import functools
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from synaxis_billing.edge.invocation import logger
from synaxis_billing.edge.settings import settings

LARGEST_BATCH = 10
CORRELATION = "correlation_id"


class Unsent(Exception):
    """A queue did not take a message."""


def each(
    event: dict[str, Any], context: LambdaContext, handle: Callable[[SQSRecord], None]
) -> dict[str, Any]:
    """Call `handle` for each message of a batch, and name those that raised, which the queue
    delivers again. Logs carry the correlation id of the message. Raises BatchProcessingError when
    all raised."""

    def correlated(record: SQSRecord) -> None:
        known = record.message_attributes[CORRELATION]
        logger.set_correlation_id(known.string_value if known else record.message_id)
        handle(record)

    answer = process_partial_response(
        event=event,
        record_handler=correlated,
        processor=BatchProcessor(event_type=EventType.SQS),
        context=context,
    )
    return dict(answer)


def send(url: str, bodies: Sequence[str]) -> None:
    """Put messages into a queue, with the correlation id of this invocation. Raises Unsent: some of
    them may have been queued."""
    correlation_id = logger.get_correlation_id() or str(uuid4())
    attributes = {CORRELATION: {"DataType": "String", "StringValue": correlation_id}}
    for first in range(0, len(bodies), LARGEST_BATCH):
        entries = [
            {"Id": str(number), "MessageBody": body, "MessageAttributes": attributes}
            for number, body in enumerate(bodies[first : first + LARGEST_BATCH])
        ]
        answer = _client(url).send_message_batch(QueueUrl=url, Entries=entries)
        if answer.get("Failed"):
            raise Unsent(answer["Failed"][0]["Code"])


@functools.cache
def _client(url: str) -> Any:
    # Not at the top: most functions send nothing.
    import boto3

    # Where the queue is: https://sqs.region.amazonaws.com/account/name.
    endpoint = url.rsplit("/", 2)[0]
    return boto3.client("sqs", region_name=settings().aws_region, endpoint_url=endpoint)
