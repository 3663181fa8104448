"""Functions in the network of the database call providers by a function outside of it."""

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.template import read
from synaxis_billing.edge import payments
from synaxis_billing.edge import settings as edge_settings
from synaxis_billing.payments.providers import Call, Result

CALL = Call(provider="stripe", operation="verify", body="e30=", received_at=None)


@pytest.fixture
def invoked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the function outside is invoked with, which answers as it does in Lambda."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    outside = read({}).functions["PaymentCallsFunction"].load().handler
    events: list[Any] = []

    def invoke(FunctionName: str, Payload: bytes) -> dict[str, Any]:
        events.append((FunctionName, json.loads(Payload)))
        answer = outside(json.loads(Payload), SimpleNamespace(aws_request_id="r"))
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}

    monkeypatch.setattr(payments, "_lambda", lambda: SimpleNamespace(invoke=invoke))
    monkeypatch.setenv("PAYMENT_CALLS_FUNCTION", "stack-PaymentCalls")
    edge_settings.settings.cache_clear()
    payments._providers.cache_clear()
    return events


def test_a_call_goes_through_and_its_answer_comes_back(invoked: list[Any]) -> None:
    assert payments.call(CALL) == Result(refused="provider_not_configured")
    [(name, event)] = invoked
    assert name == "stack-PaymentCalls"
    assert Call.model_validate(event) == CALL


@pytest.mark.parametrize("failure", ["throttled", "crashed"])
def test_a_call_that_was_not_answered_may_have_happened(
    invoked: list[Any], monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    def invoke(**_: Any) -> dict[str, Any]:
        if failure == "throttled":
            raise ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke")
        body = io.BytesIO(b'{"errorType": "Runtime.ExitError"}')
        return {"FunctionError": "Unhandled", "Payload": body}

    monkeypatch.setattr(payments, "_lambda", lambda: SimpleNamespace(invoke=invoke))
    assert payments.call(CALL).no_answer
    assert invoked == []
