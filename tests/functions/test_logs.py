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
        for item in [body, *body.get("charges", [])]:
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
    for text in {*said, secret, "about Jane", "Bearer", database.app_url}:
        assert text not in logged
