"""Two-level cache: this container's memory, then Redis, then the source of the value."""

import contextlib
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel

from synaxis_billing.cache.clock import Clock
from synaxis_billing.cache.counts import Counts
from synaxis_billing.cache.keys import Family, Key, parse_pattern
from synaxis_billing.cache.l1 import L1, MISSING, Stamp
from synaxis_billing.cache.l2 import L2, Fill, Found, Invalidation, Leased, Unreachable

# How long to wait for a load of another container; then this one loads too.
WAIT_SECONDS = 0.25
POLL_SECONDS = 0.01
# Values stored together do not all expire together.
JITTER = 0.1


class Loaded[T: BaseModel](NamedTuple):
    """A value from its source; `version` orders the states of its row, later ones being larger."""

    value: T
    version: int = 0


class Cache:
    """Keys of one call belong to one tenant. Without Redis (l2=None) it is a short-lived L1."""

    def __init__(
        self,
        l2: L2 | None,
        clock: Clock = Clock(),  # noqa: B008
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.l1 = L1(clock)
        self._l2 = l2
        self._sleep = sleep
        self._counts: dict[str, Counts] = {}

    def get[T: BaseModel](self, key: Key[T]) -> T | None:
        """Return the value, or None if it is not cached."""
        value: T | None = self.l1.get(key.wire)
        if value is not MISSING:
            return value
        stamp = self.l1.stamp()
        found = self._read([key]).get(key.wire)
        if found is None:
            self.counts(key.family).misses += 1
            return None
        return self._kept(key, found, stamp)

    def get_many[T: BaseModel](self, keys: Sequence[Key[T]]) -> dict[Key[T], T]:
        """Return the cached values, by one round trip. Raises ValueError for mixed tenants."""
        _one_tenant(keys)
        known: dict[Key[T], T] = {}
        missing = []
        in_l1 = self.l1.get
        for key in keys:
            value = in_l1(key.wire)
            if value is MISSING:
                missing.append(key)
            elif value is not None:
                known[key] = value
        stamp = self.l1.stamp()
        stored = self._read(missing)
        for key in missing:
            found = stored.get(key.wire)
            if found is None:
                self.counts(key.family).misses += 1
            elif (value := self._kept(key, found, stamp)) is not None:
                known[key] = value
        return known

    def get_or_load[T: BaseModel](
        self, key: Key[T], load: Callable[[], Loaded[T] | None]
    ) -> T | None:
        """Return the value, cached or loaded; None if there is none."""
        value: T | None = self.l1.get(key.wire)
        if value is not MISSING:
            return value

        def load_one(_keys: Sequence[Key[T]]) -> dict[Key[T], Loaded[T]]:
            loaded = load()
            return {} if loaded is None else {key: loaded}

        return self.get_or_load_many([key], load_one).get(key)

    def get_or_load_many[T: BaseModel](
        self,
        keys: Sequence[Key[T]],
        load: Callable[[Sequence[Key[T]]], Mapping[Key[T], Loaded[T]]],
    ) -> dict[Key[T], T]:
        """Return all values that exist. `load` is called once for those that are not cached, and
        may leave out those that do not exist. Raises what `load` raises, and ValueError for mixed
        tenants."""
        known, missing = self._from_l1(keys)
        stamp = self.l1.stamp()
        stale = {}
        stored = self._read(missing)
        for key in missing:
            found = stored.get(key.wire)
            if found is not None and found[1]:
                known[key] = self._kept(key, found, stamp)
            elif found is not None:
                stale[key] = found
        missing = [key for key in missing if key not in known]
        if missing:
            known |= self._loaded(missing, stale, load)
        return {key: value for key, value in known.items() if value is not None}

    def set[T: BaseModel](
        self, key: Key[T], value: T, *, version: int = 0, ttl_seconds: int | None = None
    ) -> None:
        """Store a new value; a load that is under way does not overwrite it."""
        self.set_many({key: Loaded(value, version)}, ttl_seconds=ttl_seconds)

    def set_many[T: BaseModel](
        self, values: Mapping[Key[T], Loaded[T]], *, ttl_seconds: int | None = None
    ) -> None:
        """Store new values. Raises Unreachable: then an older value may still be in Redis."""
        keys = list(values)
        _one_tenant(keys)
        fills = [_fill(key, of.value, of.version, ttl_seconds) for key, of in values.items()]
        try:
            if self._l2 is not None and fills:
                self._l2.fill(fills, self._l2.lease(keys, []), unleased=True)
        finally:
            self.l1.remove(*(key.wire for key in keys))

    def remove(self, key: Key[Any], *, version: int = 0) -> None:
        self.remove_many([key], version=version)

    def remove_many(self, keys: Sequence[Key[Any]], *, version: int = 0) -> None:
        """Drop values, everywhere but in the L1 of other containers, which end within seconds; with
        a row version, refuse to store older ones. Raises Unreachable."""
        _one_tenant(keys)
        if keys:
            self.invalidate([Invalidation({}, {key.wire: version for key in keys})])

    def remove_by_pattern(self, pattern: str) -> None:
        """Drop all values that match tenant:{uuid}:* or tenant:{uuid}:{family}:...*, by one write;
        a narrower pattern drops its whole family. Raises ValueError, Unreachable."""
        tenant, family = parse_pattern(pattern)
        if family is None:
            self.flush(tenant)
        else:
            self.invalidate([Invalidation.of(tenant, families={family: 0})])

    def remove_by_tag(self, tenant: UUID, *tags: str, version: int = 0) -> None:
        """Drop all values whose keys have one of the tags. Raises Unreachable."""
        self.invalidate([Invalidation.of(tenant, tags=dict.fromkeys(tags, version))])

    def flush(self, tenant: UUID) -> None:
        """Drop all values of a tenant, by one write. Raises Unreachable."""
        self.invalidate([Invalidation.of(tenant, everything=0)])

    def invalidate(self, invalidations: Sequence[Invalidation]) -> None:
        """Apply invalidations in one step. Raises Unreachable: then all must be applied again."""
        try:
            if self._l2 is not None and invalidations:
                self._l2.invalidate(invalidations)
        finally:
            for one in invalidations:
                if one.fences:
                    # The values behind a fence are not known here, so all are dropped.
                    self.l1.clear()
                self.l1.remove(*one.values)

    def connect(self) -> None:
        """Connect to Redis, if there is one, with more patience than a request has."""
        if self._l2 is not None:
            self._l2.connect()

    def wake(self) -> None:
        """Forget L1 after a freeze; called when an invocation begins."""
        self.l1.wake()

    def counts(self, family: Family[Any]) -> Counts:
        """Return the counts of a family in this container."""
        counts = self._counts.get(family.name)
        if counts is None:
            counts = self._counts[family.name] = Counts()
        return counts

    @property
    def families(self) -> Mapping[str, Counts]:
        return self._counts

    @property
    def reachable(self) -> bool:
        """Say whether Redis answers now."""
        try:
            if self._l2 is not None:
                self._l2.ping()
        except Unreachable:
            return False
        return self._l2 is not None

    @property
    def breaker_open(self) -> bool:
        return self._l2 is not None and self._l2.open

    @property
    def failures(self) -> int:
        return 0 if self._l2 is None else self._l2.failures

    def _from_l1[T: BaseModel](
        self, keys: Sequence[Key[T]]
    ) -> tuple[dict[Key[T], T | None], list[Key[T]]]:
        _one_tenant(keys)
        known: dict[Key[T], T | None] = {}
        missing = []
        for key in dict.fromkeys(keys):
            value = self.l1.get(key.wire)
            if value is MISSING:
                missing.append(key)
            else:
                known[key] = value
        return known, missing

    def _read(self, keys: Sequence[Key[Any]]) -> dict[str, Found]:
        if self._l2 is None or not keys:
            return {}
        try:
            return self._l2.read(keys)
        except Unreachable:
            self.counts(keys[0].family).unreachable += 1
            return {}

    def _kept[T: BaseModel](self, key: Key[T], found: Found, stamp: Stamp) -> T | None:
        """Return the values that Redis has, and keep them in L1."""
        family = key.family
        counts = self.counts(family)
        counts.l2_hits += 1
        payload, fresh = found
        value = None if payload is None else family.decode(payload)
        if fresh:
            self.l1.put(key.wire, value, len(payload or b""), stamp, counts)
        else:
            counts.stale += 1
        return value

    def _loaded[T: BaseModel](
        self,
        keys: list[Key[T]],
        stale: dict[Key[T], Found],
        load: Callable[[Sequence[Key[T]]], Mapping[Key[T], Loaded[T]]],
    ) -> dict[Key[T], T | None]:
        stamp = self.l1.stamp()
        leased = self._lease(keys)
        known: dict[Key[T], T | None] = {}
        ours = keys
        if leased is not None:
            ours = [key for key in keys if key.wire in leased.keys]
            others = [key for key in keys if key.wire not in leased.keys]
            known |= {key: self._kept(key, stale[key], stamp) for key in others if key in stale}
            known |= self._awaited([key for key in others if key not in stale])
            ours += [key for key in others if key not in known]
        if ours:
            known |= self._filled(ours, stale, load, stamp, leased)
        return known

    def _lease(self, keys: Sequence[Key[Any]]) -> Leased | None:
        if self._l2 is None:
            return None
        try:
            return self._l2.lease(keys, keys)
        except Unreachable:
            return None

    def _awaited[T: BaseModel](self, keys: list[Key[T]]) -> dict[Key[T], T | None]:
        """Return the values that other containers are loading, if they finish in time."""
        known: dict[Key[T], T | None] = {}
        waited = 0.0
        while keys and waited < WAIT_SECONDS:
            self._sleep(POLL_SECONDS)
            waited += POLL_SECONDS
            stamp = self.l1.stamp()
            stored = self._read(keys)
            for key in keys:
                if key.wire in stored:
                    known[key] = self._kept(key, stored[key.wire], stamp)
            keys = [key for key in keys if key not in known]
        return known

    def _filled[T: BaseModel](
        self,
        keys: list[Key[T]],
        stale: dict[Key[T], Found],
        load: Callable[[Sequence[Key[T]]], Mapping[Key[T], Loaded[T]]],
        stamp: Stamp,
        leased: Leased | None,
    ) -> dict[Key[T], T | None]:
        family = keys[0].family
        try:
            loaded = load(keys)
        except Exception as error:
            self._release(leased)
            if isinstance(error, family.failures) and all(key in stale for key in keys):
                return {key: self._kept(key, stale[key], stamp) for key in keys}
            raise
        values = {key: loaded[key].value if key in loaded else None for key in keys}
        fills = [
            _fill(key, value, loaded[key].version if key in loaded else 0, None)
            for key, value in values.items()
            if value is not None or key.family.absent_seconds
        ]
        stored = self._store(fills, leased)
        for key in keys:
            self.counts(key.family).misses += 1
        for fill in fills:
            counts = self.counts(fill.key.family)
            if stored is None or fill.key.wire in stored:
                size = len(fill.payload or b"")
                self.l1.put(fill.key.wire, values[fill.key], size, stamp, counts)
            else:
                counts.fenced += 1
        return values

    def _store(self, fills: list[Fill], leased: Leased | None) -> Set[str] | None:
        """Return the wire names of the stored values; None when Redis did not answer."""
        if self._l2 is None or leased is None:
            return None
        ours = [fill for fill in fills if fill.key.wire in leased.keys]
        if not ours:
            return frozenset()
        try:
            return self._l2.fill(ours, leased)
        except Unreachable:
            return None

    def _release(self, leased: Leased | None) -> None:
        if self._l2 is not None and leased is not None and leased.keys:
            with contextlib.suppress(Unreachable):
                self._l2.release(leased.keys)


def _fill(key: Key[Any], value: BaseModel | None, version: int, ttl_seconds: int | None) -> Fill:
    family = key.family
    if value is None:
        return Fill(key, None, version, family.absent_seconds, family.absent_seconds)
    fresh_seconds = (ttl_seconds or family.ttl_seconds) * (1 - JITTER * random.random())
    payload = value.model_dump_json().encode()
    return Fill(key, payload, version, fresh_seconds, fresh_seconds + family.stale_seconds)


def _one_tenant(keys: Iterable[Key[Any]]) -> None:
    tenants = [key.tenant for key in keys]
    if tenants and tenants.count(tenants[0]) < len(tenants):
        raise ValueError("the keys of one call belong to one tenant")
