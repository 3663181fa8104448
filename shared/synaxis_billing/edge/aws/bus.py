"""The bus that carries invalidations between regions: Kafka, or SNS where there is no Kafka."""

import base64
import functools
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from pydantic import ValidationError

from synaxis_billing.cache.breaker import Breaker
from synaxis_billing.edge.aws import credentials
from synaxis_billing.edge.settings import settings
from synaxis_billing.invalidations.outbox import Message, Publish, Undelivered

if TYPE_CHECKING:
    from confluent_kafka import Producer

TOPIC = "cache-invalidation"
# A change waits this long for the bus; later the sweep sends what is left.
DELIVERY_SECONDS = 2
# What SNS says of a message that it will never take.
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_REFUSALS = {"InvalidParameter", "InvalidParameterValue", "ValidationException"}


_breaker = Breaker(time.time)


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
    if settings().invalidation_topic:
        return publish_to_sns
    return lambda _messages: None


def unless_broken(publish: Publish) -> Publish:
    """Return a function that publishes, and leaves the messages to a later call while the bus is
    broken."""

    def guarded(messages: Sequence[Message]) -> None:
        if _breaker.open:
            reason = "the bus failed a moment ago and is not asked again yet"
            raise Undelivered({message.tenant: reason for message in messages})
        try:
            publish(messages)
        except Undelivered as error:
            if error.failures.keys() - set(error.refused):
                _breaker.fail()
            raise
        _breaker.close()

    return guarded


def publish_to_kafka(messages: Sequence[Message]) -> None:
    """Publish messages, and return when all replicas have them. Raises Undelivered."""
    outcomes = _produced(messages)
    if len(messages) > 1:
        # Kafka refuses a whole batch for one of its messages: sent alone, each has its own outcome.
        for message in messages:
            if message.tenant in outcomes.refused:
                outcomes.forget(message.tenant)
                outcomes.add(_produced([message]))
    outcomes.check()


class _Outcomes:
    """The reason of each message that was not delivered, by tenant, and the tenants whose messages
    the bus refuses for what they are."""

    def __init__(self) -> None:
        self.failures: dict[UUID, str] = {}
        self.refused: set[UUID] = set()

    def fail(self, tenant: UUID, reason: str, *, refused: bool = False) -> None:
        self.failures[tenant] = reason
        if refused:
            self.refused.add(tenant)

    def forget(self, tenant: UUID) -> None:
        self.failures.pop(tenant, None)
        self.refused.discard(tenant)

    def add(self, others: "_Outcomes") -> None:
        self.failures |= others.failures
        self.refused |= others.refused

    def check(self) -> None:
        """Raise Undelivered if there is a failure."""
        if self.failures:
            raise Undelivered(self.failures, self.refused)


def _produced(messages: Sequence[Message]) -> _Outcomes:
    """Send messages in batches, and wait until Kafka has confirmed them."""
    from confluent_kafka import KafkaException

    outcomes = _Outcomes()
    for message in messages:
        outcomes.fail(message.tenant, "Kafka did not confirm in time")
    try:
        producer = _producer()
    except (KafkaException, LookupError) as error:
        for message in messages:
            outcomes.fail(message.tenant, str(error))
        return outcomes
    for message in messages:
        try:
            _produce(producer, message, outcomes)
        except (KafkaException, BufferError) as error:
            outcomes.fail(message.tenant, str(error), refused=_is_refusal(error.args[0]))
    producer.flush(DELIVERY_SECONDS)
    if outcomes.failures.keys() - outcomes.refused:
        # The next producer reads the secret again: the password may have changed.
        _producer.cache_clear()
    return outcomes


def _produce(producer: "Producer", message: Message, outcomes: _Outcomes) -> None:
    def delivered(error: Any, _message: Any) -> None:
        if error is None:
            outcomes.forget(message.tenant)
        else:
            outcomes.fail(message.tenant, str(error), refused=_is_refusal(error))

    producer.produce(
        TOPIC,
        key=str(message.tenant).encode(),
        value=message.model_dump_json().encode(),
        on_delivery=delivered,
    )


def _is_refusal(error: Any) -> bool:
    from confluent_kafka import KafkaError

    return isinstance(error, KafkaError) and error.code() in (
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.POLICY_VIOLATION,
        KafkaError.INVALID_RECORD,
    )


def publish_to_sns(messages: Sequence[Message]) -> None:
    """Publish messages one by one, since together they may be larger than SNS takes. Raises
    Undelivered."""
    from botocore.exceptions import BotoCoreError, ClientError

    topic = settings().invalidation_topic
    outcomes = _Outcomes()
    for position, message in enumerate(messages):
        try:
            _sns().publish(TopicArn=topic, Message=message.model_dump_json())
        except ClientError as error:
            code = error.response["Error"]["Code"]
            outcomes.fail(message.tenant, code, refused=code in _REFUSALS)
        except BotoCoreError as error:
            # SNS cannot be reached: the others need not wait for that too.
            for unsent in messages[position:]:
                outcomes.fail(unsent.tenant, type(error).__name__)
            break
    outcomes.check()


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
    return boto3.client("sns", region_name=settings().aws_region, config=quick)
