"""This container's one cache, kept from one invocation to the next, and what it counts."""

import contextlib
import functools
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing import invalidations
from synaxis_billing.cache import L2, Cache, Unreachable
from synaxis_billing.cache.counts import Counts
from synaxis_billing.edge import bus, config, credentials, database
from synaxis_billing.errors import TemporarilyUnavailable
from synaxis_billing.fields import Answer
from synaxis_billing.ledger import Caller

logger = Logger()
metrics = Metrics()
_measured: dict[str, Counts] = {}


class FamilyStatistics(Answer):
    l1_hits: int
    l2_hits: int
    misses: int
    hit_ratio: float | None
    fenced: int
    stale: int
    unreachable: int


class Statistics(Answer):
    """What this container has seen since it started; others have their own."""

    container_id: uuid.UUID
    region: str
    l1_hits: int
    l2_hits: int
    misses: int
    hit_ratio: float | None
    fenced: int
    l1_entries: int
    l1_bytes: int
    l1_evictions: int
    redis_failures: int
    breaker_open: bool
    families: dict[str, FamilyStatistics]


@functools.cache
def cache() -> Cache:
    redis = credentials.redis()
    if redis is None:
        return Cache(None)
    token = redis.token if redis.user else None
    return Cache(L2(redis.url, cluster=redis.cluster, token=token))


@functools.cache
def container_id() -> uuid.UUID:
    """Not at the top: containers that start from one snapshot would all have it."""
    return uuid.uuid4()


@contextlib.contextmanager
def invocation() -> Iterator[None]:
    """Around an invocation that reads the cache: nothing from before a freeze, and its counts go
    out as metrics."""
    cache().wake()
    try:
        yield
    finally:
        _measure()


def drain() -> int:
    """Tell this region's Redis and the other regions what this container, or one that was killed,
    has changed; how many changes were told. What cannot be told now stays, for the next to tell."""
    try:
        return invalidations.drain(database.connection(), cache(), config.region(), bus.publisher())
    except (Unreachable, bus.Undelivered, psycopg.Error) as error:
        logger.warning("invalidations wait", reason=str(error))
        metrics.add_metric("InvalidationsDelayed", MetricUnit.Count, 1)
        return 0


def sweep() -> int:
    """Tell all that is left; how many changes were told."""
    told = 0
    while new := drain():
        told += new
    metrics.add_metric("InvalidationsSwept", MetricUnit.Count, told)
    return told


def consume(event: dict[str, Any]) -> list[str]:
    """Forget what a batch of the bus tells; the ids of what cannot be read. Raises Unreachable."""
    batch = bus.received(event)
    for seconds in invalidations.consume(cache(), config.region(), batch.messages):
        metrics.add_metric("InvalidationDelay", MetricUnit.Seconds, seconds)
    metrics.add_metric("InvalidationsUnreadable", MetricUnit.Count, len(batch.unreadable))
    if batch.unreadable:
        logger.error("invalidations cannot be read", records=batch.unreadable)
    return batch.unreadable


def forget(caller: Caller, request: invalidations.Forget) -> invalidations.Forgotten:
    """Raises InvalidRequest, NotFound, TemporarilyUnavailable."""
    try:
        forgotten = invalidations.forget(database.connection(), cache(), caller, request)
    except Unreachable as error:
        raise TemporarilyUnavailable("Redis cannot be told now.") from error
    drain()
    return forgotten


def statistics() -> Statistics:
    here = cache()
    total = sum(here.families.values(), Counts())
    return Statistics(
        container_id=container_id(),
        region=config.region(),
        l1_hits=total.l1_hits,
        l2_hits=total.l2_hits,
        misses=total.misses,
        hit_ratio=total.hit_ratio,
        fenced=total.fenced,
        l1_entries=len(here.l1),
        l1_bytes=here.l1.bytes,
        l1_evictions=here.l1.evictions,
        redis_failures=here.failures,
        breaker_open=here.breaker_open,
        families={
            name: FamilyStatistics(**of.as_dict(), hit_ratio=of.hit_ratio)
            for name, of in here.families.items()
        },
    )


def _measure() -> None:
    changed = {}
    for name, counts in cache().families.items():
        new = counts - _measured.get(name, Counts())
        if new != Counts():
            changed[name] = new
            _measured[name] = counts + Counts()
    if not changed:
        return
    total = sum(changed.values(), Counts())
    for metric, count in (
        ("CacheL1Hits", total.l1_hits),
        ("CacheL2Hits", total.l2_hits),
        ("CacheMisses", total.misses),
        ("CacheFenced", total.fenced),
        ("CacheUnreachable", total.unreachable),
    ):
        metrics.add_metric(metric, MetricUnit.Count, count)
    metrics.add_metric("CacheBreakerOpen", MetricUnit.Count, int(cache().breaker_open))
    metrics.add_metadata("cache", {name: of.as_dict() for name, of in changed.items()})
