"""The bus that carries invalidations between regions: Kafka, or SNS where there is no Kafka."""

import base64
import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from synaxis_billing.edge.aws import credentials
from synaxis_billing.edge.settings import settings
from synaxis_billing.invalidations.outbox import Message, Publish

if TYPE_CHECKING:
    from confluent_kafka import Producer

TOPIC = "cache-invalidation"
# A change waits this long for the bus; later the sweep sends what is left.
DELIVERY_SECONDS = 2


class Undelivered(Exception):
    """The bus did not take a message in time."""


class Received(NamedTuple):
    """The messages of a batch, and the ids of those that could not be read: of a queue's messages,
    or of Kafka's records as topic-partition:offset."""

    messages: list[Message]
    unreadable: list[str]


def publisher() -> Publish:
    """Return the function that publishes to the configured bus; where this is the only region, one
    that publishes to none."""
    if settings().kafka_brokers:
        return publish_to_kafka
    if settings().invalidation_topic_arn:
        return publish_to_sns
    return lambda _messages: None


def publish_to_kafka(messages: Sequence[Message]) -> None:
    """Publish messages, and return when all replicas have them. Raises Undelivered."""
    from confluent_kafka import KafkaException

    failed: list[str] = []

    def delivered(error: Any, _message: Any) -> None:
        if error is not None:
            failed.append(str(error))

    try:
        producer = _producer()
        for message in messages:
            producer.produce(
                TOPIC,
                key=str(message.tenant).encode(),
                value=message.model_dump_json().encode(),
                on_delivery=delivered,
            )
        waiting = producer.flush(DELIVERY_SECONDS)
    except (KafkaException, BufferError, LookupError) as error:
        raise Undelivered(str(error)) from error
    if failed or waiting:
        # The next producer reads the secret again: the password may have changed.
        _producer.cache_clear()
        raise Undelivered(failed[0] if failed else "Kafka did not confirm in time")


def publish_to_sns(messages: Sequence[Message]) -> None:
    """Publish messages one by one, since together they may be larger than SNS takes. Raises
    Undelivered."""
    from botocore.exceptions import BotoCoreError, ClientError

    topic = settings().invalidation_topic_arn
    for message in messages:
        try:
            _sns().publish(TopicArn=topic, Message=message.model_dump_json())
        except (BotoCoreError, ClientError) as error:
            raise Undelivered(type(error).__name__) from error


def read_batch(event: dict[str, Any]) -> Received:
    """Read the messages of a batch from Kafka or from a queue."""
    batch = Received([], [])
    for record_id, body in _bodies(event):
        try:
            batch.messages.append(Message.model_validate_json(body))
        except ValidationError:
            batch.unreadable.append(record_id)
    return batch


def _bodies(event: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    if "Records" in event:
        for record in event["Records"]:
            yield record["messageId"], record["body"].encode()
        return
    for partition, records in event["records"].items():
        for record in records:
            # A record without a value is a tombstone, which says nothing.
            value = base64.b64decode(record.get("value") or "")
            yield f"{partition}:{record['offset']}", value


@functools.cache
def _producer() -> "Producer":
    # Not at the top: only where something was changed, and there is Kafka.
    from confluent_kafka import Producer

    configuration: dict[str, Any] = {
        "bootstrap.servers": settings().kafka_brokers,
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 5,
        # A message that was given up is not sent late: its row in the database is sent again.
        "message.timeout.ms": DELIVERY_SECONDS * 1000,
        "log_level": 3,
    }
    return Producer(configuration | _authentication())


def _authentication() -> dict[str, Any]:
    if settings().msk_cluster_arn:
        from synaxis_billing.edge.aws.msk import authentication

        return authentication(settings().aws_region)
    login = credentials.kafka()
    if login is None:
        return {}
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": login[0],
        "sasl.password": login[1],
    }


@functools.cache
def _sns() -> Any:
    import boto3
    from botocore.config import Config

    quick = Config(
        connect_timeout=1, read_timeout=DELIVERY_SECONDS, retries={"total_max_attempts": 2}
    )
    # The one topic of all regions, wherever it is: arn:aws:sns:region:account:name.
    region = settings().invalidation_topic_arn.split(":")[3]
    return boto3.client("sns", region_name=region, config=quick)
