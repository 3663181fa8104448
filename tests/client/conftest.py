"""The client of the running product, and an API that answers what a test says."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from local.template import ROOT
from synaxis_billing_client import AsyncBilling, Billing, Retries, credentials
from tests.support import asynchronous
from tests.support.running import EVERYTHING, PATIENCE_SECONDS, serving


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs `.venv-litellm`, unless `-m litellm` asks for it."""
    if "litellm" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("litellm"):
                item.add_marker(pytest.mark.skip("needs LiteLLM: make client-test"))


HERE = Path(__file__).parent
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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    """A provider of LLM calls."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.upstream", str(port)]
    path = {"PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}"}
    with serving(command, port, Path(os.devnull), **path) as url:
        yield url


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

    return asynchronous.run(within())
