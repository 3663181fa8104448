"""An answer is at most what Lambda returns: a request that would get more is refused before
anything is changed."""

import json
import uuid
from typing import Any

import psycopg
import pytest

from synaxis_billing.edge import database
from synaxis_billing.edge.http import api as http_api
from synaxis_billing.errors import InvalidRequest
from tests.support.running import Client

LAMBDA_BYTES = 6 * 1024 * 1024
# Six bytes a letter in an answer that is text within JSON; and letters of three and four bytes.
TEXTS = {"control": "\x01", "quotes": '"', "three": "水", "four": "😀"}


def item(organization: str, **more: Any) -> dict[str, Any]:
    return {
        "organization_id": organization.rpartition("/")[2],
        "idempotency_key": str(uuid.uuid4()),
        "amount_usd": "0.01",
        "description": "chat",
        **more,
    }


def spent(api: Client, organization: str) -> int:
    """How many charges there are, at a cent each."""
    balance = api.get(f"{organization}/balance").json()["balance_usd"]
    return round((100 - float(balance)) * 100)


@pytest.mark.parametrize("letter", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("megabytes", [3.0, 4.5, 5.4, 5.8])
def test_a_batch_is_answered_whole_or_refused_before_a_charge(
    api: Client, letter: str, megabytes: float
) -> None:
    organization = api.new_organization("100")
    of_each = len(json.dumps(json.dumps(letter, ensure_ascii=False), ensure_ascii=False).encode())
    of_each -= len(json.dumps(json.dumps("")))
    count = min(1000, int(megabytes * 1024 * 1024 / (of_each * 2000 + 200)))
    charges = [item(organization, description=letter * 2000) for _ in range(count)]
    text = json.dumps({"charges": charges}, ensure_ascii=False)
    headers = {"content-type": "application/json"}
    answer = api.http.post("/v1/charges/batch", content=text.encode(), headers=headers)
    if answer.status_code == 200:
        assert len(json.dumps(answer.text, ensure_ascii=False).encode()) < LAMBDA_BYTES
        assert {one["status"] for one in answer.json()["results"]} == {201}
        assert spent(api, organization) == count
    else:
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
        assert "fewer charges" in answer.json()["detail"]
        assert spent(api, organization) == 0
    assert answer.status_code == 200 or megabytes > 3


def test_the_mistakes_of_a_batch_are_answered_or_it_is_refused_before_a_charge(
    api: Client,
) -> None:
    organization = api.new_organization("100")
    wrong = {f"f{number}": 1 for number in range(100)}
    for count, status in ((100, 200), (999, 413)):
        charges = [item(organization)] + [item(organization, **wrong) for _ in range(count)]
        answer = api.post("/v1/charges/batch", {"charges": charges})
        assert answer.status_code == status, answer.text[:300]
    assert spent(api, organization) == 1


def test_a_price_list_that_is_refused_in_many_words_is_answered(api: Client) -> None:
    prices = {f"{number:05}{'😀' * 100}": {"a" * 60: "1"} for number in range(9000)}
    body = {
        "format": "litellm",
        "effective_from": "2030-01-01T00:00:00Z",
        "prices": prices,
        "dry_run": True,
    }
    text = json.dumps(body, ensure_ascii=False).encode()
    headers = {"content-type": "application/json"}
    answer = api.http.post("/v1/prices/import", content=text, headers=headers)
    assert answer.status_code == 200, answer.text[:300]
    assert 100 < len(answer.json()["refused"]) < 9000


def test_what_the_driver_cannot_send_is_refused_and_keeps_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    discarded: list[None] = []
    monkeypatch.setattr(database, "discard", lambda: discarded.append(None))
    with pytest.raises(psycopg.DataError) as raised:
        psycopg.adapt.Transformer().get_dumper("", psycopg.adapt.PyFormat.TEXT).dump("a\0b")
    refused = http_api._refusal_of(raised.value, "request")
    assert isinstance(refused, InvalidRequest)
    assert discarded == []
