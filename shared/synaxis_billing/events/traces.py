"""Traces that an OpenTelemetry Collector sends by itself: OTLP over HTTP, in JSON."""

from collections.abc import Callable
from typing import Any

import psycopg
from pydantic import ConfigDict, Field

from synaxis_billing.caller import Caller
from synaxis_billing.errors import TemporarilyUnavailable
from synaxis_billing.events import ingest
from synaxis_billing.fields import Answer, Request
from synaxis_billing.ledger import charges

_SOURCE = "otlp"


class Traces(Request):
    """An export of traces (OTLP)."""

    model_config = ConfigDict(extra="ignore", title="Traces")

    resource_spans: list[dict[str, Any]] = Field(alias="resourceSpans")
    """The spans, by what sent them."""


class PartialSuccess(Answer):
    """What was not charged."""

    rejected_spans: str = Field(serialization_alias="rejectedSpans")
    """Number of spans that were refused; a whole number as text."""
    error_message: str = Field(serialization_alias="errorMessage")
    """Reason of the first of them."""


class TracesAnswer(Answer):
    """The answer to an export of traces."""

    partial_success: PartialSuccess = Field(serialization_alias="partialSuccess")
    """What was not charged; it is listed among the refused usage events."""


def take(
    connect: Callable[[], psycopg.Connection], caller: Caller, traces: Traces
) -> tuple[TracesAnswer, list[charges.Accepted | charges.Refused]]:
    """Charge the LLM calls among the spans of an export; return the answer, and what
    became of each.

    Raises TemporarilyUnavailable if some were not taken: the whole export may be sent again.
    """
    message = ingest.Message("traces", _SOURCE, "", {"resourceSpans": traces.resource_spans})
    taken = ingest.consume(connect, caller, [message])
    if taken.errors:
        raise taken.errors[0]
    if taken.failed:
        raise TemporarilyUnavailable
    refused = [result for result in taken.results if isinstance(result, charges.Refused)]
    text = str(refused[0].error["detail"]) if refused else ""
    success = PartialSuccess(rejected_spans=str(len(refused)), error_message=text)
    return TracesAnswer(partial_success=success), taken.results
