"""Usage events of one organization through the consumer of the queue, beside its single charges
through the function of the API: each the whole function, with one connection, in turns."""

import contextlib
import io
import itertools
import json
import os
import random
import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

from bench.rates import USAGE
from local.template import ROOT, read

# Of a FIFO queue's batch, and of one message of it.
MESSAGES, EVENTS = 10, 100
SLICE_SECONDS = 1.0
_CONTEXT = SimpleNamespace(
    function_name="bench",
    memory_limit_in_mb=512,
    invoked_function_arn="arn",
    aws_request_id="request",
)


class Found(NamedTuple):
    """Charges a second, and the median of the turns' ratios."""

    queued: float
    single: float
    ratio: float


class _Kind(NamedTuple):
    """A function, its events, and how many charges each event has."""

    event: Callable[[], dict[str, Any]]
    function: Callable[[dict[str, Any], Any], Any]
    took_all: Callable[[Any], bool]
    charges: int


def measure(app_url: str, organization_id: UUID, rounds: int) -> Found:
    os.environ |= {
        "DATABASE_URL": app_url,
        "POWERTOOLS_METRICS_NAMESPACE": "bench",
        "POWERTOOLS_SERVICE_NAME": "bench",
    }
    functions = read({}).functions
    consume, charge = (
        functions[name].load().handler for name in ("UsageEventsFunction", "ChargeFunction")
    )
    numbers = itertools.count(time.time_ns())
    kinds = {
        "queue": _Kind(
            lambda: _batch(organization_id, numbers),
            consume,
            lambda answer: bool(answer == {"batchItemFailures": []}),
            MESSAGES * EVENTS,
        ),
        "single": _Kind(
            lambda: _request(organization_id, next(numbers)),
            charge,
            lambda answer: bool(answer["statusCode"] == 201),
            1,
        ),
    }
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in random.sample(list(kinds), len(kinds)):
            with contextlib.redirect_stdout(io.StringIO()):
                rates[kind].append(_per_second(kinds[kind]))
    ratios = [one / other for one, other in zip(rates["queue"], rates["single"], strict=True)]
    queued, alone = (statistics.median(rates[kind]) for kind in ("queue", "single"))
    return Found(queued, alone, statistics.median(ratios))


def _per_second(kind: _Kind) -> float:
    """Return the charges a second, without the time in which the events are written."""
    took, done = 0.0, 0
    while took < SLICE_SECONDS:
        event = kind.event()
        began = time.perf_counter()
        answer = kind.function(event, _CONTEXT)
        took += time.perf_counter() - began
        assert kind.took_all(answer)
        done += kind.charges
    return done / took


def _batch(organization_id: UUID, numbers: "itertools.count[int]") -> dict[str, Any]:
    def event() -> dict[str, Any]:
        number = next(numbers)
        return {
            "specversion": "1.0",
            "type": "com.synaxis.usage.v1",
            "source": "bench",
            "id": f"{number}",
            "subject": str(organization_id),
            "data": {**USAGE, "request_id": f"event {number}"},
        }

    known = json.loads((ROOT / "events" / "usage_queue.json").read_text())["Records"][0]
    bodies = [json.dumps([event() for _ in range(EVENTS)]) for _ in range(MESSAGES)]
    records = [
        {**known, "messageId": f"{place}", "body": body} for place, body in enumerate(bodies)
    ]
    return {"Records": records}


def _request(organization_id: UUID, number: int) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / "charge.json").read_text())
    path = f"/v1/organizations/{organization_id}/charges"
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["pathParameters"] = {"organization_id": str(organization_id)}
    event["headers"]["idempotency-key"] = f"single {number}"
    event["body"] = json.dumps({**USAGE, "request_id": f"single {number}"})
    return event
