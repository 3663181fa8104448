"""A gateway's call is charged once if it was made, and frees its credit if it was not."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from synaxis_billing_client import AsyncBilling, Billing, Retries, credentials, errors
from synaxis_billing_client import gateway as module
from synaxis_billing_client.gateway import Away, Gateway, GatewayCall, Mode
from tests.client.test_client import created
from tests.client.test_holds import USAGE, Ledger
from tests.support import asynchronous
from tests.support.running import EVERYTHING, PATIENCE_SECONDS

COST = {"usage": USAGE, "provider": "openai", "model": "gpt-4o-mini", "description": "chat"}
CHARGED = Decimal("0.000027")


@pytest.fixture
def organization(billing: Billing) -> UUID:
    return created(billing)


def call(organization: UUID | str) -> GatewayCall:
    return GatewayCall(str(organization), "openai", "gpt-4o-mini", 1000, 1000, "red", "key1", "u7")


class Switched(httpx.AsyncHTTPTransport):
    """The product, or no connection to it."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("away")
        return await super().handle_async_request(request)


Act = Callable[[Gateway, Switched], Awaitable[Any]]


@pytest.fixture
def within(url: str, tmp_path: Path) -> Callable[..., Any]:
    """Do something with a gateway, and close it."""

    def do(
        act: Act,
        *,
        mode: Mode = "fail_open",
        lease_usd: str | None = None,
        journal: Path = tmp_path,
    ) -> Any:
        async def run() -> Any:
            switched = Switched()
            auth = credentials(url, None, "gateway", "a secret", EVERYTHING)
            retries = Retries(attempts=2, first_wait_seconds=0)
            billing = AsyncBilling(
                url, auth, timeout=PATIENCE_SECONDS, retries=retries, transport=switched
            )
            lease = None if lease_usd is None else Decimal(lease_usd)
            gateway = Gateway(billing, mode=mode, lease_usd=lease, journal=journal)
            try:
                return await act(gateway, switched)
            finally:
                await gateway.close()

        return asynchronous.run(run())

    return do


@pytest.mark.parametrize("lease_usd", [None, "1"])
def test_a_call_is_charged_once_however_often_it_is_reported(
    within: Callable[..., Any], billing: Billing, organization: UUID, lease_usd: str | None
) -> None:
    async def act(gateway: Gateway, _: Switched) -> None:
        call_id = await gateway.begin(call(organization))
        for _again in range(3):
            await gateway.charge(call_id, COST)
        gateway.release(call_id)
        await gateway.charge("unheard of", COST)

    within(act, lease_usd=lease_usd)
    ledger = Ledger(billing, organization)
    assert [-charge.amount_usd for charge in ledger.charges] == [CHARGED]
    assert (ledger.charges[0].team_id, ledger.charges[0].end_user) == ("red", "u7")
    assert ledger.held_usd == "0.00"


@pytest.mark.parametrize("lease_usd", [None, "1"])
def test_a_call_that_was_released_and_then_answered_is_charged(
    within: Callable[..., Any], billing: Billing, organization: UUID, lease_usd: str | None
) -> None:
    """As when a guardrail refuses an answer that the provider has made."""

    async def act(gateway: Gateway, _: Switched) -> None:
        call_id = await gateway.begin(call(organization))
        gateway.release(call_id)
        gateway.release(call_id)
        await gateway.charge(call_id, COST)
        await gateway.charge(call_id, COST)

    within(act, lease_usd=lease_usd)
    ledger = Ledger(billing, organization)
    assert (len(ledger.charges), ledger.held_usd) == (1, "0.00")


def test_a_refusal_is_passed_on(within: Callable[..., Any], billing: Billing) -> None:
    poor = created(billing, "0")

    async def act(gateway: Gateway, _: Switched) -> None:
        with pytest.raises(errors.InsufficientCredits):
            await gateway.begin(call(poor))
        with pytest.raises(errors.NotFound, match="no organization 'nobody'"):
            await gateway.begin(call("nobody"))
        assert not await gateway.knows("nobody")
        assert await gateway.knows(str(poor))

    for lease_usd in (None, "1"):
        within(act, lease_usd=lease_usd)


@pytest.mark.parametrize("lease_usd", [None, "1"])
def test_a_call_is_made_while_the_product_is_away_and_charged_by_the_next_process(
    within: Callable[..., Any], billing: Billing, organization: UUID, lease_usd: str | None
) -> None:
    billing.update_organization(organization, external_id=f"name-{organization}")

    async def while_away(gateway: Gateway, switched: Switched) -> None:
        switched.away = True
        call_id = await gateway.begin(call(f"name-{organization}"))
        await gateway.charge(call_id, COST)

    async def later(gateway: Gateway, _: Switched) -> None:
        gateway.start()
        while billing.get_balance(organization).balance_usd == Decimal("25.5"):
            await asyncio.sleep(0.01)

    within(while_away, lease_usd=lease_usd)
    assert Ledger(billing, organization).charges == []
    within(later)
    ledger = Ledger(billing, organization)
    assert [-charge.amount_usd for charge in ledger.charges] == [CHARGED]


@pytest.mark.parametrize("lease_usd", [None, "1"])
def test_no_call_begins_while_the_product_is_away_in_the_mode_fail_closed(
    within: Callable[..., Any], organization: UUID, lease_usd: str | None
) -> None:
    async def act(gateway: Gateway, switched: Switched) -> None:
        switched.away = True
        with pytest.raises(Away, match="Billing is away"):
            await gateway.begin(call(organization))

    within(act, mode="fail_closed", lease_usd=lease_usd)


def test_what_can_never_be_charged_is_kept_for_an_operator(
    within: Callable[..., Any], organization: UUID, tmp_path: Path
) -> None:
    async def act(gateway: Gateway, _: Switched) -> None:
        call_id = await gateway.begin(call(organization))
        await gateway.charge(call_id, {**COST, "usage": {"format": "openai", "prompt_tokens": -1}})

    within(act)
    refused = (tmp_path / "refused.json").read_text()
    assert str(organization) in refused
    assert "prompt_tokens" in refused


def test_a_lease_frees_calls_of_which_no_end_is_reported(
    within: Callable[..., Any], organization: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESERVED_SECONDS", -1.0)

    async def act(gateway: Gateway, _: Switched) -> Any:
        call_id = await gateway.begin(call(organization))
        gateway.start()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        [lease] = gateway._leases.values()
        assert not lease.account.reserved
        # Its answer comes at last, and is charged.
        await gateway.charge(call_id, COST)

    within(act, lease_usd="1")
