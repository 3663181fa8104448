"""An invocation of a function: what happens at the beginning and at the end of each."""

import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

Event = dict[str, Any]
Handler = Callable[[Event, LambdaContext], Any]

logger = Logger()
metrics = Metrics()
_begin: list[Callable[[], None]] = []
_end: list[Callable[[], None]] = []


def register(*, begin: Callable[[], None], end: Callable[[], None]) -> None:
    """Have every invocation of this process call `begin` before it and `end` after it."""
    _begin.append(begin)
    _end.append(end)


@contextmanager
def invocation() -> Iterator[None]:
    """Enter an invocation."""
    for begin in _begin:
        begin()
    try:
        yield
    finally:
        for end in _end:
            end()


def write_metrics(counts: dict[str, int], **metadata: str | int) -> None:
    """Write one line, which CloudWatch reads as a log and as metrics: these counts, and what was
    added to `metrics` meanwhile.

    It has the form of `metrics.flush_metrics()`, which takes five times as long: every request
    writes such a line.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    units: dict[str, str] = dict.fromkeys(counts, "Count")
    values: dict[str, Any] = {name: [count] for name, count in counts.items()}
    for name, metric in metrics.metric_set.items():
        units[name], values[name] = metric["Unit"], metric["Value"]
    described = {
        "Namespace": metrics.namespace,
        "Dimensions": [["service"]],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit in units.items()],
    }
    line = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [described]},
        "service": metrics.service,
        **metadata,
        **metrics.metadata_set,
        **values,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    if metrics.metric_set or metrics.metadata_set:
        metrics.clear_metrics()


def task(handle: Handler) -> Handler:
    """Return the Lambda handler of a schedule's, queue's or operator's event: its logs carry the
    request's id, its metrics are written when it ends."""

    @functools.wraps(handle)
    def handler(event: Event, context: LambdaContext) -> Any:
        logger.set_correlation_id(context.aws_request_id)
        try:
            with invocation():
                return handle(event, context)
        finally:
            # Powertools warns when there are no metrics to write.
            if metrics.metric_set:
                metrics.flush_metrics()

    return handler
