"""A Kafka for this machine, and what hands its records to functions.

`python -m local.kafka` is librdkafka's mock cluster, which speaks Kafka's protocol and keeps its
records in memory. It prints its brokers and ends when its input does.
"""

import asyncio
import base64
import logging
import sys
from typing import Any

from confluent_kafka import Consumer, Message
from confluent_kafka.admin import AdminClient

from local.pool import FunctionError, Invoke, Throttled

LARGEST_BATCH = 500
BATCH_SECONDS = 0.1
RETRY_SECONDS = 1
logger = logging.getLogger(__name__)


async def deliver(brokers: str, group: str, topic: str, function: str, invoke: Invoke) -> None:
    """Invoke a function with a topic's records, without end; each batch until it succeeds."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            # The topic comes with its first record.
            "topic.metadata.refresh.interval.ms": 500,
            "allow.auto.create.topics": True,
            "fetch.wait.max.ms": 100,
            "log_level": 3,
        }
    )
    consumer.subscribe([topic])
    while True:
        polled = await asyncio.to_thread(consumer.consume, LARGEST_BATCH, BATCH_SECONDS)
        messages = [message for message in polled if message.error() is None]
        if messages:
            await _until_done(function, _event(brokers, messages), invoke)
            await asyncio.to_thread(consumer.commit, asynchronous=False)


async def _until_done(function: str, event: Any, invoke: Invoke) -> None:
    while True:
        try:
            await invoke(function, event)
        except (FunctionError, Throttled) as error:
            logger.error("%s, invoked by Kafka: %s", function, error)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


def _event(brokers: str, messages: list[Message]) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-kafka.html"""
    records: dict[str, list[Any]] = {}
    for message in messages:
        one: dict[str, Any] = {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": message.timestamp()[1],
            "timestampType": "CREATE_TIME",
            "key": base64.b64encode(message.key() or b"").decode(),
            "value": base64.b64encode(message.value() or b"").decode(),
            "headers": [],
        }
        records.setdefault(f"{message.topic()}-{message.partition()}", []).append(one)
    return {"eventSource": "SelfManagedKafka", "bootstrapServers": brokers, "records": records}


def main() -> None:
    cluster = AdminClient({"test.mock.num.brokers": 3, "log_level": 3})
    brokers = cluster.list_topics(timeout=10).brokers.values()
    print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
