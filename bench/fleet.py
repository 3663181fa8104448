"""A fleet of callers through the few connections of a proxy: one organization is busy, and the
others must not notice."""

import asyncio
import itertools
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures

CONNECTIONS = 60
CALLERS = 1000
# A caller of the busy organization calls again after this long at most, as an LLM's answer takes.
PAUSE_SECONDS = 2.0
OTHERS_PER_SECOND = 10
# The charges of a batch, and the organizations of one of many.
BATCH, MIXED = 100, 10


_numbers = itertools.count()


class Fleet(NamedTuple):
    """Median seconds of the others' calls, alone and beside the busy organization; how many calls
    were refused with 429; and the charges a second of the busy one."""

    alone: float
    beside: float
    others: int
    others_refused: int
    busy_refused: int
    busy_per_second: float


class _Refused(Exception):
    pass


class _Proxy:
    """Connections that are lent for one statement, first come, first served."""

    def __init__(self, connections: list[psycopg.AsyncConnection], usage: dict[str, Any]) -> None:
        self._free: asyncio.Queue[psycopg.AsyncConnection] = asyncio.Queue()
        for connection in connections:
            self._free.put_nowait(connection)
        self._usage = usage

    async def charge(self, organization_id: UUID) -> None:
        """Charge, and wait for a place as the product's function does. Raises _Refused."""
        arguments = [organization_id, Jsonb(self._charge())]
        async for _ in _turns():
            answer = await self._call(b"CALL billing.spend(NULL, 'charge', '*', %s, %s)", arguments)
            if answer["outcome"] == "created":
                return
            assert answer["outcome"] == "too_many_requests"

    async def charge_batch(self, organizations: list[UUID]) -> None:
        """Charge a batch in equal parts, as the product's function does. Raises _Refused."""
        each = BATCH // len(organizations)
        waiting = {
            one: [self._charge(organization_id=str(one)) for _ in range(each)]
            for one in organizations
        }
        if len(waiting) > 1:
            charges = [charge for own in waiting.values() for charge in own]
            statement = b"CALL billing.spend_batch(NULL, '*', %s)"
            answer = await self._call(statement, [Jsonb(charges)])
            # The items of one organization have one fate.
            for one, outcome in zip(list(waiting), answer[::each], strict=True):
                if outcome["outcome"] == "created":
                    del waiting[one]
        async for _ in _turns():
            for one, own in list(waiting.items()):
                statement = b"CALL billing.spend_batch_of(NULL, '*', %s, %s)"
                answer = await self._call(statement, [one, Jsonb(own)])
                if answer[0]["outcome"] == "created":
                    del waiting[one]
            if not waiting:
                return

    def _charge(self, **more: Any) -> dict[str, Any]:
        key = f"{time.time_ns()}-{next(_numbers)}"
        return {**self._usage, "idempotency_key": key, "request_id": key, **more}

    async def _call(self, statement: bytes, arguments: list[Any]) -> Any:
        connection = await self._free.get()
        try:
            row = await (await connection.execute(statement, arguments)).fetchone()
        finally:
            self._free.put_nowait(connection)
        assert row
        return row[0]


async def _turns() -> AsyncIterator[None]:
    """The tries of a call, as those of the product. Raises _Refused after the last."""
    ends = time.monotonic() + procedures.PATIENCE_SECONDS
    for tries in itertools.count(1):
        yield
        if time.monotonic() >= ends:
            raise _Refused
        await asyncio.sleep(procedures.pause_seconds(tries))


def simulate(
    app_url: str, ids: list[UUID], usage: dict[str, Any], seconds: float, work: str
) -> Fleet:
    """Simulate the fleet, whose callers of the first organization do the `work` of WORK."""
    return asyncio.run(_simulate(app_url, ids, usage, seconds, work))


async def _simulate(
    app_url: str, ids: list[UUID], usage: dict[str, Any], seconds: float, work: str
) -> Fleet:
    connections = [
        await psycopg.AsyncConnection.connect(app_url, autocommit=True, prepare_threshold=None)
        for _ in range(CONNECTIONS)
    ]
    try:
        proxy = _Proxy(connections, usage)
        busy, *others = ids
        alone, _ = await _others(proxy, others, seconds)
        tally = {"charged": 0, "refused": 0}
        callers = [
            asyncio.create_task(_call_again(WORK[work](proxy, busy, others), tally))
            for _ in range(CALLERS)
        ]
        # Until all have begun.
        await asyncio.sleep(PAUSE_SECONDS)
        tally.update(charged=0, refused=0)
        began = time.monotonic()
        beside, refused = await _others(proxy, others, seconds)
        per_second = tally["charged"] / (time.monotonic() - began)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    finally:
        for connection in connections:
            await connection.close()
    return Fleet(
        statistics.median(alone),
        statistics.median(beside),
        len(beside) + refused,
        refused,
        tally["refused"],
        per_second,
    )


async def _call_again(work: Callable[[], Awaitable[int]], tally: dict[str, int]) -> None:
    while True:
        await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
        try:
            tally["charged"] += await work()
        except _Refused:
            tally["refused"] += 1


def _charges(proxy: _Proxy, busy: UUID, _others: list[UUID]) -> Callable[[], Awaitable[int]]:
    async def work() -> int:
        await proxy.charge(busy)
        return 1

    return work


def _batches(proxy: _Proxy, busy: UUID, _others: list[UUID]) -> Callable[[], Awaitable[int]]:
    async def work() -> int:
        await proxy.charge_batch([busy])
        return BATCH

    return work


def _mixed(proxy: _Proxy, busy: UUID, others: list[UUID]) -> Callable[[], Awaitable[int]]:
    async def work() -> int:
        await proxy.charge_batch([busy, *random.sample(others, MIXED - 1)])
        return BATCH // MIXED

    return work


# What a caller of the busy organization does, again and again; it answers the charges of it.
WORK: dict[str, Callable[[_Proxy, UUID, list[UUID]], Callable[[], Awaitable[int]]]] = {
    "charges": _charges,
    f"batches of {BATCH}": _batches,
    f"batches of {BATCH} with {MIXED - 1} others": _mixed,
}


async def _others(proxy: _Proxy, others: list[UUID], seconds: float) -> tuple[list[float], int]:
    """Return the seconds of the others' charges, which arrive whatever became of those before, and
    how many were refused."""
    times: list[float] = []
    refused = 0

    async def charge(organization_id: UUID) -> None:
        nonlocal refused
        began = time.monotonic()
        try:
            await proxy.charge(organization_id)
            times.append(time.monotonic() - began)
        except _Refused:
            refused += 1

    calls = []
    for _ in range(int(seconds * OTHERS_PER_SECOND)):
        calls.append(asyncio.create_task(charge(random.choice(others))))
        await asyncio.sleep(1 / OTHERS_PER_SECOND)
    await asyncio.gather(*calls)
    return times, refused
