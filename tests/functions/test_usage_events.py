"""Usage events come as CloudEvents over HTTP, one or a batch, by the media type."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.running import Client

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
