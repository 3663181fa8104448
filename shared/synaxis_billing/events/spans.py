"""Spans of LLM calls, as an OpenTelemetry Collector exports them, read as usage events.

The traces are OTLP in JSON, the attributes those of the GenAI semantic conventions:
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from synaxis_billing.events.usage_events import TYPE

# Spans of agents and workflows sum up those of their calls, which are charged themselves.
OPERATIONS = {"chat", "text_completion", "generate_content", "embeddings"}
_PREFIX = "gen_ai.usage."
# Names of before, which instrumentations still send.
_RENAMED = {
    "gen_ai.usage.prompt_tokens": "gen_ai.usage.input_tokens",
    "gen_ai.usage.completion_tokens": "gen_ai.usage.output_tokens",
    "gen_ai.system": "gen_ai.provider.name",
}
# The field of a charge from the first of these attributes that a span has.
_FIELDS = {
    "provider": ("gen_ai.provider.name",),
    "model": ("gen_ai.response.model", "gen_ai.request.model"),
    "request_id": ("gen_ai.response.id",),
    "service_tier": ("openai.response.service_tier", "openai.request.service_tier"),
    "team_id": ("synaxis.team_id",),
    "virtual_key_id": ("synaxis.virtual_key_id",),
    "end_user": ("enduser.id", "user.id"),
}
ORGANIZATION = "synaxis.organization"


def is_traces(value: Any) -> bool:
    """Say whether a JSON value is an export of traces."""
    return isinstance(value, dict) and "resourceSpans" in value


def read(traces: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a usage event for each span of an LLM call that counts tokens. What a span lacks, its
    event lacks too, and is refused for."""
    events = []
    for resource, span in _spans(traces):
        attributes = resource | _attributes(span)
        operation = attributes.get("gen_ai.operation.name")
        usage = {name: of for name, of in attributes.items() if name.startswith(_PREFIX)}
        if operation in OPERATIONS and usage:
            events.append(_event(attributes, usage, span))
    return events


def _event(
    attributes: Mapping[str, Any], usage: Mapping[str, Any], span: Mapping[str, Any]
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "description": f"{attributes['gen_ai.operation.name']} (OpenTelemetry)",
        "usage": {"format": "otel", **usage},
    }
    for field, names in _FIELDS.items():
        found = [attributes[name] for name in names if attributes.get(name)]
        data |= {field: found[0]} if found else {}
    event = {
        "specversion": "1.0",
        "type": TYPE,
        "source": f"urn:otel:trace:{span.get('traceId')}",
        "id": span.get("spanId"),
        "subject": attributes.get(ORGANIZATION),
        "time": _time(span.get("endTimeUnixNano")),
        "data": data,
    }
    return {name: of for name, of in event.items() if of is not None}


def _spans(traces: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], Mapping[str, Any]]]:
    """Yield each span, with the attributes of what sent it."""
    for sender in _list(traces.get("resourceSpans")):
        resource = _attributes(sender.get("resource") or {})
        for scope in _list(sender.get("scopeSpans")):
            for span in _list(scope.get("spans")):
                yield resource, span


def _attributes(of: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for attribute in _list(of.get("attributes") if isinstance(of, dict) else None):
        value = attribute.get("value")
        name = str(attribute.get("key"))
        found.setdefault(_RENAMED.get(name, name), _value(value if isinstance(value, dict) else {}))
    return found


def _value(value: Mapping[str, Any]) -> Any:
    """Return the value of an attribute: text or a number, of which JSON has 64 bits as text."""
    if "intValue" in value:
        try:
            return int(value["intValue"])
        except (TypeError, ValueError):
            return value["intValue"]
    return next(iter(value.values()), None)


def _time(nanoseconds: Any) -> str | None:
    try:
        return datetime.fromtimestamp(int(nanoseconds) / 1_000_000_000, UTC).isoformat()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _list(value: Any) -> list[dict[str, Any]]:
    return [of for of in value if isinstance(of, dict)] if isinstance(value, list) else []
