"""A fleet of callers through the few connections of a proxy: one organization is busy, and the
others must not notice."""

import asyncio
import itertools
import random
import statistics
import time
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

    def __init__(self, connections: list[psycopg.AsyncConnection]) -> None:
        self._free: asyncio.Queue[psycopg.AsyncConnection] = asyncio.Queue()
        for connection in connections:
            self._free.put_nowait(connection)

    async def charge(self, organization_id: UUID, usage: dict[str, Any], key: str) -> None:
        """Charge, and wait for a place as the product's function does. Raises _Refused."""
        request = Jsonb({**usage, "idempotency_key": key, "request_id": key})
        ends = time.monotonic() + procedures.PATIENCE_SECONDS
        for tries in itertools.count(1):
            connection = await self._free.get()
            try:
                cursor = await connection.execute(
                    b"CALL billing.spend(NULL, 'charge', '*', %s, %s)", [organization_id, request]
                )
                row = await cursor.fetchone()
            finally:
                self._free.put_nowait(connection)
            assert row
            if row[0]["outcome"] == "created":
                return
            assert row[0]["outcome"] == "too_many_requests"
            if time.monotonic() >= ends:
                raise _Refused
            await asyncio.sleep(procedures.pause_seconds(tries))


def simulate(app_url: str, ids: list[UUID], usage: dict[str, Any], seconds: float) -> Fleet:
    return asyncio.run(_simulate(app_url, ids, usage, seconds))


async def _simulate(app_url: str, ids: list[UUID], usage: dict[str, Any], seconds: float) -> Fleet:
    connections = [
        await psycopg.AsyncConnection.connect(app_url, autocommit=True, prepare_threshold=None)
        for _ in range(CONNECTIONS)
    ]
    try:
        proxy = _Proxy(connections)
        busy, *others = ids
        alone, _ = await _others(proxy, others, usage, seconds)
        tally = {"charged": 0, "refused": 0}
        callers = [
            asyncio.create_task(_call_again(proxy, busy, usage, number, tally))
            for number in range(CALLERS)
        ]
        # Until all have begun.
        await asyncio.sleep(PAUSE_SECONDS)
        tally.update(charged=0, refused=0)
        began = time.monotonic()
        beside, refused = await _others(proxy, others, usage, seconds)
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


async def _call_again(
    proxy: _Proxy, busy: UUID, usage: dict[str, Any], number: int, tally: dict[str, int]
) -> None:
    while True:
        await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
        try:
            await proxy.charge(busy, usage, f"{time.time_ns()}-{number}")
            tally["charged"] += 1
        except _Refused:
            tally["refused"] += 1


async def _others(
    proxy: _Proxy, others: list[UUID], usage: dict[str, Any], seconds: float
) -> tuple[list[float], int]:
    """Return the seconds of the others' charges, which arrive whatever became of those before, and
    how many were refused."""
    times: list[float] = []
    refused = 0

    async def charge(organization_id: UUID) -> None:
        nonlocal refused
        began = time.monotonic()
        try:
            await proxy.charge(organization_id, usage, f"{time.time_ns()}")
            times.append(time.monotonic() - began)
        except _Refused:
            refused += 1

    calls = []
    for _ in range(int(seconds * OTHERS_PER_SECOND)):
        calls.append(asyncio.create_task(charge(random.choice(others))))
        await asyncio.sleep(1 / OTHERS_PER_SECOND)
    await asyncio.gather(*calls)
    return times, refused
