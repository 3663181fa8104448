"""A spending lease, for gateways that cannot afford a round trip per call: a hold, spent in memory.

    with SpendingLease(billing, organization, amount_usd="5") as lease:
        reserved = lease.reserve("0.02")            # the most that the call can cost; in memory
        answer = openai.chat.completions.create(...)
        reserved.capture(answer.usage, provider="openai", model="gpt-4o", description="chat")

The lease holds an amount, and charges what was spent in batches: each second, before the hold
expires, and at its end. It asks the API for more only when the amount is used up. If the process is
killed, its hold expires, and at most the amount of the lease is not charged; with a journal,
nothing is lost.
"""

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast
from uuid import UUID

from synaxis_billing_client import operations
from synaxis_billing_client.calls import Retries, Steps, new_key
from synaxis_billing_client.errors import (
    BillingError,
    Conflict,
    InsufficientCredits,
    NotFound,
    PaymentRequired,
)
from synaxis_billing_client.holds import cost_of
from synaxis_billing_client.journal import Journal, report
from synaxis_billing_client.models import Hold, Refused
from synaxis_billing_client.owed import SMALLEST_USD, Owed, Send, settle
from synaxis_billing_client.requests import Charge

if TYPE_CHECKING:
    from synaxis_billing_client.client import AsyncBilling, Billing

log = logging.getLogger("synaxis_billing_client")

HOLD_SECONDS = 600
SETTLE_SECONDS = 1.0
MOST_OF_A_BATCH = 1000
_PAYMENT_REQUIRED, _CONFLICT, _TOO_MANY_REQUESTS, _FIRST_FAILURE = 402, 409, 429, 500


@dataclass(eq=False)
class Reserved:
    """A part of the lease for one call. End it by `capture` or by `release`; both are in memory."""

    amount_usd: Decimal
    call_id: str
    _account: "Account"

    def capture(
        self, usage: Any = None, *, amount_usd: Decimal | str | None = None, **about: Any
    ) -> None:
        """The call was made: charge its usage, or an amount, with the next batch."""
        account = self._account
        charge = {"description": "LLM call", **account.about, **cost_of(usage, amount_usd, about)}
        account.finish(self, Owed(account.organization, self.call_id, charge))

    def release(self) -> None:
        """The call was not made."""
        self._account.finish(self, None)


@dataclass
class Account:
    """What a lease holds and what of it is spent. Nothing here does I/O."""

    organization: str
    lease_usd: Decimal
    about: dict[str, Any]
    journal: Journal | None
    hold: Hold | None = None
    held_usd: Decimal = Decimal(0)
    renew_at: float = 0.0
    # Kept as a sum, since each call asks for it.
    taken_usd: Decimal = Decimal(0)
    reserved: set[Reserved] = field(default_factory=set)
    # What is to be charged, with the part of the hold that reserves it.
    finished: dict[str, tuple[Decimal, Owed]] = field(default_factory=dict)
    # Whether the organization had no place for some of it, the last time.
    _busy: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def room_usd(self) -> Decimal:
        return self.held_usd - self.taken_usd

    def reserve(self, amount_usd: Decimal, call_id: str | None) -> Reserved | None:
        """A part of the hold; None if it has too little room or expires soon."""
        with self._lock:
            if self.room_usd() < amount_usd or time.monotonic() > self.renew_at + HOLD_SECONDS / 4:
                return None
            made = Reserved(amount_usd, call_id or new_key(), self)
            self.reserved.add(made)
            self.taken_usd += amount_usd
            return made

    def finish(self, part: Reserved, owed: Owed | None) -> None:
        with self._lock:
            if part not in self.reserved:
                raise ValueError(f"call {part.call_id} has ended already")
            if owed is not None:
                if self.journal is not None:
                    self.journal.add(owed)
                # A call that is made again by its id is charged once, for the last time.
                earlier, _ = self.finished.get(owed.call_id, (Decimal(0), None))
                self.taken_usd -= earlier
                self.finished[owed.call_id] = (part.amount_usd, owed)
            else:
                self.taken_usd -= part.amount_usd
            self.reserved.discard(part)

    def is_due(self) -> bool:
        return bool(self.finished) or (self.hold is not None and time.monotonic() > self.renew_at)

    def settle(self, send: Send) -> Steps[None]:
        """Charge what was spent, and hold the amount of the lease again. What cannot be charged now
        waits for the next time."""
        with self._lock:
            spent = list(self.finished.values())
        self._busy = False
        for batch in itertools.batched(spent, MOST_OF_A_BATCH):
            if self.hold is not None:
                # The batch needs the credit that the hold reserves for it.
                amount = sum((part for part, _ in batch), Decimal(0))
                yield from self._change_hold(send, max(self.held_usd - amount, SMALLEST_USD))
            owed = [of for _, of in batch]
            items = cast(list[Charge], [of.item() for of in owed])
            answer = yield from send(operations.create_charges(charges=items))
            for of, result in zip(owed, answer.results, strict=True):
                yield from self._settle_item(of, result, send)
        try:
            yield from self._hold(send, max(self.lease_usd, self.taken_usd))
        except PaymentRequired:
            if self.hold is not None:
                yield from self._change_hold(send, self.held_usd)

    def _settle_item(self, owed: Owed, result: Any, send: Send) -> Steps[None]:
        if isinstance(result, Refused):
            if result.status == _PAYMENT_REQUIRED:
                # Others were faster. The call was made, so it is charged as debt.
                try:
                    yield from settle(owed, send)
                except PaymentRequired as error:
                    log.error("call %s waits for credit: %s", owed.call_id, error)
                    return
            elif result.status == _TOO_MANY_REQUESTS or result.status >= _FIRST_FAILURE:
                self._busy = True
                return
            elif result.status != _CONFLICT:
                report(owed, str(result.error.detail), self.journal)
        with self._lock:
            amount, _ = self.finished.pop(owed.call_id)
            self.taken_usd -= amount
        if self.journal is not None:
            self.journal.done(owed.call_id)

    def extend(self, send: Send, amount_usd: Decimal) -> Steps[None]:
        """Have room for an amount. Raises PaymentRequired."""
        if self.finished:
            yield from self.settle(send)
        needed = self.taken_usd + amount_usd
        try:
            yield from self._hold(send, max(self.lease_usd, needed))
        except InsufficientCredits as refused:
            left = refused.problem.available_usd or Decimal(0)
            if self.held_usd + left < needed:
                raise
            yield from self._hold(send, self.held_usd + left)

    def close(self, send: Send) -> Steps[None]:
        """Charge what was spent, and release the rest. The hold of calls that have not ended, or
        that cannot be charged, stays until it expires."""
        yield from self.settle(send)
        retries = Retries()
        for attempt in range(retries.attempts - 1):
            if not self._busy:
                break
            yield retries.wait_seconds(attempt, None)
            yield from self.settle(send)
        if self._busy:
            log.error("%d calls of %s are not charged", len(self.finished), self.organization)
        elif self.hold is not None and not self.reserved:
            yield from send(operations.release_hold(self.organization, self.hold.id))
            self.hold, self.held_usd = None, Decimal(0)

    def _hold(self, send: Send, amount_usd: Decimal) -> Steps[None]:
        if self.hold is not None:
            yield from self._change_hold(send, amount_usd)
        if self.hold is None:
            about: Any = {"description": "Spending lease", **self.about}
            lasting: Any = {"amount_usd": amount_usd, "expires_in_seconds": HOLD_SECONDS}
            hold = yield from send(operations.create_hold(self.organization, **about, **lasting))
            self._held(hold)

    def _change_hold(self, send: Send, amount_usd: Decimal) -> Steps[None]:
        """Change the hold; without one from then on, if it has ended."""
        if self.hold is None:
            return
        lasting: Any = {"amount_usd": amount_usd, "expires_in_seconds": HOLD_SECONDS}
        change = operations.update_hold(self.organization, self.hold.id, **lasting)
        try:
            self._held((yield from send(change)))
        except (Conflict, NotFound):
            log.warning("the hold of a lease of %s has ended", self.organization)
            self.hold, self.held_usd = None, Decimal(0)

    def _held(self, hold: Hold) -> None:
        self.hold, self.held_usd = hold, hold.amount_usd
        self.renew_at = time.monotonic() + HOLD_SECONDS / 2


def _account(
    organization: UUID | str, amount_usd: Decimal | str, journal: Journal | None, about: Any
) -> Account:
    return Account(str(organization), Decimal(amount_usd), about, journal)


class SpendingLease:
    """A lease for threads, settled by one of its own. `about` are fields of its hold and charges,
    such as `virtual_key_id`."""

    def __init__(
        self,
        billing: "Billing",
        organization: UUID | str,
        amount_usd: Decimal | str,
        *,
        journal: Journal | None = None,
        settle_seconds: float = SETTLE_SECONDS,
        **about: Any,
    ) -> None:
        self.account = _account(organization, amount_usd, journal, about)
        self._billing = billing
        self._every = settle_seconds
        self._network = threading.Lock()
        self._ends = threading.Event()
        self._settler = threading.Thread(target=self._settle_regularly, daemon=True)

    def reserve(self, amount_usd: Decimal | str, call_id: str | None = None) -> Reserved:
        """Reserve the most that a call can cost. Raises PaymentRequired if there is no credit."""
        amount = Decimal(amount_usd)
        while (made := self.account.reserve(amount, call_id)) is None:
            with self._network:
                if self.account.room_usd() < amount or self.account.is_due():
                    self._run(lambda send: self.account.extend(send, amount))
        return made

    def settle(self) -> None:
        """Charge what was spent."""
        with self._network:
            self._run(self.account.settle)

    def close(self) -> None:
        """Charge what was spent, and release the rest of the hold."""
        self._ends.set()
        if self._settler.is_alive():
            self._settler.join()
        with self._network:
            self._run(self.account.close)

    def _run(self, steps: Callable[[Send], Steps[None]]) -> None:
        self._billing.run(steps(self._billing.steps))

    def _settle_regularly(self) -> None:
        while not self._ends.wait(self._every):
            try:
                if self.account.is_due():
                    self.settle()
            except BillingError as error:
                log.warning("a lease is not settled, and will be later: %s", error)

    def __enter__(self) -> Self:
        self._settler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncSpendingLease:
    """A lease for asyncio, settled by a task of its own; otherwise as `SpendingLease`."""

    def __init__(
        self,
        billing: "AsyncBilling",
        organization: UUID | str,
        amount_usd: Decimal | str,
        *,
        journal: Journal | None = None,
        settle_seconds: float = SETTLE_SECONDS,
        **about: Any,
    ) -> None:
        self.account = _account(organization, amount_usd, journal, about)
        self._billing = billing
        self._every = settle_seconds
        self._network = asyncio.Lock()
        self._settler: asyncio.Task[None] | None = None

    async def reserve(self, amount_usd: Decimal | str, call_id: str | None = None) -> Reserved:
        """Reserve the most that a call can cost. Raises PaymentRequired if there is no credit."""
        amount = Decimal(amount_usd)
        while (made := self.account.reserve(amount, call_id)) is None:
            async with self._network:
                if self.account.room_usd() < amount or self.account.is_due():
                    await self._run(lambda send: self.account.extend(send, amount))
        return made

    async def settle(self) -> None:
        """Charge what was spent."""
        async with self._network:
            await self._run(self.account.settle)

    async def close(self) -> None:
        """Charge what was spent, and release the rest of the hold."""
        if self._settler is not None:
            self._settler.cancel()
            await asyncio.wait([self._settler])
        async with self._network:
            await self._run(self.account.close)

    async def _run(self, steps: Callable[[Send], Steps[None]]) -> None:
        await self._billing.run(steps(self._billing.steps))

    async def _settle_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                if self.account.is_due():
                    await self.settle()
            except BillingError as error:
                log.warning("a lease is not settled, and will be later: %s", error)

    def start(self) -> None:
        """Settle regularly from now on."""
        self._settler = asyncio.ensure_future(self._settle_regularly())

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
