"""Batches of usage events from a queue, a Kinesis stream or a Kafka topic.

https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html, with-kinesis.html, with-kafka.html
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any

from synaxis_billing.edge.http.requests import parse_json
from synaxis_billing.errors import BillingError, Forbidden, InvalidRequest
from synaxis_billing.events.ingest import Message

# API Gateway puts the scopes of a request's token here; a sender of AWS has its own permission.
SCOPE = "scope"
_CHARGE = {"billing:charge", "billing/charge"}


class Undelivered(Exception):
    """Messages of a topic were not taken: Kafka's batch is delivered again as a whole."""


def read(event: dict[str, Any]) -> list[Message]:
    """Return the messages of a batch, in order."""
    return [
        Message(record_id, source, group, *_value(body, scope))
        for record_id, source, group, body, scope in _records(event)
    ]


def answer(event: dict[str, Any], failed: Sequence[str]) -> dict[str, Any]:
    """Return what has these messages delivered again. Raises Undelivered for those of a topic."""
    if failed and "Records" not in event:
        raise Undelivered(f"{len(failed)} messages, from {failed[0]} on")
    return {"batchItemFailures": [{"itemIdentifier": record_id} for record_id in failed]}


def _records(event: dict[str, Any]) -> Iterator[tuple[str, str, str, str | bytes, str | None]]:
    """Yield each record's id, its source, its group, its body, and the scopes of its token."""
    for record in event.get("Records", ()):
        if "kinesis" in record:
            data = record["kinesis"]
            group = f"{record['eventID'].partition(':')[0]} {data['partitionKey']}"
            number = data["sequenceNumber"]
            yield number, record["eventSourceARN"], group, _decoded(data["data"]), None
        else:
            group = record["attributes"].get("MessageGroupId", record["messageId"])
            scope = record.get("messageAttributes", {}).get(SCOPE, {}).get("stringValue")
            yield record["messageId"], record["eventSourceARN"], group, record["body"], scope
    for partition, records in event.get("records", {}).items():
        for record in records:
            # The order of a partition is that of its offsets, whatever the key.
            body = _decoded(record.get("value") or "")
            source = f"kafka:{record['topic']}"
            yield f"{partition}:{record['offset']}", source, partition, body, None


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data)
    except binascii.Error:
        return data.encode()


def _value(body: str | bytes, scope: str | None) -> tuple[Any, BillingError | None]:
    """Return the value of a body; the body itself, with the reason, if it cannot be taken."""
    text = body if isinstance(body, str) else body.decode("utf-8", "backslashreplace")
    if scope is not None and not _CHARGE & set(scope.split()):
        return text, Forbidden("The token needs the scope billing:charge.")
    try:
        return parse_json(text), None
    except InvalidRequest as error:
        return text, error
