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
# All messages of a batch, with their attributes, are at most 256 KB where SQS allows least.
LARGEST_BATCH_BYTES = 256 * 1024
_ATTRIBUTE_BYTES = 256
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


def send(url: str, bodies: Sequence[str]) -> dict[int, str]:
    """Put messages into a queue, with the correlation id of this invocation; return the reason of
    each that the queue did not take, by its position. A message without one may be queued all the
    same, if the answer was lost."""
    failures: dict[int, str] = {}
    batch: list[int] = []
    size = 0
    for position, body in enumerate(bodies):
        length = len(body.encode()) + _ATTRIBUTE_BYTES
        if batch and (len(batch) == LARGEST_BATCH or size + length > LARGEST_BATCH_BYTES):
            failures |= _send(url, bodies, batch)
            batch, size = [], 0
        batch.append(position)
        size += length
    if batch:
        failures |= _send(url, bodies, batch)
    return failures


def _send(url: str, bodies: Sequence[str], batch: Sequence[int]) -> dict[int, str]:
    """Send the messages at the positions of a batch."""
    # Not at the top: most functions send nothing.
    from botocore.exceptions import BotoCoreError, ClientError

    correlation_id = logger.get_correlation_id() or str(uuid4())
    attributes = {CORRELATION: {"DataType": "String", "StringValue": correlation_id}}
    entries = [
        {"Id": str(position), "MessageBody": bodies[position], "MessageAttributes": attributes}
        for position in batch
    ]
    try:
        answer = _client(url).send_message_batch(QueueUrl=url, Entries=entries)
    except ClientError as error:
        if len(batch) > 1:
            # It refuses the whole batch for one message: sent alone, each has its own outcome.
            alone = [_send(url, bodies, [position]) for position in batch]
            return {position: reason for failed in alone for position, reason in failed.items()}
        return {batch[0]: error.response["Error"]["Code"]}
    except BotoCoreError as error:
        return dict.fromkeys(batch, type(error).__name__)
    return {int(failed["Id"]): failed["Code"] for failed in answer.get("Failed", ())}


@functools.cache
def _client(url: str) -> Any:
    import boto3

    # Where the queue is: https://sqs.region.amazonaws.com/account/name.
    endpoint = url.rsplit("/", 2)[0]
    return boto3.client("sqs", region_name=settings().aws_region, endpoint_url=endpoint)
