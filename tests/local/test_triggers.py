"""Schedules and queues invoke functions as AWS does: again and again until a message is done."""

import asyncio
import json
import selectors
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.pool import FunctionError
from local.template import Function, Queue, Template, read
from local.triggers import FIRST_SECONDS, Triggers
from tests.support import asynchronous

QUEUE = Queue("Jobs", batch_size=3, most_receives=3)


def _template(**function: Any) -> Template:
    worker = Function("Worker", Path(), "app.handler", 2, 512, {}, [], queues=("Jobs",))
    return Template({"Worker": worker._replace(**function)}, {"Jobs": QUEUE}, "", "")


class _Leaping(selectors.DefaultSelector):
    """Adds up the time that it should wait, and does not wait."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.passed += timeout or 0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only while it waits, and then at once."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.passed


SECONDS = 200


def _run(template: Template, answer: Callable[[Any], Any], *sent: str) -> list[Any]:
    """The events that the function got within SECONDS of the loop's clock."""
    events = []

    async def invoke(_name: str, event: Any) -> Any:
        events.append(event)
        return answer(event)

    async def run() -> None:
        running = Triggers(template, invoke)
        for body in sent:
            running.send("Jobs", body)
        running.start()
        await asyncio.sleep(SECONDS)
        await running.stop()

    asynchronous.run(run(), loop_factory=_Loop)
    return events


def _bodies(events: list[Any]) -> list[list[str]]:
    return [[record["body"] for record in event["Records"]] for event in events]


def test_messages_come_in_batches_and_those_that_failed_come_again() -> None:
    def answer(event: Any) -> Any:
        bad = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
        return {"batchItemFailures": [{"itemIdentifier": one} for one in bad]}

    events = _run(_template(), answer, "a", "bad", "c", "d")
    assert _bodies(events) == [["a", "bad", "c"], ["d"], ["bad"], ["bad"]]
    counts = [event["Records"][-1]["attributes"]["ApproximateReceiveCount"] for event in events]
    assert counts == ["1", "1", "2", "3"]


def test_a_queue_that_keeps_the_order_delivers_what_failed_first() -> None:
    tries = iter([True, False])

    def answer(event: Any) -> Any:
        fails = next(tries, False)
        failed = [record["messageId"] for record in event["Records"][1:] if fails]
        return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}

    queue = QUEUE._replace(fifo=True)
    events = _run(_template()._replace(queues={"Jobs": queue}), answer, "a", "b", "c", "d", "e")
    assert _bodies(events) == [["a", "b", "c"], ["b", "c", "d"], ["e"]]


def test_a_function_that_fails_gets_all_of_its_batch_again_until_it_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_event: Any) -> Any:
        raise FunctionError("boom")

    assert _bodies(_run(_template(), fail, "a", "b")) == [["a", "b"]] * 3
    assert "Jobs: given up on a" in caplog.text


def test_a_schedules_answer_goes_to_the_queue_of_its_function() -> None:
    template = _template(schedules_seconds=(60,), on_success="Jobs")
    events = _run(template, lambda event: {"batchItemFailures": [], "got": event.get("source")})
    assert events[0]["source"] == "aws.scheduler"
    envelope = json.loads(events[1]["Records"][0]["body"])
    assert envelope["responsePayload"]["got"] == "aws.scheduler"
    assert envelope["requestContext"]["condition"] == "Success"


def _times(**function: Any) -> list[float]:
    """The times, by the loop's clock, at which a schedule of a minute invokes a function."""
    times: list[float] = []

    def answer(event: Any) -> Any:
        if event.get("source") == "aws.scheduler":
            times.append(asyncio.get_running_loop().time())
        return {"batchItemFailures": []}

    _run(_template(schedules_seconds=(60,), **function), answer)
    return times


def test_a_schedule_begins_soon_after_the_start_and_at_once_if_a_queue_waits_for_its_result() -> (
    None
):
    assert _times() == pytest.approx([FIRST_SECONDS + 60 * number for number in range(3)], abs=1)
    assert _times(on_success="Jobs") == pytest.approx([0, 60, 120, 180], abs=1)


def test_the_templates_queues_and_schedules_are_found() -> None:
    template = read({})
    assert template.functions["FxFetchFunction"].schedules_seconds == (3600,)
    assert template.functions["FxFetchFunction"].on_success == "FetchedRatesQueue"
    assert template.functions["FxStoreFunction"].queues == ("FetchedRatesQueue",)
    assert template.queues["FetchedRatesQueue"].most_receives == 5
    assert template.queues["UsageQueue"].fifo
    # A time of day is for AWS alone.
    assert template.functions["UpkeepFunction"].schedules_seconds == ()
