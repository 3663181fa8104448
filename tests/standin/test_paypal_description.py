"""What is sent to PayPal, and what the stand-in answers in its place, follows PayPal's own OpenAPI
description: https://github.com/paypal/paypal-rest-api-specifications

PAYPAL_OPENAPI names the folder `openapi` of a checkout of it.
"""

import itertools
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import jsonschema
import pytest

from local.payments.server import Standin
from synaxis_billing import web
from synaxis_billing.payments import paypal
from synaxis_billing.payments.providers import Delivery, Order, RefundOrder, Refused
from synaxis_billing.payments.wire import send
from tests.support.receiver import Receiver

FOLDER = os.environ.get("PAYPAL_OPENAPI")
FILES = (
    "checkout_orders_v2",
    "payments_payment_v2",
    "customer_disputes_v1",
    "notifications_webhooks_v1",
)
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="PAYPAL_OPENAPI names no folder with PayPal's description"
)


class Exchange(NamedTuple):
    """A request of ours, and the answer of the stand-in."""

    method: str
    path: str
    asked: Any
    status: int
    answered: Any


class Description:
    """The operations of PayPal's API."""

    def __init__(self, folder: Path) -> None:
        self._documents = [json.loads((folder / f"{name}.json").read_text()) for name in FILES]

    def mistakes(self, exchange: Exchange) -> Iterator[str]:
        document, operation = self._operation(exchange)
        asked = operation.get("requestBody")
        if asked and exchange.asked is not None:
            yield from self._mistakes(document, asked, exchange.asked, "request")
        responses = operation["responses"]
        described = responses.get(str(exchange.status))
        if described is None:
            assert exchange.status >= 400, f"{exchange.status} is not described"
            described = responses["default"]
        yield from self._mistakes(document, described, exchange.answered, "answer")

    def _operation(self, exchange: Exchange) -> tuple[Any, Any]:
        for document in self._documents:
            for template, methods in document["paths"].items():
                pattern = re.sub(r"\{[^}]+\}", "[^/]+", template)
                if re.fullmatch(pattern, exchange.path) and exchange.method.lower() in methods:
                    return document, methods[exchange.method.lower()]
        raise AssertionError(f"PayPal has no {exchange.method} {exchange.path}")

    def _mistakes(self, document: Any, part: Any, value: Any, side: str) -> Iterator[str]:
        part = _resolved(document, part)
        schema = part.get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            return
        # A reference is looked up from the root.
        rooted = {**document, "allOf": [schema]}
        for error in jsonschema.Draft4Validator(rooted).iter_errors(value):
            yield f"{side} {error.json_path}: {error.message[:200]}"
        for path in _unnamed(document, schema, value, "$"):
            if path.endswith(".captures[0].supplementary_data"):
                # The description of captures names it, that of orders does not.
                continue
            yield f"{side} {path}: PayPal names no such member"


def _resolved(document: Any, schema: Any) -> Any:
    while "$ref" in schema:
        found = document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        schema = found
    return schema


def _properties(document: Any, schema: Any) -> dict[str, list[Any]]:
    """The schemas of each member that a schema, or one of its parts, names."""
    schema = _resolved(document, schema)
    found = {name: [of] for name, of in schema.get("properties", {}).items()}
    for part in itertools.chain(*(schema.get(kind, []) for kind in ("allOf", "anyOf", "oneOf"))):
        for name, schemas in _properties(document, part).items():
            found.setdefault(name, []).extend(schemas)
    return found


def _unnamed(document: Any, schema: Any, value: Any, path: str) -> Iterator[str]:
    """The members of a value that the description does not name."""
    if isinstance(value, list):
        items = _resolved(document, schema).get("items", {})
        for number, item in enumerate(value):
            yield from _unnamed(document, items, item, f"{path}[{number}]")
    if isinstance(value, dict) and (named := _properties(document, schema)):
        for name, member in value.items():
            if name not in named:
                yield f"{path}.{name}"
            else:
                one_of = {"allOf": named[name]} if len(named[name]) > 1 else named[name][0]
                yield from _unnamed(document, one_of, member, f"{path}.{name}")


@pytest.fixture
def exchanges(monkeypatch: pytest.MonkeyPatch) -> list[Exchange]:
    """What our client sends, and is answered."""
    found: list[Exchange] = []

    def record(method: str, url: str, headers: dict[str, str], body: bytes = b"") -> web.Response:
        answer = send(method, url, headers, body)
        path = urlsplit(url).path
        if path != "/v1/oauth2/token":
            asked = json.loads(body) if body else None
            answered = json.loads(answer.body or b"{}")
            found.append(Exchange(method, path, asked, answer.status, answered))
        return answer

    monkeypatch.setattr(paypal, "send", record)
    return found


def new_order(**more: Any) -> Order:
    now = datetime.now(UTC)
    return Order.model_validate(
        {
            "as_of": now,
            "id": uuid4(),
            "organization_id": uuid4(),
            "status": "pending",
            "purpose": "topup",
            "provider": "paypal",
            "name": "Acme",
            "email": None,
            "currency": "EUR",
            "amount": "25.00",
            "minor_units": 2,
            "return_url": "https://example.com/back",
            "external_id": None,
            "customer_id": None,
            "payment_method_id": None,
            "created_at": now,
            "refunds": [],
            **more,
        }
    )


def refund(amount: str) -> RefundOrder:
    return RefundOrder(
        id=uuid4(),
        status="pending",
        amount=Decimal(amount),
        external_id=None,
        created_at=datetime.now(UTC),
    )


def test_requests_and_answers_follow_the_description_of_paypal(
    standin: Standin, receiver: Receiver, exchanges: list[Exchange]
) -> None:
    secrets = standin.secrets
    account = paypal.PayPal(
        standin.url,
        secrets.paypal_client_id,
        secrets.paypal_client_secret,
        secrets.paypal_webhook_id,
    )
    order = new_order()
    page = account.check_out(order)
    order = order.model_copy(update={"external_id": page.external_id})
    assert account.ask(order).status == "pending"
    assert httpx.post(page.url, data={"funding": "balance"}).status_code == 303
    assert account.ask(order).status == "succeeded"
    asked = refund("5.00")
    account.refund(order, asked)
    state = account.ask(order.model_copy(update={"refunds": [asked]}))
    assert (state.refunded, state.refunds[0].status) == (Decimal(5), "succeeded")
    disputed = httpx.post(f"{standin.url}/_standin/dispute", json={"payment": page.external_id})
    assert account.ask(order).dispute_state == "open"
    [dispute_id] = [one for one in account.ask(order).external_ids if one.startswith("PP-")]
    lost = {"dispute": dispute_id, "outcome": "lost"}
    httpx.post(f"{standin.url}/_standin/close", json=lost).raise_for_status()
    assert disputed.status_code < 300
    assert account.ask(order).dispute_state == "lost"
    with pytest.raises(Refused):
        account.refund(order, refund("5000.00"))
    assert account.ask(new_order(external_id="5O190127TN364715T")).status == "expired"
    standin.deliveries.release()
    for received in receiver.received:
        delivery = Delivery(
            body=received.body.encode(), headers=received.headers, received_at=datetime.now(UTC)
        )
        account.verify(delivery)
    assert {exchange.status for exchange in exchanges} >= {200, 201, 404, 422}
    description = Description(Path(str(FOLDER)))
    mistakes = [
        f"{exchange.method} {exchange.path} {exchange.status}: {mistake}"
        for exchange in exchanges
        for mistake in description.mistakes(exchange)
    ]
    found = "\n".join(sorted(set(mistakes)))
    assert found == ""
