"""The clients: a blocking one and one for asyncio. Both run the same exchanges."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self, Unpack, override
from uuid import UUID

import httpx

from synaxis_billing_client import holds
from synaxis_billing_client.calls import Call, Retries, Steps, exchange, next_page
from synaxis_billing_client.operations import AsyncOperations, Operations
from synaxis_billing_client.tokens import ClientCredentials, StaticToken

SCOPE = "billing:platform billing:charge billing:read"
TIMEOUT_SECONDS = 10.0
# A call that waits for its hold should not wait for a handshake too. The server closes a connection
# that it keeps for less long; then another one is opened.
CONNECTIONS = httpx.Limits(
    max_connections=100, max_keepalive_connections=100, keepalive_expiry=300.0
)


def _auth(token: str | httpx.Auth) -> httpx.Auth:
    return StaticToken(token) if isinstance(token, str) else token


def credentials(
    url: str, token_url: str | None, client_id: str, client_secret: str, scope: str = SCOPE
) -> ClientCredentials:
    """Credentials of a gateway. Without `token_url`, those of `make run`."""
    return ClientCredentials(token_url or f"{url}/_local/token", client_id, client_secret, scope)


class Billing(Operations):
    """The API of the product at a URL, for threads: one client may serve many.

    `token` is an access token, or `ClientCredentials`, which fetches and renews one. `timeout` is
    of each attempt, in seconds. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        url: str,
        token: str | httpx.Auth,
        *,
        timeout: float = TIMEOUT_SECONDS,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._retries = retries or Retries()
        self._http = httpx.Client(
            auth=_auth(token), timeout=timeout, limits=CONNECTIONS, transport=transport
        )

    @override
    def call[T](self, call: Call[T]) -> T:
        return self.run(self.steps(call))

    def steps[T](self, call: Call[T]) -> Steps[T]:
        """The exchange of a call, for `run`."""
        return exchange(self._url, call, self._retries)

    @override
    def pages[T](self, call: Call[Any], item: type[T]) -> Iterator[T]:
        while True:
            page = self.call(call)
            yield from page.items
            if page.next_cursor is None:
                return
            call = next_page(call, page.next_cursor)

    def hold(self, organization: UUID | str, **call: Unpack[holds.Held]) -> holds.HeldCall:
        """Hold the most that a call can cost, for a `with` block in which the call is made.

        See `synaxis_billing_client.holds`.
        """
        return holds.HeldCall(self, holds.Terms.of(organization, call))

    def run[T](self, steps: Steps[T]) -> T:
        """Run an exchange."""
        received: httpx.Response | httpx.TransportError | None = None
        while True:
            try:
                sent = steps.send(received)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(sent, httpx.Request):
                try:
                    received = self._http.send(sent)
                except httpx.TransportError as error:
                    received = error
            else:
                time.sleep(sent)
                received = None

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncBilling(AsyncOperations):
    """The API of the product at a URL, for asyncio; otherwise as `Billing`."""

    def __init__(
        self,
        url: str,
        token: str | httpx.Auth,
        *,
        timeout: float = TIMEOUT_SECONDS,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._retries = retries or Retries()
        self._http = httpx.AsyncClient(
            auth=_auth(token), timeout=timeout, limits=CONNECTIONS, transport=transport
        )

    @override
    async def call[T](self, call: Call[T]) -> T:
        return await self.run(self.steps(call))

    def steps[T](self, call: Call[T]) -> Steps[T]:
        """The exchange of a call, for `run`."""
        return exchange(self._url, call, self._retries)

    @override
    async def pages[T](self, call: Call[Any], item: type[T]) -> AsyncIterator[T]:
        while True:
            page = await self.call(call)
            for of in page.items:
                yield of
            if page.next_cursor is None:
                return
            call = next_page(call, page.next_cursor)

    def hold(self, organization: UUID | str, **call: Unpack[holds.Held]) -> holds.AsyncHeldCall:
        """Hold the most that a call can cost, for an `async with` block in which the call is made.

        See `synaxis_billing_client.holds`.
        """
        return holds.AsyncHeldCall(self, holds.Terms.of(organization, call))

    async def run[T](self, steps: Steps[T]) -> T:
        """Run an exchange."""
        received: httpx.Response | httpx.TransportError | None = None
        while True:
            try:
                sent = steps.send(received)
            except StopIteration as done:
                result: T = done.value
                return result
            if isinstance(sent, httpx.Request):
                try:
                    received = await self._http.send(sent)
                except httpx.TransportError as error:
                    received = error
            else:
                await asyncio.sleep(sent)
                received = None

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
