"""An old value is never put back after an invalidation; and without its guard, each time it is."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis

from synaxis_billing.cache import Cache, Key, l1, l2
from synaxis_billing.cache.l2 import Invalidation
from tests.support.containers import PRICES, Hands, Price, Source, container, price

Sabotage = Callable[[pytest.MonkeyPatch], None]


def _script(name: str, guard: str, instead: str) -> Sabotage:
    def sabotage(patch: pytest.MonkeyPatch) -> None:
        text = getattr(l2, name)
        assert guard in text
        patch.setattr(l2, name, text.replace(guard, instead))

    return sabotage


def _no_fences(patch: pytest.MonkeyPatch) -> None:
    _script("_FILL", "fenced = true", "fenced = false")(patch)
    patch.setattr(l2, "_guard", lambda key, _fences: key.family.schema)


_no_lease = _script("_FILL", "ARGV[2] == '' or redis.call('GET', KEYS[i + 1]) == ARGV[2]", "true")
_no_floor = _script("_FILL", "version >= least", "true")


def _key(tenant: UUID) -> Key[Price]:
    return PRICES.key(tenant, "gpt-4o", tags=("models",))


INVALIDATIONS: dict[str, tuple[Callable[[Cache, UUID], object], Sabotage]] = {
    "remove": (lambda cache, tenant: cache.remove(_key(tenant)), _no_lease),
    "remove_many": (lambda cache, tenant: cache.remove_many([_key(tenant)]), _no_lease),
    "flush": (lambda cache, tenant: cache.flush(tenant), _no_fences),
    "pattern of all": (
        lambda cache, tenant: cache.remove_by_pattern(f"tenant:{tenant}:*"),
        _no_fences,
    ),
    "pattern": (
        lambda cache, tenant: cache.remove_by_pattern(f"tenant:{tenant}:price:gpt*"),
        _no_fences,
    ),
    "tag": (lambda cache, tenant: cache.remove_by_tag(tenant, "models"), _no_fences),
    "set": (lambda cache, tenant: cache.set(_key(tenant), price(2)), _no_lease),
}


@pytest.mark.parametrize("name", INVALIDATIONS)
@pytest.mark.parametrize("guarded", [True, False])
def test_a_slow_reader_does_not_put_an_old_value_back(
    redis_url: str, name: str, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    invalidate, sabotage = INVALIDATIONS[name]
    if not guarded:
        sabotage(monkeypatch)
    tenant, source = uuid4(), Source()
    reader, writer = container(redis_url), container(redis_url)

    def change() -> None:
        source.change()
        invalidate(writer, tenant)

    source.meanwhile = change
    # Its question came first, so the old value is a right answer to it, once.
    slow = reader.get_or_load(_key(tenant), source.load)
    assert slow == price(1)

    others = [reader, writer, container(redis_url)]
    seen = {cache.get_or_load(_key(tenant), source.load) for cache in others}
    assert (seen == {price(2)}) is guarded


@pytest.mark.parametrize("guarded", [True, False])
def test_a_reader_of_a_lagging_replica_does_not_bring_an_old_row_back(
    redis_url: str, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not guarded:
        _no_floor(monkeypatch)
    tenant, source, replica = uuid4(), Source(), Source()
    key, cache = _key(tenant), container(redis_url)
    cache.get_or_load(key, source.load)

    source.change()
    cache.remove(key, version=source.version)
    assert cache.get_or_load(key, replica.load) == price(1)

    replica.change()
    assert (container(redis_url).get_or_load(key, replica.load) == price(2)) is guarded


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("what", ["keys", "tags", "families", "everything"])
def test_remote_events_count_whenever_they_come_and_in_any_order(
    redis_url: str, what: str, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replica catches up between two events that come the wrong way round."""
    if not guarded:
        _no_floor(monkeypatch)
    tenant = uuid4()
    key, source, replica = _key(tenant), Source(), Source()
    names = {"keys": "price:gpt-4o", "tags": "models", "families": "price"}

    def event(version: int) -> None:
        scope: Any = {what: {names[what]: version} if what in names else version}
        container(redis_url).invalidate([Invalidation.of(tenant, **scope)])

    source.change()
    source.change()
    event(3)
    event(2)
    replica.change()
    container(redis_url).get_or_load(key, replica.load)
    replica.change()
    assert (container(redis_url).get_or_load(key, replica.load) == price(3)) is guarded


def test_an_older_row_does_not_replace_a_newer_one(redis_url: str) -> None:
    tenant, source, replica = uuid4(), Source(), Source()
    key = _key(tenant)
    source.change()
    container(redis_url).set(key, price(2), version=2)
    container(redis_url).set(key, price(1), version=1)
    assert container(redis_url).get(key) == price(2)
    assert replica.version < source.version


@pytest.mark.parametrize("guarded", [True, False])
def test_without_redis_a_removal_still_beats_the_load_under_way(
    guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, source, key = container(None), Source(), _key(uuid4())
    if not guarded:
        monkeypatch.setattr(l1.L1, "remove", lambda *_: None)

    def change() -> None:
        source.change()
        cache.remove(key)

    source.meanwhile = change
    cache.get_or_load(key, source.load)
    assert (cache.get_or_load(key, source.load) == price(2)) is guarded


@pytest.mark.parametrize("lost", ["one fence", "everything"])
@pytest.mark.parametrize("guarded", [True, False])
def test_a_load_across_a_restart_of_redis_is_not_stored(
    redis_url: str, lost: str, guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What said that a value was invalidated may have been lost with the rest."""
    if not guarded:
        _no_lease(monkeypatch)
        _no_fences(monkeypatch)
    tenant, source = uuid4(), Source()
    key, reader, writer = _key(tenant), container(redis_url), container(redis_url)

    def restart() -> None:
        source.change()
        writer.flush(tenant)
        names = key.fences if lost == "one fence" else (*key.fences, l2.lease_name(key.wire))
        with redis.Redis.from_url(redis_url) as client:
            client.delete(*names)

    source.meanwhile = restart
    reader.get_or_load(key, source.load)
    assert (container(redis_url).get_or_load(key, source.load) == price(2)) is guarded


def test_losing_a_fence_costs_misses_and_revives_nothing(redis_url: str) -> None:
    tenant, source = uuid4(), Source()
    key, cache = _key(tenant), container(redis_url)
    for fence in key.fences:
        cache.get_or_load(key, source.load)
        with redis.Redis.from_url(redis_url) as client:
            client.delete(fence)
        assert container(redis_url).get(key) is None
        cache.flush(tenant)
    assert source.reads == len(key.fences)


def test_each_answer_is_counted_once_where_it_came_from(redis_url: str) -> None:
    source, key = Source(), _key(uuid4())
    first, second = container(redis_url), container(redis_url)
    assert first.get(key) is None
    assert first.get_many([key]) == {}
    first.get_or_load(key, source.load)
    first.get(key)
    second.get(key)
    second.get(key)
    counted = [cache.counts(PRICES) for cache in (first, second)]
    assert [(of.l1_hits, of.l2_hits, of.misses) for of in counted] == [(1, 0, 3), (1, 1, 0)]


@pytest.mark.parametrize("clocks", ["both", "monotonic", "wall"])
def test_nothing_outlives_its_five_seconds_in_a_container_that_was_frozen(clocks: str) -> None:
    hands, source, key = Hands(), Source(), _key(uuid4())
    cache = container(None, hands)
    cache.get_or_load(key, source.load)
    source.change()
    hands.pass_by(4.9)
    assert cache.get_or_load(key, source.load) == price(1)
    # The freeze: an hour by the wall clock, which the other clock may not have noticed.
    hands.wall += 3600 if clocks != "monotonic" else 0
    hands.monotonic += 3600 if clocks != "wall" else 0
    assert cache.get_or_load(key, source.load) == price(2)


def test_a_clock_that_was_put_back_makes_nothing_young_again() -> None:
    hands, source, key = Hands(), Source(), _key(uuid4())
    cache = container(None, hands)
    cache.get_or_load(key, source.load)
    source.change()
    hands.wall -= 60
    assert cache.get_or_load(key, source.load) == price(2)


def test_an_invocation_after_a_freeze_begins_with_an_empty_memory() -> None:
    hands, key = Hands(), _key(uuid4())
    cache = container(None, hands)
    for gap, kept in ((1.0, 1), (5.1, 0), (-1.0, 0)):
        cache.get_or_load(key, Source().load)
        hands.wall += gap
        cache.wake()
        assert len(cache.l1) == kept


def test_a_slow_read_does_not_make_its_value_live_longer(redis_url: str) -> None:
    hands, source, key = Hands(), Source(), _key(uuid4())
    cache = container(redis_url, hands)
    source.meanwhile = lambda: hands.pass_by(4)
    cache.get_or_load(key, source.load)
    container(redis_url).remove(key)
    source.change()
    hands.pass_by(1.1)
    assert cache.get_or_load(key, source.load) == price(2)
