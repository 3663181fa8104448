"""This container's one cache, kept from one invocation to the next, and what it counts."""

import functools
import uuid

import psycopg
from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.cache import L2, Cache
from synaxis_billing.cache.counts import Counts
from synaxis_billing.edge import database, invocation
from synaxis_billing.edge.aws import bus, credentials
from synaxis_billing.edge.invocation import logger, metrics
from synaxis_billing.edge.settings import settings
from synaxis_billing.fields import Answer
from synaxis_billing.invalidations import outbox

_measured: dict[str, Counts] = {}


class CacheFamilyStatistics(Answer):
    """The counts of one family of values."""

    l1_hits: int
    """Reads that memory answered."""
    l2_hits: int
    """Reads that Redis answered."""
    misses: int
    """Reads that the source answered."""
    hit_ratio: float | None
    """Share of reads that a cache answered, from 0 to 1; null before the first read."""
    fenced: int
    """Values that were not stored because they were invalidated meanwhile."""
    stale: int
    """Values that were served after their time, because the source failed or was being asked."""
    unreachable: int
    """Reads for which Redis could not be reached."""


class CacheStatistics(Answer):
    """The counts of this container since it started; each container has its own."""

    container_id: uuid.UUID
    """Id of the container that answers."""
    region: str
    """Region of the container."""
    l1_hits: int
    """Reads that memory answered."""
    l2_hits: int
    """Reads that Redis answered."""
    misses: int
    """Reads that the source answered."""
    hit_ratio: float | None
    """Share of reads that a cache answered, from 0 to 1; null before the first read."""
    fenced: int
    """Values that were not stored because they were invalidated meanwhile."""
    l1_entries: int
    """Values in memory."""
    l1_bytes: int
    """Bytes of the values in memory."""
    l1_evictions: int
    """Values that were removed from memory to make room."""
    redis_failures: int
    """Failures of Redis."""
    breaker_open: bool
    """Whether Redis is not asked for now, because it failed."""
    families: dict[str, CacheFamilyStatistics]
    """The counts of each family of values, by its name."""


@functools.cache
def cache() -> Cache:
    redis = credentials.redis()
    if redis is None:
        return Cache(None)
    token = redis.token if redis.user else None
    return Cache(L2(redis.url, cluster=redis.cluster, token=token))


def _connect_at_start() -> None:
    if settings().may_connect_at_start:
        try:
            cache().connect()
        except LookupError as error:
            # The first request meets it again, and says so.
            logger.warning("cache is not connected", reason=str(error))


@functools.cache
def container_id() -> uuid.UUID:
    """Return an id of this container. Made at the first use: containers that start from one
    snapshot would otherwise share it."""
    return uuid.uuid4()


def drain(*, probe: bool = False) -> int:
    """Send a page of the invalidations that are due to this region's Redis and to the other
    regions; return how many there were. Those that cannot be sent now stay for a later call.

    A request does not wait for a bus that failed a moment ago; a `probe` does.
    """
    try:
        publish = bus.publisher() if probe else bus.unless_broken(bus.publisher())
        drained = outbox.drain(database.connection(), cache(), settings().aws_region, publish)
    except psycopg.Error as error:
        _delayed(str(error))
        return 0
    if drained.delayed:
        _delayed(next(iter(drained.delayed.values())))
    for row in drained.set_aside:
        about = {"tenant": row["tenant"], "invalidation_id": row["id"], "reason": row["error"]}
        logger.error("invalidation is set aside", extra=about)
    return drained.rows


def _delayed(reason: str) -> None:
    logger.warning("invalidations are delayed", reason=reason)
    metrics.add_metric("InvalidationsDelayed", MetricUnit.Count, 1)


def statistics() -> CacheStatistics:
    here = cache()
    total = sum(here.families.values(), Counts())
    return CacheStatistics(
        container_id=container_id(),
        region=settings().aws_region,
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
            name: CacheFamilyStatistics(**of.as_dict(), hit_ratio=of.hit_ratio)
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


def _wake() -> None:
    cache().wake()


_connect_at_start()
# Values from before a freeze are not served, and the counts become metrics.
invocation.register(begin=_wake, end=_measure)
