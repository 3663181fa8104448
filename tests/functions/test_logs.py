"""Logs say what happened, and nothing of whom or what it was about."""

import json

import pytest

from tests.conftest import Database
from tests.support.events import STATUSES, answers, event, in_process

PERSONAL = {"description", "initiated_by", "name", "address", "reason", "url", "tax"}


def test_nothing_personal_and_no_token_is_logged(
    database: Database,
    other_redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    said: set[str] = set()
    for name in STATUSES:
        body = json.loads(event(name).get("body") or "{}")
        # A batch of usage events is a list of them.
        for item in body if isinstance(body, list) else [body, *body.get("charges", [])]:
            said |= {str(of) for field, of in item.items() if field in PERSONAL}
    assert len(said) > 5
    with in_process(database, other_redis_url, monkeypatch) as invoke:
        found = answers(invoke)
        secret = json.loads(found["create_webhook_endpoint"]["body"])["secret"]
        # Nor does a request that breaks a rule show what it held.
        wrong = event("charge")
        wrong["body"] = json.dumps({"amount_usd": "x", "description": "about Jane", "secret": 1})
        assert invoke("ChargeFunction", wrong)["statusCode"] == 400
    out, err = capfd.readouterr()
    logged = out + err + caplog.text
    assert '"Requests"' in logged
    tokens = [event(name)["pathParameters"]["token"] for name in ("open_document", "pay_by_link")]
    for text in {*said, *tokens, secret, "about Jane", "Bearer", database.app_url}:
        assert text not in logged


@pytest.mark.parametrize("route", ["charge", "charge_batch"])
def test_usage_without_a_price_counts_in_the_metric_of_the_alarm(
    route: str,
    database: Database,
    other_redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    usage = {
        "description": "chat completion",
        "provider": "openai",
        "model": "unheard-of",
        "usage": {"format": "openai", "prompt_tokens": 5, "completion_tokens": 1},
    }
    with in_process(database, other_redis_url, monkeypatch) as invoke:
        answers(invoke)
        asked = event(route)
        body = json.loads(asked["body"])
        items = body.get("charges", [body])
        asked["headers"]["idempotency-key"] = "unpriced"
        for number, item in enumerate(items):
            del item["amount_usd"]
            item.pop("tokens", None)
            item |= usage
            item["request_id"] = f"unpriced {number}"
            if route == "charge_batch":
                item["idempotency_key"] = f"unpriced {number}"
        asked["body"] = json.dumps(body)
        capfd.readouterr()
        answered = invoke("ChargeFunction", asked)
    assert answered["statusCode"] == (202 if route == "charge" else 200)
    counted = [
        json.loads(line) for line in capfd.readouterr().out.splitlines() if "Unpriced" in line
    ]
    assert [line["Unpriced"] for line in counted] == [[float(len(items))]]


def test_a_charge_that_a_budget_refuses_is_counted_by_itself(
    database: Database,
    other_redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with in_process(database, other_redis_url, monkeypatch) as invoke:
        for function, name in (("Account", "create_organization"), ("Topup", "topup")):
            invoke(f"{function}Function", event(name))
        budget = event("create_budget")
        limit = {"subject": "organization", "window": "month", "limit_usd": "0.001", "mode": "hard"}
        budget["body"] = json.dumps(limit)
        assert invoke("AccountFunction", budget)["statusCode"] == 201
        capfd.readouterr()
        assert invoke("ChargeFunction", event("charge"))["statusCode"] == 402
    [line] = [line for line in capfd.readouterr().out.splitlines() if '"Refused"' in line]
    assert json.loads(line)["BudgetRefusals"] == [1.0]
