"""A held call is charged once for what it cost. Its hold is released if the call was not made, and
kept if nobody knows."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from synaxis_billing.prices.usage import read_usage as buckets_of
from synaxis_billing_client import AsyncBilling, Billing, Retries, credentials, errors, models
from synaxis_billing_client.usage import StreamUsage, read_usage
from tests.client.conftest import run_async
from tests.client.test_client import created

# What gpt-4o-mini can cost at most; the price book of `make run` has its price.
MOST: dict[str, Any] = {
    "provider": "openai",
    "model": "gpt-4o-mini",
    "max_usage": {"format": "buckets", "input": 1000, "output": 1000},
}
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
CHUNKS: list[dict[str, Any]] = [
    {"choices": [{"delta": {"role": "assistant", "content": "Hello, "}}], "usage": None},
    {"choices": [{"delta": {"content": "world"}}], "usage": None},
    {"choices": [], "usage": USAGE},
]


@pytest.fixture
def organization(billing: Billing) -> UUID:
    return created(billing)


class Ledger:
    """What the product has of an organization."""

    def __init__(self, billing: Billing, organization: UUID) -> None:
        self.charges = list(billing.list_transactions(organization, type="charge"))
        self.holds = [hold.status for hold in billing.list_holds(organization)]
        self.held_usd = str(billing.get_balance(organization).held_usd)


def test_the_usage_of_a_call_is_captured_and_the_rest_is_free(
    billing: Billing, organization: UUID
) -> None:
    with billing.hold(organization, **MOST, team_id="red", call_id="call-1") as call:
        assert billing.get_balance(organization).held_usd == call.held.amount_usd > 0
        charged = call.capture(USAGE)
    ledger = Ledger(billing, organization)
    assert ledger.charges == [charged]
    assert ledger.charges[0].usage == {"input": 100, "output": 20}
    assert (ledger.charges[0].team_id, ledger.charges[0].request_id) == ("red", "call-1")
    assert (ledger.holds, ledger.held_usd) == (["captured"], "0.00")


def test_a_call_that_costs_more_than_its_hold_is_charged_whole(
    billing: Billing, organization: UUID
) -> None:
    with billing.hold(organization, max_usd="0.01") as call:
        call.capture(amount_usd="30")
    assert Ledger(billing, organization).charges[0].amount_usd == -30


def test_a_call_that_is_made_again_by_its_id_is_charged_once(
    billing: Billing, organization: UUID
) -> None:
    for _ in range(2):
        with billing.hold(organization, **MOST, call_id="call-1") as call:
            call.capture(USAGE)
    assert len(Ledger(billing, organization).charges) == 1


def test_a_call_without_credit_is_not_made(billing: Billing) -> None:
    poor = created(billing, "0")
    with pytest.raises(errors.InsufficientCredits), billing.hold(poor, **MOST):
        pytest.fail("the call was made")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug before the call"),
        httpx.ConnectError("no route"),
        httpx.HTTPStatusError(
            "overloaded", request=httpx.Request("POST", "http://llm"), response=httpx.Response(529)
        ),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_call_that_the_provider_did_not_answer_is_released(
    billing: Billing, organization: UUID, error: Exception
) -> None:
    with pytest.raises(type(error)), billing.hold(organization, **MOST):
        raise error
    ledger = Ledger(billing, organization)
    assert (ledger.charges, ledger.holds, ledger.held_usd) == ([], ["released"], "0.00")


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("broken"),
        TimeoutError(),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_hold_of_a_call_that_nobody_knows_of_is_kept(
    billing: Billing, organization: UUID, error: BaseException
) -> None:
    with pytest.raises(type(error)), billing.hold(organization, **MOST):
        raise error
    ledger = Ledger(billing, organization)
    assert (ledger.charges, ledger.holds) == ([], ["held"])


def test_an_error_after_the_answer_charges_what_was_seen(
    billing: Billing, organization: UUID
) -> None:
    def call_the_model() -> None:
        with billing.hold(organization, **MOST) as call:
            call.seen(USAGE)
            raise ValueError("the answer is not JSON")

    with pytest.raises(ValueError, match="not JSON"):
        call_the_model()
    assert [charge.tokens for charge in Ledger(billing, organization).charges] == [120]


def test_a_call_without_a_capture_is_an_error_and_keeps_its_hold(
    billing: Billing, organization: UUID
) -> None:
    with (
        pytest.raises(errors.NotCaptured, match=r"call\.capture"),
        billing.hold(organization, **MOST),
    ):
        pass
    assert Ledger(billing, organization).holds == ["held"]


def test_a_call_that_the_caller_releases_is_not_charged(
    billing: Billing, organization: UUID
) -> None:
    with billing.hold(organization, **MOST) as call:
        call.release()
    assert Ledger(billing, organization).holds == ["released"]


def test_usage_of_a_model_without_a_price_waits_for_it_and_its_hold_is_free(
    billing: Billing, organization: UUID
) -> None:
    with billing.hold(organization, **MOST) as call:
        waits = call.capture(USAGE, provider="nobody", model="none")
    assert isinstance(waits, models.Unpriced)
    ledger = Ledger(billing, organization)
    assert (ledger.charges, ledger.holds, ledger.held_usd) == ([], ["released"], "0.00")


def test_a_stream_is_charged_by_its_last_chunk(billing: Billing, organization: UUID) -> None:
    with billing.hold(organization, **MOST) as call:
        assert list(call.stream(CHUNKS)) == CHUNKS
    [charge] = Ledger(billing, organization).charges
    assert (charge.usage, charge.metadata) == ({"input": 100, "output": 20}, None)


def test_a_cancelled_stream_is_charged_for_what_came(
    url: str, billing: Billing, organization: UUID
) -> None:
    """It has the input that was held for, and an estimate of the output, which the charge says."""

    async def slow() -> AsyncIterator[dict[str, Any]]:
        yield CHUNKS[0]
        yield CHUNKS[1]
        await asyncio.Event().wait()

    async def act(client: AsyncBilling) -> None:
        arrived = asyncio.Event()

        async def consume() -> None:
            async with client.hold(organization, **MOST) as call:
                async for _ in call.stream(slow()):
                    arrived.set()

        consumer = asyncio.create_task(consume())
        await arrived.wait()
        await asyncio.sleep(0)
        consumer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await consumer

    run_async(url, act)
    ledger = Ledger(billing, organization)
    assert (ledger.holds, ledger.held_usd) == (["captured"], "0.00")
    assert ledger.charges[0].usage == {"input": 1000, "output": 4}
    assert ledger.charges[0].metadata == {"usage": "estimated"}


def test_a_stream_that_was_cancelled_before_its_first_chunk_keeps_its_hold(
    url: str, billing: Billing, organization: UUID
) -> None:
    async def act(client: AsyncBilling) -> None:
        async with client.hold(organization, **MOST):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_async(url, act)
    assert Ledger(billing, organization).holds == ["held"]


def test_an_asynchronous_call_is_captured_or_released(
    url: str, billing: Billing, organization: UUID
) -> None:
    async def act(client: AsyncBilling) -> None:
        async with client.hold(organization, **MOST) as call:
            await call.capture(USAGE)
        with pytest.raises(ValueError, match="no"):
            async with client.hold(organization, **MOST):
                raise ValueError("no")
        async with client.hold(organization, **MOST) as call:
            await call.capture(USAGE, provider="nobody", model="none")

    run_async(url, act)
    ledger = Ledger(billing, organization)
    assert ledger.holds == ["released", "released", "captured"]
    assert ledger.held_usd == "0.00"


def test_what_a_hold_is_for_is_said_once(billing: Billing, organization: UUID) -> None:
    """Everything of the call is given to the hold; the charge has it."""
    facts: dict[str, Any] = {
        "team_id": "red",
        "virtual_key_id": "key",
        "end_user": "u1",
        "region": "eu",
        "metadata": {"trace": "7"},
        "description": "chat",
    }
    with billing.hold(organization, **MOST, **facts) as call:
        call.capture(USAGE)
    [charge] = Ledger(billing, organization).charges
    assert {name: getattr(charge, name) for name in facts} == facts
    assert UUID(charge.request_id).version == 7


ANTHROPIC: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "usage": {"input_tokens": 9, "cache_read_input_tokens": 50, "output_tokens": 1}
        },
    },
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hello, world"}},
    {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 7}},
]
RESPONSES = [
    {"type": "response.output_text.delta", "delta": "Hello"},
    {"type": "response.completed", "response": {"usage": {
        "input_tokens": 9, "output_tokens": 7, "total_tokens": 16}}},
]  # fmt: skip


@pytest.mark.parametrize(
    ("chunks", "buckets"),
    [
        (CHUNKS, {"input": 100, "output": 20}),
        (CHUNKS[:2], {"input": 500, "output": 4}),
        (ANTHROPIC, {"input": 9, "cache_read": 50, "output": 7}),
        (ANTHROPIC[:2], {"input": 9, "cache_read": 50, "output": 4}),
        (RESPONSES, {"input": 9, "output": 7}),
        (RESPONSES[:1], {"input": 500, "output": 2}),
    ],
)
def test_a_streams_usage_is_the_providers_or_an_estimate(
    chunks: list[dict[str, Any]], buckets: dict[str, int]
) -> None:
    meter = StreamUsage(500)
    assert meter.usage is None
    for chunk in chunks:
        meter.read(chunk)
    assert meter.usage is not None
    assert buckets_of(meter.usage) == buckets


@pytest.mark.parametrize(
    ("usage", "buckets"),
    [
        (USAGE, {"input": 100, "output": 20}),
        ({"prompt_tokens": 8, "total_tokens": 8}, {"input": 8}),
        (
            {"prompt_tokens": 100, "completion_tokens": 9,
             "prompt_tokens_details": {"cached_tokens": 30},
             "completion_tokens_details": {"reasoning_tokens": 4}},
            {"input": 70, "cache_read": 30, "output": 5, "reasoning": 4},
        ),
        (
            {"prompt_tokens": 100, "completion_tokens": 9, "cache_creation_input_tokens": 20,
             "prompt_tokens_details": {"cached_tokens": 30, "cache_creation_tokens": 20}},
            {"input": 50, "cache_read": 30, "cache_write": 20, "output": 9},
        ),
        (
            {"prompt_tokens": 100, "completion_tokens": 9,
             "prompt_tokens_details": {"cached_tokens": 30, "cache_creation_tokens": 20,
                 "cache_creation_token_details": {
                     "ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 15}}},
            {"input": 50, "cache_read": 30, "cache_write": 5, "cache_write_1h": 15, "output": 9},
        ),
        (
            {"input_tokens": 9, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 0,
             "output_tokens": 3},
            {"input": 9, "cache_read": 50, "output": 3},
        ),
        ({"input_tokens": 9, "output_tokens": 3}, {"input": 9, "output": 3}),
        (
            {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12,
             "input_tokens_details": {"cached_tokens": 4}},
            {"input": 5, "cache_read": 4, "output": 3},
        ),
        (
            {"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 2},
            {"input": 9, "output": 3, "reasoning": 2},
        ),
        (
            {"prompt_token_count": 9, "candidates_token_count": 3},
            {"input": 9, "output": 3},
        ),
    ],
)  # fmt: skip
def test_a_providers_usage_is_charged_by_its_kinds_of_tokens(
    usage: dict[str, Any], buckets: dict[str, int]
) -> None:
    assert buckets_of(read_usage(usage)) == buckets


@pytest.mark.parametrize("usage", [{}, {"tokens": 9}, "9 tokens"])
def test_a_usage_object_of_nobody_is_refused(usage: Any) -> None:
    with pytest.raises(ValueError, match="usage object"):
        read_usage(usage)


class Losing(httpx.HTTPTransport):
    """Delivers every request, and loses the first answer to each."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        response.read()
        if request.url.path.startswith("/v1") and request.url.path not in self.lost:
            self.lost.append(request.url.path)
            raise httpx.ReadTimeout("lost")
        return response


def test_an_answer_that_is_lost_charges_once(
    url: str, billing: Billing, organization: UUID
) -> None:
    losing = Losing()
    auth = credentials(url, None, "gateway", "a secret")
    with Billing(url, auth, retries=Retries(first_wait_seconds=0), transport=losing) as client:
        with client.hold(organization, **MOST) as call:
            call.capture(USAGE)
        with pytest.raises(ValueError, match="no"), client.hold(organization, **MOST):
            raise ValueError("no")
    ledger = Ledger(billing, organization)
    assert (len(ledger.charges), ledger.held_usd) == (1, "0.00")
    assert ledger.holds == ["released", "captured"]
    assert len(losing.lost) == 3
