"""The billing of a gateway: a call begins, and ends charged or released. For gateways of any make.

    call_id = await gateway.begin(call)          # raises Refused, or Away in the mode `fail_closed`
    await gateway.charge(call_id, {"usage": ...})  # or: await gateway.release(call_id)

A call's credit is held by a hold of its own, or by a lease of its key. A charge is written to the
journal before it is sent; if the product is away, it is sent later, by the same key.
"""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from dataclasses import asdict, dataclass, replace
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import UUID

from synaxis_billing_client import operations
from synaxis_billing_client.calls import new_key
from synaxis_billing_client.client import AsyncBilling
from synaxis_billing_client.errors import AWAY, BillingError, NotFound, PaymentRequired
from synaxis_billing_client.journal import Journal, report
from synaxis_billing_client.leases import AsyncSpendingLease, Reserved
from synaxis_billing_client.models import Problem
from synaxis_billing_client.owed import SMALLEST_USD, Owed, settle
from synaxis_billing_client.usage import read_usage

log = logging.getLogger("synaxis_billing_client")

type Mode = Literal["fail_open", "fail_closed"]

RETRY_SECONDS = 5.0
# How long an organization's id and a model's rates are kept, and the id that there is none.
KEPT_SECONDS, MISSING_SECONDS = 300.0, 10.0
# Calls that are remembered, so that a second event of one changes nothing.
MOST_CALLS = 50_000
# A call that takes longer reserves nothing any more, as if its hold had expired. It is charged.
RESERVED_SECONDS = 900.0
_MILLION = 1_000_000


class Away(BillingError):
    """The product does not answer, and the mode is `fail_closed`."""


@dataclass(frozen=True)
class GatewayCall:
    """A call that begins. `organization` is an id or an external id of the product."""

    organization: str
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    team_id: str | None = None
    virtual_key_id: str | None = None
    end_user: str | None = None

    def about(self) -> dict[str, str]:
        facts = asdict(self)
        named = {name: facts[name] for name in ("team_id", "virtual_key_id", "end_user")}
        return {name: value for name, value in named.items() if value}

    def most(self) -> dict[str, Any]:
        tokens = {"input": self.input_tokens, "output": self.output_tokens}
        return {"format": "buckets", **tokens}


class Open(NamedTuple):
    """A call that has begun: what holds its credit, if the product was there, and how it ended."""

    call: GatewayCall
    began: float
    hold_id: str | None = None
    reserved: Reserved | None = None
    end: Literal["charged", "released"] | None = None


class Rates(NamedTuple):
    """The price of an input and of an output token, in US dollars."""

    input_usd: Decimal
    output_usd: Decimal

    def most_usd(self, call: GatewayCall) -> Decimal:
        amount = call.input_tokens * self.input_usd + call.output_tokens * self.output_usd
        return max(amount.quantize(SMALLEST_USD, ROUND_UP), SMALLEST_USD)


class Kept[K, V]:
    """Values for a while."""

    def __init__(self) -> None:
        self._values: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        until, value = self._values.get(key, (0.0, None))
        return value if time.monotonic() < until else None

    def put(self, key: K, value: V, seconds: float = KEPT_SECONDS) -> V:
        self._values[key] = (time.monotonic() + seconds, value)
        return value


class Gateway:
    """Bills the calls of one process. `start` it in the event loop that makes the calls."""

    def __init__(
        self,
        billing: AsyncBilling,
        *,
        mode: Mode = "fail_open",
        lease_usd: Decimal | None = None,
        journal: Path | str,
    ) -> None:
        self._billing = billing
        self._mode = mode
        self._lease_usd = lease_usd
        self._journal = Journal(journal)
        self._calls: OrderedDict[str, Open] = OrderedDict()
        self._organizations: Kept[str, UUID | str] = Kept()
        self._rates: Kept[tuple[str, str, str], Rates] = Kept()
        self._leases: dict[tuple[str, str | None, str | None], AsyncSpendingLease] = {}
        self._sending: set[str] = set()
        self._settler: asyncio.Task[None] | None = None
        # The event loop keeps no reference to a task.
        self._releases: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Send what earlier processes owe, and from now on what could not be sent at once."""
        self._settler = asyncio.ensure_future(self._settle_regularly())

    # ---- a call -----------------------------------------------------------------------------

    async def begin(self, call: GatewayCall) -> str:
        """Hold the most that a call can cost, and return its id. Raises Refused, Away."""
        call_id = new_key()
        try:
            organization = await self._organization(call.organization)
            opened = await self._reserve(call_id, replace(call, organization=organization))
        except AWAY as error:
            if self._mode == "fail_closed":
                raise Away(f"Billing is away, so no call is made: {error}") from error
            log.warning("billing is away; call %s is made and charged later: %s", call_id, error)
            opened = Open(call, time.monotonic())
        self._calls[call_id] = opened
        if len(self._calls) > MOST_CALLS:
            self._calls.popitem(last=False)
        return call_id

    async def charge(self, call_id: str, cost: dict[str, Any]) -> None:
        """Charge a call that was made, by its usage or its amount. A second time changes nothing.

        A call that was released because a later step failed it is charged without its hold.
        """
        opened = self._calls.get(call_id)
        if opened is None or opened.end == "charged":
            log.debug("call %s was charged before, or began in another process", call_id)
            return
        self._calls[call_id] = opened._replace(end="charged")
        charge = {**opened.call.about(), **cost}
        if "usage" in cost:
            charge["usage"] = read_usage(cost["usage"])
        if opened.end is None and opened.reserved is not None:
            priced = {"usage": None, "amount_usd": None, **charge}
            opened.reserved.capture(priced.pop("usage"), **priced)
            return
        hold_id = opened.hold_id if opened.end is None else None
        await self.owe(Owed(opened.call.organization, call_id, charge, hold_id))

    async def owe(self, owed: Owed) -> None:
        """Charge what is owed, now or later."""
        self._journal.add(owed)
        await self._settle(owed)

    async def charge_made(self, call_id: str, call: GatewayCall, cost: dict[str, Any]) -> None:
        """Charge a call that did not begin here, once by its id."""
        await self.owe(Owed(call.organization, call_id, {**call.about(), **cost}))

    def release(self, call_id: str) -> None:
        """Free the hold of a call that was not answered. The caller does not wait for it."""
        opened = self._calls.get(call_id)
        if opened is None or opened.end is not None:
            return
        self._calls[call_id] = opened._replace(end="released")
        if opened.reserved is not None:
            opened.reserved.release()
        elif opened.hold_id is not None:
            work = self._release(opened.call.organization, opened.hold_id, call_id)
            task = asyncio.ensure_future(work)
            self._releases.add(task)
            task.add_done_callback(self._releases.discard)

    async def close(self) -> None:
        """Finish what is under way, settle the leases, and end."""
        if self._settler is not None:
            self._settler.cancel()
            await asyncio.wait([self._settler])
        await asyncio.gather(*self._releases)
        for lease in self._leases.values():
            with contextlib.suppress(BillingError):
                await lease.close()
        self._journal.close()
        await self._billing.close()

    # ---- what holds its credit ------------------------------------------------------------------

    async def _reserve(self, call_id: str, call: GatewayCall) -> Open:
        began = time.monotonic()
        if self._lease_usd is not None:
            rates = await self._rates_of(call)
            lease = self._lease_of(call, self._lease_usd)
            reserved = await lease.reserve(rates.most_usd(call), call_id)
            return Open(call, began, reserved=reserved)
        held = await self._billing.create_hold(
            call.organization,
            idempotency_key=f"{call_id}:hold",
            request_id=call_id,
            description="LLM call",
            provider=call.provider,
            model=call.model,
            usage=call.most(),
            **call.about(),  # type: ignore[arg-type]
        )
        return Open(call, began, hold_id=str(held.id))

    def _lease_of(self, call: GatewayCall, lease_usd: Decimal) -> AsyncSpendingLease:
        key = (call.organization, call.team_id, call.virtual_key_id)
        if key not in self._leases:
            about: dict[str, Any] = call.about()
            about.pop("end_user", None)
            lease = AsyncSpendingLease(
                self._billing, call.organization, lease_usd, journal=self._journal, **about
            )
            lease.start()
            self._leases[key] = lease
        return self._leases[key]

    async def _rates_of(self, call: GatewayCall) -> Rates:
        key = (call.organization, call.provider, call.model)
        if (kept := self._rates.get(key)) is not None:
            return kept
        # Of the largest call, whose rates are the highest.
        quote = await self._billing.create_quote(
            organization_id=call.organization,
            provider=call.provider,
            model=call.model,
            usage={"format": "buckets", "input": _MILLION, "output": _MILLION},
        )
        per_token = {
            line.bucket: line.usd_per_million * quote.price_multiplier / _MILLION
            for line in quote.lines
        }
        zero = Decimal(0)
        rates = Rates(per_token.get("input", zero), per_token.get("output", zero))
        return self._rates.put(key, rates)

    async def _organization(self, name: str) -> str:
        """The id of an organization, by its external id or its id. Raises Refused."""
        kept = self._organizations.get(name)
        if kept is not None:
            return str(kept)
        async for found in self._billing.list_organizations(external_id=name, limit=1):
            return str(self._organizations.put(name, found.id))
        if not _is_id(name):
            detail = f"Billing knows no organization {name!r}, by its external id or its id."
            raise NotFound(404, Problem(code="organization_not_found", detail=detail))
        return str(self._organizations.put(name, (await self._billing.get_organization(name)).id))

    async def knows(self, name: str) -> bool:
        """Whether there is an organization of this name. Raises AWAY errors."""
        if self._organizations.get(f"no {name}") is not None:
            return False
        try:
            await self._organization(name)
        except NotFound:
            self._organizations.put(f"no {name}", name, MISSING_SECONDS)
            return False
        return True

    # ---- what is owed -----------------------------------------------------------------------

    async def _settle(self, owed: Owed) -> None:
        if owed.call_id in self._sending:
            return
        self._sending.add(owed.call_id)
        try:
            if not _is_id(owed.organization):
                # It could not be looked up when the call began.
                organization = await self._organization(owed.organization)
                owed = replace(owed, organization=organization)
            await self._billing.run(settle(owed, self._billing.steps))
            self._journal.done(owed.call_id)
        except (*AWAY, PaymentRequired) as error:
            log.warning("call %s is charged later: %s", owed.call_id, error)
        except BillingError as error:
            report(owed, str(error), self._journal)
        finally:
            self._sending.discard(owed.call_id)

    async def _settle_regularly(self) -> None:
        while True:
            leased = {
                call_id for lease in self._leases.values() for call_id in lease.account.finished
            }
            for owed in self._journal.owed():
                if owed.call_id not in leased:
                    await self._settle(owed)
            self._free_lost_calls()
            self._journal.adopt()
            await asyncio.sleep(RETRY_SECONDS)

    def _free_lost_calls(self) -> None:
        """Free what the lease reserves for calls of which no end was reported."""
        latest = time.monotonic() - RESERVED_SECONDS
        for call_id, opened in self._calls.items():
            if opened.began > latest:
                return
            if opened.end is None and opened.reserved is not None:
                opened.reserved.release()
                self._calls[call_id] = opened._replace(reserved=None)

    async def _release(self, organization: str, hold_id: str, call_id: str) -> None:
        release = operations.release_hold(
            organization, hold_id, idempotency_key=f"{call_id}:release"
        )
        try:
            await self._billing.call(release)
        except BillingError as error:
            log.warning("hold %s is not released, and will expire: %s", hold_id, error)


def _is_id(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True
