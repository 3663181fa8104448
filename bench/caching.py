"""The cache beside its floors and other libraries, and what it would have saved of a real trace."""

import asyncio
import csv
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import aiocache
import cachetools
import cashews
import theine
from aiocache.serializers import StringSerializer
from dogpile.cache import make_region

from local import servers
from synaxis_billing.cache import L2, Cache, Family, Loaded
from synaxis_billing.cache.clock import Clock
from synaxis_billing.cache.connections import client_of
from synaxis_billing.cache.keys import Key
from synaxis_billing.organizations.profile import Organization

ROUNDS = 9
FAMILY = Family("bench", Organization)
MANY = 100
LARGE = 200_000

Work = Callable[[int], None]


class Timing(NamedTuple):
    """Seconds of one operation, the floor's first."""

    what: str
    seconds: dict[str, float]


def measure(folder: Path, seconds: float) -> list[Timing]:
    with servers.valkey(folder) as url, asyncio.Runner() as runner:
        stand = _Stand(url, runner)
        return [
            # Shorter than an entry of ours lives.
            Timing("L1 hit", _beside(stand.l1(), min(seconds, 3))),
            Timing("L2 hit", _beside(stand.l2(), seconds)),
            Timing("get_many(100)", _beside(stand.many(), seconds)),
            Timing("miss, load and fill", _beside(stand.fill(), seconds)),
            Timing("flush of a tenant, 200,000 keys", stand.flush()),
            Timing("get with Redis dead", _beside(stand.dead(), seconds)),
        ]


def _beside(cases: dict[str, Work], seconds: float) -> dict[str, float]:
    """The median seconds of one operation of each, taken in turns."""
    count = {}
    for name, work in cases.items():
        work(10)
        one = _seconds(work, 100) / 100
        count[name] = max(1, int(seconds / ROUNDS / len(cases) / one))
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, work in cases.items():
            taken[name].append(_seconds(work, count[name]) / count[name])
    return {name: statistics.median(of) for name, of in taken.items()}


def _seconds(work: Work, count: int) -> float:
    began = time.perf_counter()
    work(count)
    return time.perf_counter() - began


def _repeat(one: Callable[[], object]) -> Work:
    def work(count: int) -> None:
        for _ in range(count):
            one()

    return work


class _Stand:
    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self._url, self._runner = url, runner
        self._cache = Cache(L2(url))
        self._client = client_of(url, cluster=False)
        self._tenant = uuid4()
        self._keys = [FAMILY.key(self._tenant, str(number)) for number in range(MANY)]
        self._names = [key.wire for key in self._keys]
        self._value = _organization(self._tenant)
        self._json = self._value.model_dump_json()

    def l1(self) -> dict[str, Work]:
        key, name, value = self._keys[0], self._names[0], self._value
        entries = {name: (value, time.monotonic() + 3600)}
        monotonic = time.monotonic

        def floor() -> Any:
            found = entries[name]
            return found[0] if monotonic() < found[1] else None

        cache = Cache(None)
        cache.get_or_load(key, lambda: Loaded(value))
        ttl: Any = cachetools.TTLCache(1000, 3600)
        ttl[name] = value
        tiny: Any = theine.Cache(1000)
        tiny.set(name, value)
        memory = make_region().configure("dogpile.cache.memory")
        memory.set(name, value)
        cashew = cashews.Cache()
        cashew.setup("mem://")
        simple = aiocache.SimpleMemoryCache()
        self._runner.run(cashew.set(name, value))
        self._runner.run(simple.set(name, value))
        return {
            "dict and clock": _repeat(floor),
            "ours": _repeat(lambda: cache.get(key)),
            "cachetools": _repeat(lambda: ttl.get(name)),
            "theine": _repeat(lambda: tiny.get(name)),
            "dogpile": _repeat(lambda: memory.get(name)),
            "cashews": self._awaited(lambda: cashew.get(name)),
            "aiocache": self._awaited(lambda: simple.get(name)),
        }

    def l2(self) -> dict[str, Work]:
        key, name = self._keys[0], f"plain:{self._names[0]}"
        self._client.set(name, self._json, ex=3600)
        self._cache.set(key, self._value)
        decode = Organization.model_validate_json
        dogpile, cashew, aio = self._redis_peers()
        dogpile.set(f"d{name}", self._json)
        self._runner.run(cashew.set(f"c{name}", self._json, expire=3600))
        self._runner.run(aio.set(f"a{name}", self._json, ttl=3600))

        def ours() -> None:
            self._cache.l1.clear()
            self._cache.get(key)

        return {
            "GET and decode": _repeat(lambda: decode(self._client.get(name))),
            "ours": _repeat(ours),
            "dogpile": _repeat(lambda: decode(dogpile.get(f"d{name}"))),
            "cashews": self._awaited(lambda: _decoded(cashew.get(f"c{name}"))),
            "aiocache": self._awaited(lambda: _decoded(aio.get(f"a{name}"))),
        }

    def many(self) -> dict[str, Work]:
        names = [f"plain:{name}" for name in self._names]
        self._client.mset(dict.fromkeys(names, self._json))
        self._cache.set_many({key: Loaded(self._value) for key in self._keys})
        decode = Organization.model_validate_json
        dogpile, cashew, aio = self._redis_peers()
        dogpile.set_multi({f"d{name}": self._json for name in names})
        for name in names:
            self._runner.run(cashew.set(f"c{name}", self._json, expire=3600))
            self._runner.run(aio.set(f"a{name}", self._json, ttl=3600))

        def ours() -> None:
            self._cache.l1.clear()
            assert len(self._cache.get_many(self._keys)) == MANY

        async def all_of_cashews() -> None:
            for value in await cashew.get_many(*(f"c{name}" for name in names)):
                decode(value)

        async def all_of_aiocache() -> None:
            for value in await aio.multi_get([f"a{name}" for name in names]):
                decode(value)

        return {
            "MGET and decode": _repeat(
                lambda: [decode(value) for value in self._client.mget(names)]
            ),
            "ours": _repeat(ours),
            "dogpile": _repeat(
                lambda: [decode(of) for of in dogpile.get_multi([f"d{name}" for name in names])]
            ),
            "cashews": self._awaited(all_of_cashews),
            "aiocache": self._awaited(all_of_aiocache),
        }

    def fill(self) -> dict[str, Work]:
        dogpile, cashew, _ = self._redis_peers()
        value, text = self._value, self._json

        def floor() -> None:
            name = f"plain:{uuid4()}"
            if self._client.get(name) is None:
                self._client.set(name, value.model_dump_json(), ex=3600)

        def ours() -> None:
            key = FAMILY.key(self._tenant, str(uuid4()))
            self._cache.get_or_load(key, lambda: Loaded(value))

        async def of_cashews() -> None:
            await cashew.get_or_set(f"c{uuid4()}", value.model_dump_json, expire=3600)

        return {
            "GET and SET": _repeat(floor),
            "ours, with lease and fences": _repeat(ours),
            "dogpile": _repeat(lambda: dogpile.get_or_create(str(uuid4()), lambda: text)),
            "cashews": self._awaited(of_cashews),
        }

    def flush(self) -> dict[str, float]:
        """By looking for the keys, as a pattern is removed elsewhere, and by renewing a fence."""
        self._client.flushall()
        chunk = 1000
        for first in range(0, LARGE, chunk):
            of = range(first, first + chunk)
            self._client.mset({f"other:{uuid4()}:{number}": self._json for number in of})
        self._cache.set_many({key: Loaded(self._value) for key in self._keys})

        def search() -> None:
            for name in self._client.scan_iter(match=f"*{self._tenant}*", count=1000):
                self._client.unlink(name)

        fenced = statistics.median(
            _seconds(lambda _: self._cache.flush(self._tenant), 1) for _ in range(101)
        )
        return {"SCAN and UNLINK": _seconds(lambda _: search(), 1), "ours": fenced}

    def dead(self) -> dict[str, Work]:
        cache, name = Cache(L2("redis://127.0.0.1:1")), self._keys[0]
        alone = Cache(None)

        def one(of: Cache) -> Work:
            def ask() -> None:
                of.l1.clear()
                of.get_or_load(name, lambda: Loaded(self._value))

            return _repeat(ask)

        return {"without Redis": one(alone), "ours": one(cache)}

    def _redis_peers(self) -> tuple[Any, Any, Any]:
        dogpile = make_region().configure("dogpile.cache.redis", arguments={"url": self._url})
        cashew = cashews.Cache()
        cashew.setup(self._url)
        rest = self._url.removeprefix("redis://:")
        password, _, address = rest.partition("@")
        host, _, port = address.removesuffix("/0").partition(":")
        aio = aiocache.RedisCache(
            endpoint=host, port=int(port), password=password, serializer=StringSerializer()
        )
        return dogpile, cashew, aio

    def _awaited(self, one: Callable[[], Awaitable[object]]) -> Work:
        async def work(count: int) -> None:
            for _ in range(count):
                await one()

        return lambda count: self._runner.run(work(count))


async def _decoded(text: Awaitable[str]) -> Organization:
    return Organization.model_validate_json(await text)


def _organization(organization_id: UUID) -> Organization:
    return Organization.model_validate(
        {
            **dict.fromkeys(Organization.model_fields),
            "id": organization_id,
            "name": "Acme",
            "billing_currency": "EUR",
            "timezone": "Europe/Berlin",
            "external_id": "acme-7",
            "email": "billing@acme.example",
            "status": "active",
            "credit_limit_usd": "0.00",
            "region": "eu-central-1",
            "low_balance_threshold_usd": "10.00",
            "locale": "de-DE",
            "payment_terms_days": 30,
            "price_multiplier": "1.00",
            "created_at": datetime.fromisoformat("2026-01-01T00:00:00Z"),
        }
    )


class Ratios(NamedTuple):
    """Of all lookups; `first` are those that nobody could have answered from a cache."""

    requests: int
    l1: float
    l2: float
    first: float


def replay(folder: Path, trace: Path, organizations: int, containers: int) -> Ratios:
    """Each request of a trace looks one organization up: the n-th as often as 1/n (Zipf), in
    one of the containers."""
    dice = random.Random(1)
    now = [0.0]
    clock = Clock(lambda: now[0], lambda: now[0])
    ids = [UUID(int=number + 1) for number in range(organizations)]
    weights = list(accumulate(1 / (number + 1) for number in range(organizations)))
    with servers.valkey(folder) as url:
        caches = [Cache(L2(url, clock=clock), clock) for _ in range(containers)]
        times = [
            datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp()
            for row in csv.DictReader(trace.read_text().splitlines())
        ]
        seen = set()
        for at in times:
            now[0] = at
            cache = dice.choice(caches)
            cache.wake()
            [organization_id] = dice.choices(ids, cum_weights=weights)
            seen.add(organization_id)
            key: Key[Organization] = FAMILY.key(organization_id)
            value = _organization(organization_id)
            cache.get_or_load(key, lambda value=value: Loaded(value))  # type: ignore[misc]
        counts = [cache.counts(FAMILY) for cache in caches]
    requests = len(times)
    return Ratios(
        requests,
        sum(of.l1_hits for of in counts) / requests,
        sum(of.l2_hits for of in counts) / requests,
        len(seen) / requests,
    )
