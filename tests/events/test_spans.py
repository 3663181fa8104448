"""Which spans of a trace are calls to charge, and what their events say."""

from typing import Any

import pytest

from synaxis_billing.events import spans

TOKENS = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 2}
CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", **TOKENS}
USAGE = {"format": "otel", **TOKENS}


def attributes(of: dict[str, Any]) -> list[dict[str, Any]]:
    def value(content: Any) -> dict[str, Any]:
        # JSON has an integer of 64 bits as text.
        return {"intValue": str(content)} if isinstance(content, int) else {"stringValue": content}

    return [{"key": name, "value": value(content)} for name, content in of.items()]


def trace(*of_spans: dict[str, Any], resource: dict[str, Any] | None = None) -> dict[str, Any]:
    found = [
        {"traceId": "t1", "spanId": f"s{number}", "attributes": attributes(of)}
        for number, of in enumerate(of_spans)
    ]
    sender = {"attributes": attributes(resource or {})}
    return {"resourceSpans": [{"resource": sender, "scopeSpans": [{"spans": found}]}]}


def test_a_call_is_an_event_that_names_what_was_used() -> None:
    call = {**CALL, "gen_ai.provider.name": "openai", "synaxis.team_id": "t", "user.id": "someone"}
    assert spans.read(trace(call, resource={"synaxis.organization": "acme"})) == [
        {
            "specversion": "1.0",
            "type": "com.synaxis.usage.v1",
            "source": "urn:otel:trace:t1",
            "id": "s0",
            "subject": "acme",
            "data": {
                "description": "chat (OpenTelemetry)",
                "usage": USAGE,
                "provider": "openai",
                "model": "gpt-4o",
                "team_id": "t",
                "end_user": "someone",
            },
        }
    ]


@pytest.mark.parametrize(
    ("operation", "counted"),
    [
        *((operation, True) for operation in sorted(spans.OPERATIONS)),
        ("invoke_agent", False),
        ("execute_tool", False),
        ("", False),
    ],
)
def test_only_the_span_of_a_call_is_counted(operation: str, counted: bool) -> None:
    found = spans.read(trace({**CALL, "gen_ai.operation.name": operation}))
    assert len(found) == counted


def test_a_call_that_counts_no_tokens_is_none() -> None:
    assert spans.read(trace({"gen_ai.operation.name": "chat", "server.address": "a"})) == []


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"gen_ai.response.model": "gpt-4o-2024-11-20"}, "model", "gpt-4o-2024-11-20"),
        ({"gen_ai.response.model": ""}, "model", "gpt-4o"),
        ({"gen_ai.system": "azure"}, "provider", "azure"),
        ({"gen_ai.provider.name": "openai", "gen_ai.system": "azure"}, "provider", "openai"),
        ({"gen_ai.usage.prompt_tokens": 99}, "usage", USAGE),
        ({"openai.request.service_tier": "flex"}, "service_tier", "flex"),
    ],
)
def test_an_attribute_has_the_first_of_its_names(
    change: dict[str, Any], field: str, value: object
) -> None:
    [event] = spans.read(trace({**CALL, **change}))
    assert event["data"][field] == value


def test_what_a_span_says_counts_before_what_its_sender_says() -> None:
    named = {**CALL, "synaxis.organization": "its own"}
    [event] = spans.read(trace(named, resource={"synaxis.organization": "the sender's"}))
    assert event["subject"] == "its own"


@pytest.mark.parametrize("odd", [None, "x", 7, ["x"], [None], [7], {}])
def test_what_is_no_span_is_passed_over(odd: object) -> None:
    [known] = trace(CALL)["resourceSpans"]
    for traces in (
        {"resourceSpans": odd},
        {"resourceSpans": [{"resource": odd, "scopeSpans": odd}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": odd}]}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": odd}]}]}]},
    ):
        assert spans.read(traces) == []
    assert len(spans.read({"resourceSpans": [*(odd if isinstance(odd, list) else []), known]})) == 1


@pytest.mark.parametrize(
    ("ended", "time"),
    [
        ("1790000000500000000", "2026-09-21T14:13:20.500000+00:00"),
        ("soon", None),
        (None, None),
        ("9" * 40, None),
    ],
)
def test_the_end_of_a_span_is_the_time_of_the_call(ended: str | None, time: str | None) -> None:
    traces = trace(CALL)
    traces["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["endTimeUnixNano"] = ended
    [event] = spans.read(traces)
    assert event.get("time") == time


def test_a_number_that_is_none_is_left_for_the_event_to_be_refused() -> None:
    traces = trace({**CALL, "gen_ai.usage.input_tokens": 0})
    [found] = [
        of
        for of in traces["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
        if of["key"] == "gen_ai.usage.input_tokens"
    ]
    found["value"] = {"intValue": "many"}
    [event] = spans.read(traces)
    assert event["data"]["usage"]["gen_ai.usage.input_tokens"] == "many"
