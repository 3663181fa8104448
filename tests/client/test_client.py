"""The client sends what the contract says, again where it says so, and tells what was answered."""

import http.server
import json
import socketserver
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast, override
from uuid import UUID

import httpx
import pytest

from synaxis_billing.webhooks.delivery import Signed, sign
from synaxis_billing_client import AsyncBilling, Billing, ClientCredentials, errors, usd, webhooks
from synaxis_billing_client import models as answers
from synaxis_billing_client.calls import Call, new_key
from tests.client.conftest import Scripted, run_async
from tests.support.running import PATIENCE_SECONDS

ORGANIZATION = "11111111-1111-4111-8111-111111111111"
Script = Callable[..., Scripted]


def created(client: Billing, credit_usd: str = "25.50") -> UUID:
    organization = client.create_organization(name="Acme", billing_currency="USD")
    if Decimal(credit_usd):
        client.create_topup(organization.id, amount_usd=Decimal(credit_usd))
    return organization.id


def transaction(amount_usd: str = "-0.02") -> dict[str, Any]:
    fields = dict.fromkeys(answers.Transaction.model_fields)
    money = {"amount_usd": amount_usd, "balance_before_usd": "1", "balance_after_usd": "0.98"}
    money["drawn_usd"] = "0.00"
    return {
        **fields,
        **money,
        "id": str(uuid.uuid4()),
        "organization_id": ORGANIZATION,
        "transaction_type": "charge",
        "version": 2,
        "hash": "00",
        "created_at": "2026-11-01T00:00:00Z",
    }


def test_a_charge_is_decimal_in_and_out(billing: Billing) -> None:
    organization = created(billing)
    charged = billing.create_charge(
        organization, amount_usd=Decimal("0.00000001"), description="chat", model="gpt-4o"
    )
    assert isinstance(charged, answers.Transaction)
    assert charged.amount_usd == Decimal("-0.00000001")
    assert charged.balance_after_usd == Decimal("25.49999999")
    assert billing.get_balance(organization).available_usd == Decimal("25.49999999")


def test_the_asynchronous_client_does_the_same(url: str, billing: Billing) -> None:
    organization = created(billing)

    async def act(client: AsyncBilling) -> list[Decimal]:
        for _ in range(3):
            await client.create_charge(organization, amount_usd="0.5", description="chat")
        listed = client.list_transactions(organization, limit=2, type="charge")
        return [item.amount_usd async for item in listed]

    assert run_async(url, act) == [Decimal("-0.50")] * 3


def test_the_items_of_all_pages_come_one_after_the_other(billing: Billing) -> None:
    organization = created(billing)
    for _ in range(5):
        billing.create_charge(organization, amount_usd=1, description="chat")
    listed = list(billing.list_transactions(organization, limit=2))
    assert [item.version for item in listed] == [6, 5, 4, 3, 2, 1]


def test_a_refusal_of_credit_tells_the_amounts(billing: Billing) -> None:
    organization = created(billing, "1")
    with pytest.raises(errors.InsufficientCredits) as refused:
        billing.create_charge(organization, amount_usd=3, description="chat")
    assert refused.value.status == 402
    assert refused.value.problem.deficit_usd == Decimal(2)
    assert "credit" in str(refused.value)


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (lambda client, _: client.get_organization(uuid.uuid4()), errors.NotFound),
        (lambda client, of: client.create_charge(of, amount_usd="1"), errors.InvalidRequest),
        (
            lambda client, of: client.create_organization(
                id=str(of), name="Acme", billing_currency="USD"
            ),
            errors.Conflict,
        ),
        (
            lambda client, of: client.create_hold(
                of, usage={"format": "buckets", "input": 1}, provider="nobody", model="none"
            ),
            errors.PriceUnknown,
        ),
    ],
)  # fmt: skip
def test_a_refusal_is_raised_as_its_own_error(
    billing: Billing, act: Callable[[Billing, UUID], Any], kind: type[errors.Refused]
) -> None:
    with pytest.raises(kind) as refused:
        act(billing, created(billing))
    assert refused.value.code
    assert refused.value.problem.request_id


def test_each_refusal_of_the_document_has_a_place_in_the_tree() -> None:
    for status in (400, 401, 402, 403, 404, 409, 413, 415, 421, 422, 429, 500, 502, 503, 504):
        answer = httpx.Response(status, content=b"<html>Bad Gateway</html>")
        assert type(errors.refusal(answer)) is not errors.Refused, status


def test_a_token_of_one_organization_finds_no_other(url: str, billing: Billing) -> None:
    mine, other = created(billing), created(billing)
    issued = httpx.post(
        f"{url}/_local/token", json={"scope": "billing:read", "organization_id": str(mine)}
    ).json()
    with Billing(url, issued["access_token"]) as client:
        assert client.get_balance(mine).balance_usd == Decimal("25.50")
        with pytest.raises(errors.NotFound):
            client.get_balance(other)


def test_a_float_is_refused_and_the_message_has_the_fix(scripted: Script) -> None:
    script = scripted()
    with pytest.raises(errors.InvalidAmount, match=r'Decimal\("25.50"\).*usd\(0.1\)'):
        script.billing.create_charge(ORGANIZATION, amount_usd=0.1, description="chat")  # type: ignore[arg-type]
    assert script.requests == []


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        (0.1, "0.10000000"),
        (0.1 + 0.2, "0.30000000"),
        (2.5e-08, "0.00000003"),
        (0.000000005, "0.00000001"),
        (0.0000000049, "0.00000000"),
        (-2.5e-08, "-0.00000003"),
        (3, "3.00000000"),
    ],
)
def test_usd_rounds_a_float_half_up_to_eight_decimals(amount: float, rounded: str) -> None:
    assert format(usd(amount), "f") == rounded


@pytest.mark.parametrize("amount", [float("nan"), float("inf")])
def test_usd_takes_only_numbers(amount: float) -> None:
    with pytest.raises(errors.InvalidAmount):
        usd(amount)


def test_a_float_of_the_providers_usage_object_is_sent_as_it_came(scripted: Script) -> None:
    script = scripted(httpx.Response(201, json=transaction()))
    usage = {"format": "openai", "prompt_tokens": 3, "cost": 0.25}
    script.billing.create_charge(ORGANIZATION, usage=usage, description="chat")
    assert json.loads(script.requests[0].content)["usage"] == usage


def test_a_time_without_a_zone_is_refused(scripted: Script) -> None:
    with pytest.raises(errors.InvalidTime, match="has no time zone"):
        next(scripted().billing.list_transactions(ORGANIZATION, from_=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_a_time_is_sent_with_its_zone(scripted: Script) -> None:
    script = scripted(
        httpx.Response(200, json={"items": [], "previous_cursor": None, "next_cursor": None})
    )
    list(script.billing.list_transactions(ORGANIZATION, from_=datetime(2026, 1, 1, tzinfo=UTC)))
    assert script.requests[0].url.params["from"] == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ReadTimeout("late"),
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("broken"),
        httpx.Response(503, json={"code": "temporarily_unavailable"}, headers={"Retry-After": "7"}),
        httpx.Response(500, json={"message": "Internal Server Error"}),
        httpx.Response(504, content=b""),
        httpx.Response(429, json={"message": "Too Many Requests"}),
    ],
    ids=lambda failure: str(getattr(failure, "status_code", None) or type(failure).__name__),
)
def test_a_call_that_nobody_knows_of_is_sent_again_with_its_key(
    scripted: Script, failure: httpx.Response | Exception
) -> None:
    script = scripted(failure, failure, httpx.Response(201, json=transaction()))
    script.billing.create_charge(ORGANIZATION, amount_usd="0.02", description="chat")
    keys = {request.headers["idempotency-key"] for request in script.requests}
    bodies = {request.content for request in script.requests}
    assert (len(script.requests), len(keys), len(bodies)) == (3, 1, 1)
    first, second = script.waits
    told = isinstance(failure, httpx.Response) and "retry-after" in failure.headers
    assert (first, second) == (7, 7) if told else 0.5 <= first <= 1 <= second <= 2


def test_a_call_is_given_up_after_five_attempts(scripted: Script) -> None:
    script = scripted(*[httpx.Response(503)] * 5)
    with pytest.raises(errors.Unavailable):
        script.billing.get_balance(ORGANIZATION)
    assert len(script.requests) == 5


def test_the_health_is_answered_also_while_the_database_is_down(scripted: Script) -> None:
    down = {"database": "down", "cache": "ok", "rates": "ok"}
    script = scripted(*[httpx.Response(503, json=down)] * 5)
    assert script.billing.get_health().database == "down"
    for answer in (httpx.Response(503), httpx.Response(503, json={"message": "Unavailable"})):
        script = scripted(*[answer] * 5)
        with pytest.raises(errors.Unavailable):
            script.billing.get_health()


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422])
def test_a_refusal_is_not_sent_again(scripted: Script, status: int) -> None:
    script = scripted(httpx.Response(status, json={"detail": "No."}))
    with pytest.raises(errors.Refused, match=r"No\."):
        script.billing.create_charge(ORGANIZATION, amount_usd="0.02", description="chat")
    assert len(script.requests) == 1


def test_a_request_without_a_key_that_would_be_applied_twice_is_not_sent_again(
    scripted: Script,
) -> None:
    script = scripted(httpx.Response(503))
    with pytest.raises(errors.Unavailable):
        script.billing.create_organization(name="Acme", billing_currency="USD")
    script = scripted(httpx.Response(429), httpx.Response(409))
    with pytest.raises(errors.Conflict):
        script.billing.create_organization(name="Acme", billing_currency="USD")


def test_the_callers_key_is_sent_as_it_is_and_a_made_one_grows(
    scripted: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = scripted(*(httpx.Response(201, json=transaction()) for _ in range(2)))
    for key in ("call-7", None):
        script.billing.create_charge(
            ORGANIZATION, amount_usd="0.02", description="chat", idempotency_key=key
        )
    sent = [request.headers["idempotency-key"] for request in script.requests]
    assert sent[0] == "call-7"
    assert UUID(sent[1]).version == 7
    now = time.time_ns()
    made = []
    for milliseconds in range(1, 100):
        monkeypatch.setattr(time, "time_ns", lambda later=milliseconds: now + later * 1_000_000)
        made.append(new_key())
    assert made == sorted(made)


def issued(token: str, seconds: int) -> httpx.Response:
    return httpx.Response(200, json={"access_token": token, "expires_in": seconds})


@pytest.mark.parametrize(("lifetime", "fetched"), [(3600, 1), (0, 2)])
def test_a_token_is_kept_until_it_is_about_to_expire(
    scripted: Script, lifetime: int, fetched: int
) -> None:
    auth = ClientCredentials("http://issuer/token", "gateway", "a secret", "billing:read")
    answer = httpx.Response(200, json={"items": [], "previous_cursor": None, "next_cursor": None})
    script = scripted(
        issued("first", lifetime), answer, *[issued("second", lifetime)] * (fetched - 1), answer,
        auth=auth,
    )  # fmt: skip
    for _ in range(2):
        list(script.billing.list_prices())
    asked = [request for request in script.requests if request.url.host == "issuer"]
    assert len(asked) == fetched
    assert asked[0].headers["authorization"].startswith("Basic ")
    assert b"grant_type=client_credentials" in asked[0].content
    assert script.requests[1].headers["authorization"] == "Bearer first"


def test_a_token_that_is_refused_early_is_fetched_again_once(scripted: Script) -> None:
    auth = ClientCredentials("http://issuer/token", "gateway", "a secret", "billing:read")
    answer = httpx.Response(200, json={"items": [], "previous_cursor": None, "next_cursor": None})
    script = scripted(
        issued("first", 3600),
        answer,
        httpx.Response(401),
        issued("second", 3600),
        answer,
        auth=auth,
    )
    for _ in range(2):
        list(script.billing.list_prices())
    assert script.requests[-1].headers["authorization"] == "Bearer second"


def test_a_client_that_the_issuer_refuses_is_told(scripted: Script) -> None:
    auth = ClientCredentials("http://issuer/token", "gateway", "wrong", "billing:read")
    script = scripted(httpx.Response(401, json={"error": "invalid_client"}), auth=auth)
    with pytest.raises(errors.Unauthenticated):
        list(script.billing.list_prices())


def test_an_answer_with_new_fields_and_values_is_taken(scripted: Script) -> None:
    body = {**transaction(), "transaction_type": "payout", "novel": {"a": 1}}
    script = scripted(httpx.Response(200, json=body))
    assert script.billing.get_transaction(ORGANIZATION, uuid.uuid4()).transaction_type == "payout"


SECRET = "whsec_" + b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = "whsec_" + b64encode(b"fedcba9876543210fedcba9876543210").decode()


def sent(*secrets: str, seconds_ago: int = 0) -> Signed:
    """A webhook as the product signs it, by each of the secrets."""
    event = {"event_id": uuid.uuid4(), "organization_id": ORGANIZATION, "type": "balance.low"}
    claimed = {
        **event,
        "event_id": str(event["event_id"]),
        "endpoint_id": uuid.uuid4(),
        "lease": uuid.uuid4(),
        "created_at": "2026-11-01T00:00:00Z",
        "url": "https://example.com",
        "data": {"balance_usd": "4.50"},
        "secrets": [secret.removeprefix("whsec_") for secret in secrets],
    }
    return sign(claimed, datetime.now(UTC) - timedelta(seconds=seconds_ago))


def test_a_webhook_of_the_product_is_verified() -> None:
    for secrets in ([SECRET], [OTHER, SECRET]):
        webhook = sent(*secrets)
        event = webhooks.verify(SECRET, webhook.body.encode(), webhook.headers)
        assert event["data"] == {"balance_usd": "4.50"}


@pytest.mark.parametrize(
    ("secret", "seconds_ago", "change"),
    [
        (OTHER, 0, {}),
        (SECRET, 600, {}),
        (SECRET, -600, {}),
        (SECRET, 0, {"webhook-id": "another"}),
        (SECRET, 0, {"webhook-timestamp": "now"}),
    ],
)
def test_a_webhook_of_others_is_refused(
    secret: str, seconds_ago: int, change: dict[str, str]
) -> None:
    webhook = sent(secret, seconds_ago=seconds_ago)
    with pytest.raises(errors.InvalidSignature):
        webhooks.verify(SECRET, webhook.body, {**webhook.headers, **change})


def test_a_changed_webhook_is_refused() -> None:
    webhook = sent(SECRET)
    for body, headers in (
        (webhook.body.replace("4.50", "9.50"), webhook.headers),
        (webhook.body, {}),
    ):
        with pytest.raises(errors.InvalidSignature):
            webhooks.verify(SECRET, body, headers)


class Connections(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """An API that counts its connections, and answers each burst of requests at once."""

    daemon_threads = True

    def __init__(self, burst: int) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.together = threading.Barrier(burst)
        self.opened = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        self.opened += 1
        super().process_request(request, client_address)


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        cast(Connections, self.server).together.wait(PATIENCE_SECONDS)
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_a_connection_is_kept_for_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of as many calls as come at once, and through the pauses of a gateway with little to do."""
    burst, clock = 40, time.monotonic
    server = Connections(burst)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ask = Call[None]("GET", "/", {200: None}, repeatable=True)
    with Billing(server.url, "a token") as billing, ThreadPoolExecutor(burst) as threads:
        for minutes in range(3):
            monkeypatch.setattr(time, "monotonic", lambda later=60 * minutes: clock() + later)
            list(threads.map(lambda _: billing.call(ask), range(burst)))
    server.shutdown()
    server.server_close()
    assert server.opened == burst
