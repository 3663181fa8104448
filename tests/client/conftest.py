"""The client of the running product, and an API that answers what a test says."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from synaxis_billing_client import AsyncBilling, Billing, Retries, credentials
from tests.support.running import EVERYTHING, PATIENCE_SECONDS

# Retries without a wait: no test waits for a second.
AT_ONCE = Retries(attempts=5, first_wait_seconds=0)


@pytest.fixture(scope="session")
def url(product: tuple[str, Any]) -> str:
    return product[0]


@pytest.fixture
def billing(url: str) -> Iterator[Billing]:
    auth = credentials(url, None, "gateway", "a secret", EVERYTHING)
    with Billing(url, auth, timeout=PATIENCE_SECONDS, retries=AT_ONCE) as client:
        yield client


class Scripted(NamedTuple):
    """An API that gives scripted answers; the requests that it got, and the seconds waited."""

    billing: Billing
    requests: list[httpx.Request]
    waits: list[float]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scripted]:
    """Make a client whose API answers these, one after the other."""
    waits: list[float] = []
    monkeypatch.setattr("synaxis_billing_client.client.time.sleep", waits.append)

    def make(*answers: httpx.Response | Exception, auth: str | httpx.Auth = "a token") -> Scripted:
        left = list(answers)
        requests: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            found = left.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        client = Billing("http://api", auth, transport=httpx.MockTransport(answer))
        return Scripted(client, requests, waits)

    return make


def run_async[T](url: str, act: Callable[[AsyncBilling], Any]) -> Any:
    """Do something with an asynchronous client."""

    async def within() -> Any:
        auth = credentials(url, None, "gateway", "a secret", EVERYTHING)
        async with AsyncBilling(url, auth, timeout=PATIENCE_SECONDS, retries=AT_ONCE) as client:
            return await act(client)

    return asyncio.run(within())
