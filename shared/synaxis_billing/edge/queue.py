"""Messages into a queue, and from a batch of one to a call for each and back."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from synaxis_billing.edge import config

LARGEST_BATCH = 10


class Unsent(Exception):
    """A queue did not take a message."""


def each(
    event: dict[str, Any], context: LambdaContext, handle: Callable[[SQSRecord], None]
) -> dict[str, Any]:
    """Names the messages whose handling raised, which the queue delivers again; raises
    BatchProcessingError when all have."""
    answer = process_partial_response(
        event=event,
        record_handler=handle,
        processor=BatchProcessor(event_type=EventType.SQS),
        context=context,
    )
    return dict(answer)


def send(url: str, bodies: Sequence[str]) -> None:
    """Put messages into a queue. Raises Unsent: some of them may be in it."""
    for first in range(0, len(bodies), LARGEST_BATCH):
        entries = [
            {"Id": str(number), "MessageBody": body}
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
    return boto3.client("sqs", region_name=config.region(), endpoint_url=endpoint)
