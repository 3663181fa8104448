"""Redis, or Valkey: what a tenant's containers share, and the guards that keep it right.

Beside each tenant's values are its fences, random tokens: one for all of the tenant, one for each
family and for each tag. A value names the fences that it was stored under and is only good while
they are what they were, so that renewing one drops any number of values at once, and losing one
never brings a value back. A load takes a lease first; an invalidation ends it, and a fill without
its lease is refused (leases as in "Scaling Memcache at Facebook", NSDI 2013, 3.2.1). A floor is the
row version below which nothing is stored any more, whichever replica it was read from.
"""

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from struct import Struct
from typing import Any, NamedTuple, Self
from uuid import UUID

import redis

from synaxis_billing.cache.breaker import Breaker
from synaxis_billing.cache.clock import Clock
from synaxis_billing.cache.connections import Token, client_of, patience
from synaxis_billing.cache.keys import Key, family_fence, tag_fence, tenant_fence, value_name

LEASE_MILLISECONDS = 6_000
FENCE_SECONDS = 7 * 24 * 3600
# Longer than any replica lags, and than a late event is late.
FLOOR_SECONDS = 24 * 3600
# After this long without use a firewall may have dropped the connection without a word.
IDLE_SECONDS = 60
_UNVERSIONED = "0" * 16
# A row version in 16 digits, which Lua can read; when the value goes stale; whether there is one.
_HEAD = Struct(">16sd?")
_HEAD_BYTES, _HEAD_READ = _HEAD.size, Struct(">16xd?")
_LEASE, _FILL, _INVALIDATE = (
    (files("synaxis_billing.cache") / "lua" / f"{name}.lua").read_text()
    for name in ("lease", "fill", "invalidate")
)

_NOTHING: Mapping[str, int] = {}

Fences = dict[str, bytes]
# A stored value, None for one that is known to be absent, and whether it is fresh. No class: a
# hundred of them are made at once.
Found = tuple[bytes | None, bool]


class Unreachable(Exception):
    """Redis did not execute a command in time."""


class Leased(NamedTuple):
    token: str
    keys: set[str]
    fences: Fences


class Fill(NamedTuple):
    key: Key[Any]
    payload: bytes | None
    version: int
    fresh_seconds: float
    lasting_seconds: float


class Invalidation(NamedTuple):
    """Fences to renew and values to remove, of one tenant, each with a row version or 0."""

    fences: dict[str, int]
    values: dict[str, int]

    @classmethod
    def of(
        cls,
        tenant: UUID,
        *,
        keys: Mapping[str, int] = _NOTHING,
        families: Mapping[str, int] = _NOTHING,
        tags: Mapping[str, int] = _NOTHING,
        everything: int | None = None,
    ) -> Self:
        """Names with their versions; those of keys are without their tenant, family:part..."""
        fences = {family_fence(tenant, name): version for name, version in families.items()}
        fences |= {tag_fence(tenant, name): version for name, version in tags.items()}
        if everything is not None:
            fences[tenant_fence(tenant)] = everything
        return cls(fences, {value_name(tenant, name): version for name, version in keys.items()})


class L2:
    """One server or cluster. Every call is one round trip, or raises Unreachable in short time."""

    def __init__(
        self,
        url: str,
        *,
        cluster: bool = False,
        token: Token | None = None,
        clock: Clock = Clock(),  # noqa: B008
    ) -> None:
        self._url, self._cluster, self._token, self._wall = url, cluster, token, clock.wall
        self._client: redis.Redis | None = None
        self._used_at = 0.0
        self._breaker = Breaker(clock.wall)
        self._connecting: threading.Thread | None = None
        self.failures = 0

    @property
    def open(self) -> bool:
        """Whether the breaker keeps requests from a server that failed."""
        return self._breaker.open

    def read(self, keys: Sequence[Key[Any]]) -> dict[str, Found]:
        """Return the valid values of keys of one tenant, by their wire names."""
        fences = fences_of(keys)
        names = [*fences, *[key.wire for key in keys]]
        # By its name: mget() would look through the names once more.
        values: list[bytes | None] = self._do(lambda client: client.execute_command("MGET", *names))
        now = self._wall()
        current = dict(zip(fences, values, strict=False))
        family, guarding, guard, start = None, None, None, 0
        found = {}
        for key, value in zip(keys, values[len(fences) :], strict=True):
            if value is not None:
                # Many keys of a call have the same guard, which is put together once.
                if key.fences != guarding or key.family is not family:
                    family, guarding, guard = key.family, key.fences, _guard(key, current)
                    start = _HEAD_BYTES + len(guard or b"")
                if guard is not None and value.startswith(guard, _HEAD_BYTES):
                    fresh_until, present = _HEAD_READ.unpack_from(value)
                    found[key.wire] = (value[start:] if present else None, now < fresh_until)
        return found

    def lease(self, keys: Sequence[Key[Any]], leased: Sequence[Key[Any]]) -> Leased:
        """Take the right to fill, before the load begins; another container may hold it."""
        fences = fences_of(keys)
        token = secrets.token_hex(8)
        names = [*fences, *(lease_name(key.wire) for key in leased)]
        answer = self._do(
            lambda client: client.eval(
                _LEASE,
                len(names),
                *names,
                *(len(fences), token, LEASE_MILLISECONDS, FENCE_SECONDS, token + _UNVERSIONED),
            )
        )
        granted = answer[len(fences) :]
        return Leased(
            token,
            {key.wire for key, ours in zip(leased, granted, strict=True) if ours},
            dict(zip(fences, answer, strict=False)),
        )

    def fill(self, fills: Sequence[Fill], leased: Leased, *, unleased: bool = False) -> set[str]:
        """Store values; return the wire names of those stored. The others were invalidated in
        between, or are older."""
        now = self._wall()
        names, values = list(leased.fences), list[Any](leased.fences.values())
        for key, payload, version, fresh_seconds, lasting_seconds in fills:
            names += [key.wire, lease_name(key.wire), floor_name(key.wire)]
            guard = _guard(key, leased.fences)
            assert guard is not None  # a lease makes the fences that are lost
            head = _HEAD.pack(b"%016d" % version, now + fresh_seconds, payload is not None) + guard
            values += [head + (payload or b""), int(lasting_seconds * 1000), len(head)]
        arguments = [len(leased.fences), "" if unleased else leased.token, *values]
        answer = self._do(lambda client: client.eval(_FILL, len(names), *names, *arguments))
        return {fill.key.wire for fill, stored in zip(fills, answer, strict=True) if stored}

    def release(self, names: Iterable[str]) -> None:
        """Give leases back after a load that failed."""
        leases = [lease_name(name) for name in names]
        self._do(lambda client: client.unlink(*leases))

    def invalidate(self, invalidations: Sequence[Invalidation]) -> None:
        """Send all invalidations at once; each is of one tenant."""

        def send(client: redis.Redis) -> None:
            pipeline: Any = client.pipeline(transaction=False)
            for one in invalidations:
                names = list(one.fences)
                for value in one.values:
                    names += [value, lease_name(value), floor_name(value)]
                # By its name: a cluster's pipeline has no method for it.
                pipeline.execute_command(
                    "EVAL",
                    _INVALIDATE,
                    len(names),
                    *names,
                    *(len(one.fences), secrets.token_hex(8), FENCE_SECONDS, FLOOR_SECONDS),
                    *one.fences.values(),
                    *one.values.values(),
                )
            pipeline.execute()

        self._do(send)

    def connect(self) -> None:
        """Connect before the first request, or beside the requests after one that did not wait long
        enough; in vain, if the server cannot be reached."""
        with contextlib.suppress(redis.RedisError, OSError, LookupError), patience():
            client = client_of(self._url, self._cluster, self._token)
            client.ping()
            if self._client is None:
                self._client, self._used_at = client, self._wall()
                self._breaker.close()

    def _connect_beside(self) -> None:
        if self._connecting is None or not self._connecting.is_alive():
            self._connecting = threading.Thread(target=self.connect, daemon=True)
            self._connecting.start()

    def ping(self) -> None:
        """Check that Redis answers. Raises Unreachable."""
        self._do(lambda client: client.ping())

    def close(self) -> None:
        """Forget the connection; the next use opens another."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(redis.RedisError, OSError):
                client.close()

    def _do(self, work: Callable[[Any], Any]) -> Any:
        if self.open:
            raise Unreachable("Redis failed a moment ago and is not asked again yet")
        now = self._wall()
        if not 0 <= now - self._used_at < IDLE_SECONDS:
            self.close()
        first = self._client is None
        try:
            if self._client is None:
                self._client = client_of(self._url, self._cluster, self._token)
            answer = work(self._client)
        except redis.OutOfMemoryError as error:
            # It refuses to store, and still reads.
            self.failures += 1
            raise Unreachable(str(error)) from error
        except (redis.RedisError, OSError) as error:
            self.failures += 1
            self.close()
            self._breaker.fail()
            # Without TLS, a server that can be reached at all is reached in time.
            if first and self._url.startswith("rediss:"):
                self._connect_beside()
            raise Unreachable(str(error)) from error
        self._used_at = now
        self._breaker.close()
        return answer


def fences_of(keys: Iterable[Key[Any]]) -> list[str]:
    """Return the fences that guard keys of one tenant."""
    distinct = dict.fromkeys([key.fences for key in keys])
    return list(dict.fromkeys(name for fences in distinct for name in fences))


def lease_name(wire: str) -> str:
    return f"{wire}!lease"


def floor_name(wire: str) -> str:
    return f"{wire}!floor"


def _guard(key: Key[Any], fences: dict[str, Any]) -> bytes | None:
    """Return the part of a valid value of the key that follows its head."""
    try:
        return key.family.schema + b"".join([fences[name] for name in key.fences])
    except TypeError:
        return None
