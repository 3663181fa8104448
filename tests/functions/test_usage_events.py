"""Usage events come as CloudEvents over HTTP, one or a batch, by the media type."""

import json
import time
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest

from tests.support.running import Client, wait_until

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def post(api: Client, body: Any, media_type: str) -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    return api.http.post("/v1/usage-events", content=content, headers={"content-type": media_type})


def event(subject: str, id_: str, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "com.synaxis.usage.v1",
        "source": "tests",
        "id": id_,
        "subject": subject,
        "data": {"amount_usd": "1", "description": "chat completion"},
        **more,
    }


def test_one_event_and_a_batch_are_answered_as_a_batch_of_charges(api: Client) -> None:
    path = api.new_organization("10")
    subject = path.rpartition("/")[2]
    answer = post(api, event(subject, "1"), f"{STRUCTURED}; charset=utf-8")
    assert answer.status_code == 200, answer.text
    [charged] = answer.json()["results"]
    assert (charged["status"], charged["replayed"]) == (201, False)
    answer = post(api, [event(subject, "1"), event(subject, "2"), event("nobody", "3")], BATCH)
    first, second, third = answer.json()["results"]
    assert (first["status"], first["replayed"]) == (201, True)
    assert first["transaction"] == charged["transaction"]
    assert (second["status"], third["status"]) == (201, 404)
    assert third["error"]["code"] == "organization_not_found"
    assert api.get(f"{path}/balance").json()["balance_usd"] == "8.00"


def test_tokens_are_priced(api: Client) -> None:
    name = f"model-{uuid4()}"
    rates = [{"bucket": bucket, "usd_per_million": "1000"} for bucket in ("input", "output")]
    price = {
        "provider": "p",
        "model": name,
        "effective_from": "2026-01-01T00:00:00Z",
        "rates": rates,
    }
    assert (made := api.post("/v1/prices", price)).status_code == 201, made.text
    subject = api.new_organization("10").rpartition("/")[2]
    usage = {"format": "otel", "gen_ai.usage.input_tokens": 500}
    data = {"description": "chat", "provider": "p", "model": name, "usage": usage}
    [charged] = post(api, event(subject, "1", data=data), STRUCTURED).json()["results"]
    assert charged["transaction"]["amount_usd"] == "-0.50"


def test_an_event_that_is_too_late_is_in_the_list(api: Client) -> None:
    path = api.new_organization("10")
    subject = path.rpartition("/")[2]
    late = event(subject, "late", time="2020-01-01T00:00:00Z")
    [result] = post(api, late, STRUCTURED).json()["results"]
    assert (result["status"], result["error"]["code"]) == (422, "event_too_late")
    own = api.other("billing:read", subject)
    [entry] = own.get("/v1/usage-events/refused").json()["items"]
    assert (entry["event"], entry["code"]) == (late, "event_too_late")
    assert own.get("/v1/usage-events/refused", limit=0).status_code == 400
    other = api.new_organization().rpartition("/")[2]
    theirs = api.other("billing:read", other)
    assert theirs.get("/v1/usage-events/refused").json()["items"] == []


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ([], BATCH),
        ([{}] * 1001, BATCH),
        ({}, BATCH),
        ([{}], STRUCTURED),
        ("{", STRUCTURED),
        ("[" * 3000, BATCH),
        ('[{"id": "1", "id": "2"}]', BATCH),
        ({}, "application/json"),
        ({}, "text/plain"),
    ],
)
def test_what_is_no_batch_is_refused_as_a_whole(api: Client, body: Any, media_type: str) -> None:
    refused = post(api, body, media_type)
    assert refused.status_code == 400, refused.text
    assert refused.json()["code"] == "invalid_request"


def test_a_whole_batch_is_taken(api: Client) -> None:
    path = api.new_organization("2000")
    subject = path.rpartition("/")[2]
    answer = post(api, [event(subject, f"{n}") for n in range(1000)], BATCH)
    assert {result["status"] for result in answer.json()["results"]} == {201}
    assert api.get(f"{path}/balance").json()["balance_usd"] == "1000.00"


def test_a_request_goes_into_the_queue_without_a_function(api: Client) -> None:
    path = api.new_organization("10")
    subject = path.rpartition("/")[2]
    events = [event(subject, "1"), event(subject, "2"), event(subject, "1")]
    for sent in ([events[0], events[1]], events[2], "no JSON"):
        body = sent if isinstance(sent, str) else json.dumps(sent)
        answer = api.http.post(f"{path}/usage-events", content=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["SendMessageResponse"]["MessageId"]
    wait_until(lambda: api.get(f"{path}/balance").json()["balance_usd"] == "8.00")
    # The machine of one organization may not use it: the event's subject is read behind the queue.
    assert api.other("billing:charge", subject).post(f"{path}/usage-events", {}).status_code == 403
    # A token that may not charge is found behind the queue.
    reader = api.other("billing:platform billing:read")
    assert reader.post(f"{path}/usage-events", event(subject, "3")).status_code == 200
    wait_until(lambda: "forbidden" in codes(api))
    assert api.get(f"{path}/balance").json()["balance_usd"] == "8.00"


def codes(api: Client) -> list[str]:
    listed = api.get("/v1/usage-events/refused", limit=100).json()["items"]
    return [entry["code"] for entry in listed]


def test_a_sender_of_aws_puts_messages_into_the_queue(api: Client) -> None:
    path = api.new_organization("10")
    subject = path.rpartition("/")[2]
    queues = f"{api.url}/_local/sqs"
    sqs = boto3.client(
        "sqs",
        endpoint_url=queues,
        region_name="local",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    url = f"{queues}/000000000000/UsageQueue"
    sqs.send_message(
        QueueUrl=url, MessageBody=json.dumps(event(subject, "1")), MessageGroupId=subject
    )
    entries = [
        {"Id": f"{n}", "MessageBody": json.dumps(event(subject, f"{n}")), "MessageGroupId": subject}
        for n in (2, 3)
    ]
    assert len(sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 2
    wait_until(lambda: api.get(f"{path}/balance").json()["balance_usd"] == "7.00")


def span(id_: str, **attributes: Any) -> dict[str, Any]:
    known = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.id": f"chatcmpl-{id_}",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.usage.cache_read.input_tokens": 400,
    }
    return {
        "traceId": uuid4().hex,
        "spanId": id_,
        "endTimeUnixNano": f"{time.time_ns()}",
        "attributes": _otlp({**known, **attributes}),
    }


def _otlp(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": f"{of}"} if isinstance(of, int) else {"stringValue": of}}
        for key, of in attributes.items()
        if of is not None
    ]


def export(api: Client, organization: str, *spans: dict[str, Any]) -> httpx.Response:
    resource = {"attributes": _otlp({"synaxis.organization": organization, "service.name": "app"})}
    sent = {"resource": resource, "scopeSpans": [{"spans": list(spans)}]}
    return api.post("/v1/usage-events/otlp/v1/traces", {"resourceSpans": [sent]})


def test_spans_of_llm_calls_are_charged_once(api: Client) -> None:
    name = f"model {uuid4()}"
    prices = {"input": "10", "cache_read": "1", "output": "100"}
    rates = [{"bucket": bucket, "usd_per_million": of} for bucket, of in prices.items()]
    price = {"provider": "openai", "model": name, "effective_from": "2026-01-01T00:00:00Z"}
    assert api.post("/v1/prices", {**price, "rates": rates}).status_code == 201
    path = api.new_organization("10")
    subject = path.rpartition("/")[2]
    call = span("c1", **{"gen_ai.response.model": name, "synaxis.team_id": "red"})
    # The span of an agent sums up its calls; that of a tool has no tokens.
    agent = span("a1", **{"gen_ai.response.model": name, "gen_ai.operation.name": "invoke_agent"})
    tool = {"traceId": "t", "spanId": "x", "attributes": _otlp({"http.request.method": "GET"})}
    again = {**span("c2", **{"gen_ai.response.model": name, "gen_ai.response.id": "chatcmpl-c1"})}
    for _ in range(2):
        answer = export(api, subject, call, agent, tool)
        assert answer.status_code == 200, answer.text
        success = {"rejectedSpans": "0", "errorMessage": ""}
        assert answer.json() == {"partialSuccess": success}
    # Instrumented twice, a call has two spans and one response.
    assert export(api, subject, again).status_code == 200
    [charge] = api.get(f"{path}/transactions", type="charge").json()["items"]
    # 600 of input, 400 from the cache, 100 of output.
    assert charge["amount_usd"] == "-0.0164"
    assert (charge["model"], charge["team_id"], charge["request_id"]) == (
        name,
        "red",
        "chatcmpl-c1",
    )
    assert charge["occurred_at"] is not None


def test_a_span_that_cannot_be_charged_is_in_the_list(api: Client) -> None:
    path = api.new_organization("10")
    subject = path.rpartition("/")[2]
    nameless = span("n1", **{"gen_ai.request.model": None})
    answer = export(api, subject, nameless).json()["partialSuccess"]
    assert answer["rejectedSpans"] == "1"
    assert "`" in answer["errorMessage"]
    own = api.other("billing:read", subject)
    [entry] = own.get("/v1/usage-events/refused").json()["items"]
    assert entry["event_id"] == "n1"
    assert entry["error"]["errors"][0]["detail"] == "is required"


def test_old_names_of_attributes_are_read(api: Client) -> None:
    path = api.new_organization("10")
    subject = path.rpartition("/")[2]
    now = ("gen_ai.provider.name", "gen_ai.usage.input_tokens")
    old = span("o1", **dict.fromkeys([*now, "gen_ai.usage.cache_read.input_tokens"]))
    old["attributes"] += _otlp({"gen_ai.system": "nobody", "gen_ai.usage.prompt_tokens": 5})
    assert export(api, subject, old).json()["partialSuccess"]["rejectedSpans"] == "0"
    waiting = api.get("/v1/unpriced-usage", limit=100).json()["items"]
    [kept] = [usage for usage in waiting if usage["organization_id"] == subject]
    assert (kept["provider"], kept["usage"]["output"]) == ("nobody", 100)
