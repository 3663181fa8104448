"""A call under a hold: reserve the most that it can cost, make it, capture what it cost.

    with billing.hold(organization, provider="openai", model="gpt-4o",
                      max_usage={"format": "buckets", "input": 900, "output": 500}) as call:
        answer = openai.chat.completions.create(...)
        call.capture(answer.usage)

At the end of the block, a call that was captured is done. If the block raised, then

- the usage that was seen is captured: `call.seen(usage)`, or that of `call.stream(chunks)`;
- the hold is released if the provider did not answer, or answered with an error;
- the hold is kept if nobody knows, after a timeout, a broken connection or a cancellation; it
  expires by itself, and reserves the credit until then.

Every capture charges its overrun: the call was made.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, NotRequired, Self, TypedDict
from uuid import UUID

import httpx

from synaxis_billing_client import operations
from synaxis_billing_client.calls import Call, new_key
from synaxis_billing_client.errors import NotCaptured
from synaxis_billing_client.models import Hold, Transaction, Unpriced
from synaxis_billing_client.usage import StreamUsage, read_usage

if TYPE_CHECKING:
    from synaxis_billing_client.client import AsyncBilling, Billing

log = logging.getLogger("synaxis_billing_client")


class Held(TypedDict):
    """What `hold` takes."""

    max_usage: NotRequired[Mapping[str, Any]]
    """Usage of the most that the call can cost, which the price book prices."""
    max_usd: NotRequired[Decimal | str]
    """The most that the call can cost, in place of `max_usage`."""
    provider: NotRequired[str]
    model: NotRequired[str]
    call_id: NotRequired[str]
    """Your stable id of the call, by which a call that is made again is charged once; a new UUIDv7
    if it is left out."""
    description: NotRequired[str]
    expires_in_seconds: NotRequired[int]
    team_id: NotRequired[str]
    virtual_key_id: NotRequired[str]
    end_user: NotRequired[str]
    region: NotRequired[str]
    service_tier: NotRequired[str]
    metadata: NotRequired[dict[str, str]]


@dataclass(frozen=True)
class Terms:
    """The call's organization and id, and the request of its hold."""

    organization: UUID | str
    call_id: str
    body: dict[str, Any]
    input_tokens: int

    @classmethod
    def of(cls, organization: UUID | str, held: Held) -> "Terms":
        body: dict[str, Any] = {"description": "LLM call", **held}
        call_id = body.pop("call_id", None) or new_key()
        body["request_id"] = call_id
        usage = body.pop("max_usage", None)
        amount = body.pop("max_usd", None)
        input_tokens = 0
        if usage is not None:
            body["usage"] = read_usage(usage)
            counts = body["usage"]
            input_tokens = counts.get("input") or counts.get("prompt_tokens") or 0
        if amount is not None:
            body["amount_usd"] = amount
        return cls(organization, call_id, body, input_tokens)

    def create(self) -> Call[Hold]:
        return operations.create_hold(
            self.organization,
            idempotency_key=f"{self.call_id}:hold",
            **self.body,
        )

    def capture(self, hold_id: UUID, cost: dict[str, Any]) -> Call[Transaction | Unpriced]:
        if "usage" in cost:
            # A capture takes over all but what decides the price.
            priced = ("provider", "model", "service_tier")
            cost = {**{name: self.body[name] for name in priced if name in self.body}, **cost}
        return operations.capture_hold(
            self.organization,
            hold_id,
            idempotency_key=self.call_id,
            overrun="charge",
            **cost,
        )

    def release(self, hold_id: UUID) -> Call[Hold]:
        return operations.release_hold(
            self.organization, hold_id, idempotency_key=f"{self.call_id}:release"
        )


def cost_of(
    usage: Any, amount_usd: Decimal | str | None, about: Mapping[str, Any]
) -> dict[str, Any]:
    """The cost of a capture: the amount, or the usage; and facts that differ from the hold's."""
    if (usage is None) == (amount_usd is None):
        raise ValueError("give either `usage` or `amount_usd`")
    cost = {"amount_usd": amount_usd} if usage is None else {"usage": read_usage(usage)}
    return {**cost, **about}


def is_unknown(error: BaseException) -> bool:
    """Whether a provider may have answered the call that raised this: a timeout, a connection that
    broke after the request was sent, a cancellation."""
    unknown = (
        TimeoutError,
        asyncio.CancelledError,
        GeneratorExit,
        KeyboardInterrupt,
        SystemExit,
        ConnectionResetError,
        httpx.ReadTimeout,
        httpx.WriteTimeout,
        httpx.ReadError,
        httpx.WriteError,
        httpx.RemoteProtocolError,
    )
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return False
        if isinstance(seen, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            return False
        if isinstance(seen, unknown):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@dataclass
class _Progress:
    """How far the call is; what is to be done at the end of its block."""

    terms: Terms
    hold: Hold | None = None
    done: bool = False
    cost: dict[str, Any] | None = None
    streams: list[StreamUsage] = field(default_factory=list)

    @property
    def hold_id(self) -> UUID:
        if self.hold is None:
            raise ValueError("the call has no hold before its block begins")
        return self.hold.id

    def seen_cost(self) -> dict[str, Any] | None:
        """The cost that is known without a capture: what was seen, or what streams delivered."""
        if self.cost is not None:
            return self.cost
        for stream in self.streams:
            if stream.usage is not None:
                told = {**self.terms.body.get("metadata", {}), "usage": "estimated"}
                return {"usage": stream.usage, **({"metadata": told} if stream.estimated else {})}
        return None

    def last_call(self, error: BaseException | None) -> Call[Any] | None:
        """What the end of the block sends; None to leave the hold. Raises NotCaptured."""
        if self.done:
            return None
        if cost := self.seen_cost():
            return self.terms.capture(self.hold_id, cost)
        if error is None:
            raise NotCaptured(
                f"Call {self.terms.call_id} ended without a capture: use call.capture(usage), or "
                "call.release() if it was not made. Its hold is kept until it expires."
            )
        if is_unknown(error):
            log.warning(
                "hold %s of call %s is kept until it expires: the provider may have answered",
                self.hold_id,
                self.terms.call_id,
            )
            return None
        return self.terms.release(self.hold_id)


class _Call:
    """What both kinds of held calls have."""

    def __init__(self, terms: Terms) -> None:
        self._progress = _Progress(terms)

    @property
    def call_id(self) -> str:
        """The id of the call: its charge's `request_id` and `Idempotency-Key`."""
        return self._progress.terms.call_id

    @property
    def held(self) -> Hold:
        """The hold."""
        if self._progress.hold is None:
            raise ValueError("the call has no hold before its block begins")
        return self._progress.hold

    def seen(
        self, usage: Any = None, *, amount_usd: Decimal | str | None = None, **about: Any
    ) -> None:
        """Note what the call has cost so far; the end of the block captures it."""
        self._progress.cost = cost_of(usage, amount_usd, about)

    def _metered(self) -> StreamUsage:
        self._progress.streams.append(StreamUsage(self._progress.terms.input_tokens))
        return self._progress.streams[-1]


class HeldCall(_Call):
    """A call under a hold, as a context manager."""

    def __init__(self, billing: "Billing", terms: Terms) -> None:
        super().__init__(terms)
        self._billing = billing

    def __enter__(self) -> Self:
        self._progress.hold = self._billing.call(self._progress.terms.create())
        return self

    def capture(
        self, usage: Any = None, *, amount_usd: Decimal | str | None = None, **about: Any
    ) -> Transaction | Unpriced:
        """Charge what the call cost: the provider's usage object, or an amount."""
        self._progress.cost = cost_of(usage, amount_usd, about)
        return self._captured()

    def release(self) -> None:
        """Free the hold of a call that was not made."""
        progress = self._progress
        self._billing.call(progress.terms.release(progress.hold_id))
        progress.done = True

    def stream[T](self, chunks: Iterable[T]) -> Iterator[T]:
        """Pass on the chunks of a stream, and note their usage for the end of the block."""
        meter = self._metered()
        for chunk in chunks:
            meter.read(chunk)
            yield chunk

    def _captured(self) -> Transaction | Unpriced:
        progress = self._progress
        assert progress.cost is not None
        answer = self._billing.call(progress.terms.capture(progress.hold_id, progress.cost))
        progress.done = True
        if isinstance(answer, Unpriced):
            self._billing.call(progress.terms.release(progress.hold_id))
        return answer

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        last = self._progress.last_call(error)
        if last is not None and isinstance(self._billing.call(last), Unpriced):
            self._billing.call(self._progress.terms.release(self._progress.hold_id))


class AsyncHeldCall(_Call):
    """A call under a hold, as an asynchronous context manager. A cancellation of its task does not
    interrupt its last request."""

    def __init__(self, billing: "AsyncBilling", terms: Terms) -> None:
        super().__init__(terms)
        self._billing = billing

    async def __aenter__(self) -> Self:
        self._progress.hold = await self._billing.call(self._progress.terms.create())
        return self

    async def capture(
        self, usage: Any = None, *, amount_usd: Decimal | str | None = None, **about: Any
    ) -> Transaction | Unpriced:
        """Charge what the call cost: the provider's usage object, or an amount."""
        self._progress.cost = cost_of(usage, amount_usd, about)
        return await self._captured()

    async def release(self) -> None:
        """Free the hold of a call that was not made."""
        progress = self._progress
        await self._billing.call(progress.terms.release(progress.hold_id))
        progress.done = True

    async def stream[T](self, chunks: AsyncIterable[T]) -> AsyncIterator[T]:
        """Pass on the chunks of a stream, and note their usage for the end of the block."""
        meter = self._metered()
        async for chunk in chunks:
            meter.read(chunk)
            yield chunk

    async def _captured(self) -> Transaction | Unpriced:
        progress = self._progress
        assert progress.cost is not None
        answer = await self._billing.call(progress.terms.capture(progress.hold_id, progress.cost))
        progress.done = True
        if isinstance(answer, Unpriced):
            await self._billing.call(progress.terms.release(progress.hold_id))
        return answer

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        last = self._progress.last_call(error)
        if last is not None:
            await asyncio.shield(asyncio.ensure_future(self._finish(last)))

    async def _finish(self, last: Call[Any]) -> None:
        if isinstance(await self._billing.call(last), Unpriced):
            await self._billing.call(self._progress.terms.release(self._progress.hold_id))
