"""What invokes functions without a caller waiting: schedules, Kafka, and queues in memory.

What a queue holds ends with the process: whoever sends must be able to send again.
"""

import asyncio
import functools
import hashlib
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from local.pool import FunctionError, Invoke, Throttled
from local.template import Function, Queue, Template

# Sooner than the visibility timeout of the template: nobody waits that long at a terminal.
RETRY_SECONDS = 1.0
# The first requests come soon after the start, and should not wait for every scheduled function.
FIRST_SECONDS = 30
_FAILURES = (FunctionError, Throttled)

logger = logging.getLogger(__name__)


class Message(NamedTuple):
    id: str
    body: str
    sent_milliseconds: int
    attributes: dict[str, dict[str, str]]
    group: str | None = None
    received: int = 0


class Triggers:
    """The schedules, queues and topics of a template; `invoke` takes a function's name and an
    event."""

    def __init__(self, template: Template, invoke: Invoke, region: str = "local") -> None:
        self._template = template
        self._region = region
        self._invoke = invoke
        self._queues = {name: asyncio.Queue[Message]() for name in template.queues}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        for function in self._template.functions.values():
            for seconds in function.schedules_seconds:
                self._keep(functools.partial(self._on_schedule, function, seconds))
            for name in function.queues:
                queue = self._template.queues[name]
                self._keep(functools.partial(self._on_messages, function, queue))
            if self._template.kafka_brokers:
                for topic in function.topics:
                    self._keep(functools.partial(self._on_records, function, topic))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def send(
        self,
        queue: str,
        body: str,
        attributes: dict[str, dict[str, str]] | None = None,
        group: str | None = None,
    ) -> str:
        """Put a message into a queue, and return its id. Attributes are as SQS's API has them."""
        message = Message(str(uuid.uuid4()), body, int(time.time() * 1000), attributes or {}, group)
        self._queues[queue].put_nowait(message)
        return message.id

    def _keep(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(_for_ever(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _on_schedule(self, function: Function, seconds: int) -> None:
        # Requests need what a queue waits for: the first exchange rates.
        if function.on_success is None:
            await asyncio.sleep(FIRST_SECONDS)
        while True:
            await self._asynchronously(function, {"source": "aws.scheduler", "detail": {}})
            await asyncio.sleep(seconds)

    async def _on_records(self, function: Function, topic: str) -> None:
        # Not at the top: only several regions have Kafka.
        from local import kafka

        brokers = self._template.kafka_brokers
        await kafka.deliver(brokers, self._region, topic, function.name, self._invoke)

    async def _asynchronously(self, function: Function, event: Any) -> None:
        """As Lambda invokes for a schedule: the answer goes to the function's destination."""
        try:
            answer = await self._invoke(function.name, event)
        except _FAILURES as error:
            logger.error("%s, invoked by its schedule: %s", function.name, error)
            return
        if function.on_success is not None:
            self.send(function.on_success, json.dumps(_success(function.name, event, answer)))

    async def _on_messages(self, function: Function, queue: Queue) -> None:
        waiting = self._queues[queue.name]
        # Of a queue that keeps the order, what comes before the messages that wait.
        first: list[Message] = []
        while True:
            batch = first or [await waiting.get()]
            while not waiting.empty() and len(batch) < queue.batch_size:
                batch.append(waiting.get_nowait())
            batch = [one._replace(received=one.received + 1) for one in batch]
            again = []
            for message in await self._failed(function, queue, batch):
                if message.received < queue.most_receives:
                    again.append(message)
                else:
                    logger.error("%s: given up on %s", queue.name, message.body)
            first = again if queue.fifo else []
            if first:
                await asyncio.sleep(RETRY_SECONDS)
            for message in () if queue.fifo else again:
                asyncio.get_running_loop().call_later(RETRY_SECONDS, waiting.put_nowait, message)

    async def _failed(
        self, function: Function, queue: Queue, batch: list[Message]
    ) -> list[Message]:
        """The messages of a batch that are to be delivered again."""
        event = {"Records": [_record(queue.name, message) for message in batch]}
        try:
            answer = await self._invoke(function.name, event)
            failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        except (*_FAILURES, KeyError, TypeError) as error:
            logger.error("%s, invoked by %s: %r", function.name, queue.name, error)
            return batch
        return [message for message in batch if message.id in failed]


async def _for_ever(work: Callable[[], Awaitable[None]]) -> None:
    """Do what never ends, and begin again when it fails."""
    while True:
        try:
            await work()
        # One trigger's failure must not end the trigger for the rest of the run.
        except Exception as error:  # noqa: BLE001
            logger.error("a trigger failed and begins again: %r", error)
        await asyncio.sleep(RETRY_SECONDS)


def _success(name: str, event: Any, answer: Any) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html"""
    return {
        "version": "1.0",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": f"arn:aws:lambda:local:000000000000:function:{name}:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 1,
        },
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": answer,
    }


def md5_of(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def _record(queue: str, message: Message) -> dict[str, Any]:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""
    return {
        "messageId": message.id,
        "receiptHandle": message.id,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.received),
            "SentTimestamp": str(message.sent_milliseconds),
            **({} if message.group is None else {"MessageGroupId": message.group}),
        },
        "messageAttributes": {
            name: {"stringValue": of["StringValue"], "dataType": of["DataType"]}
            for name, of in message.attributes.items()
        },
        "md5OfBody": md5_of(message.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:local:000000000000:{queue}",
        "awsRegion": "local",
    }
