"""The bounds of this container's memory, of the breaker and of the counts, to the last entry, byte
and second."""

import pytest

from synaxis_billing.cache.breaker import Breaker
from synaxis_billing.cache.clock import Clock
from synaxis_billing.cache.counts import Counts
from synaxis_billing.cache.l1 import L1, MISSING, SECONDS


class Time:
    """Two clocks, which a test moves."""

    def __init__(self) -> None:
        self.wall = self.monotonic = 1000.0

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.monotonic)

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def put(memory: L1, name: str, size: int = 1) -> Counts:
    counts = Counts()
    memory.put(name, name.upper(), size, memory.stamp(), counts)
    return counts


def test_memory_keeps_as_many_entries_as_it_may_and_then_forgets_the_oldest() -> None:
    memory = L1(Time().clock(), entries=2, size=100)
    for name in ("a", "b"):
        put(memory, name)
    assert (len(memory), memory.bytes, memory.evictions) == (2, 2, 0)
    put(memory, "c")
    assert (len(memory), memory.bytes, memory.evictions) == (2, 2, 1)
    assert memory.get("a") is MISSING
    assert [memory.get(name) for name in ("b", "c")] == ["B", "C"]


def test_memory_keeps_as_many_bytes_as_it_may() -> None:
    memory = L1(Time().clock(), entries=9, size=10)
    put(memory, "a", 4)
    put(memory, "b", 6)
    assert (len(memory), memory.bytes, memory.evictions) == (2, 10, 0)
    put(memory, "c", 1)
    assert (len(memory), memory.bytes, memory.evictions) == (2, 7, 1)
    # One that alone is too large puts out no others.
    put(memory, "d", 11)
    assert (len(memory), memory.get("d")) == (2, MISSING)
    put(memory, "e", 10)
    assert (len(memory), memory.bytes) == (1, 10)


def test_a_value_that_is_stored_again_counts_once_and_is_the_newest() -> None:
    memory = L1(Time().clock(), entries=2, size=100)
    for name, size in (("a", 3), ("b", 3), ("a", 5)):
        put(memory, name, size)
    assert (len(memory), memory.bytes, memory.evictions) == (2, 8, 0)
    put(memory, "c")
    assert [memory.get(name) for name in ("a", "b", "c")] == ["A", MISSING, "C"]


@pytest.mark.parametrize("clock", ["wall", "monotonic"])
def test_a_value_lives_until_its_time_is_over_by_either_clock(clock: str) -> None:
    time = Time()
    memory = L1(time.clock())
    counts = put(memory, "a")
    setattr(time, clock, 1000 + SECONDS - 0.5)
    assert memory.get("a") == "A"
    assert counts.l1_hits == 1
    setattr(time, clock, 1000 + SECONDS)
    assert memory.get("a") is MISSING
    assert (counts.l1_hits, len(memory), memory.bytes) == (1, 0, 0)


def test_a_value_is_not_served_before_it_was_read() -> None:
    time = Time()
    memory = L1(time.clock())
    put(memory, "a")
    time.wall -= 1
    assert memory.get("a") is MISSING


def test_what_is_read_while_something_is_removed_is_not_kept() -> None:
    memory = L1(Time().clock())
    first, second = memory.stamp(), Counts()
    memory.remove("other")
    memory.put("a", "A", 1, first, second)
    assert memory.get("a") is MISSING
    stamp = memory.stamp()
    memory.clear()
    memory.put("a", "A", 1, stamp, second)
    assert memory.get("a") is MISSING
    # A second removal is not undone by a first one.
    stamp = memory.stamp()
    memory.remove("b")
    memory.clear()
    memory.put("a", "A", 1, stamp, second)
    assert memory.get("a") is MISSING


@pytest.mark.parametrize(
    ("frozen", "forgotten"), [(0, False), (SECONDS, False), (SECONDS + 1, True), (-1, True)]
)
def test_a_container_that_was_frozen_forgets(frozen: float, forgotten: bool) -> None:
    time = Time()
    memory = L1(time.clock())
    time.wall += 1
    memory.wake()
    put(memory, "a")
    time.wall += frozen
    memory.wake()
    assert len(memory) == (not forgotten)


def test_a_server_that_fails_again_is_left_alone_for_twice_as_long_up_to_a_minute() -> None:
    time = Time()
    breaker = Breaker(lambda: time.wall)
    assert not breaker.open
    for pause in (5, 10, 20, 40, 60, 60):
        breaker.fail()
        assert breaker.open
        time.pass_by(pause - 0.5)
        assert breaker.open
        time.pass_by(0.5)
        assert not breaker.open
    breaker.fail()
    breaker.close()
    assert not breaker.open
    breaker.fail()
    time.pass_by(5)
    assert not breaker.open


def test_a_breaker_closes_when_the_clock_was_set_back() -> None:
    time = Time()
    breaker = Breaker(lambda: time.wall)
    breaker.fail()
    time.wall -= 1
    assert not breaker.open


def test_counts_are_added_and_taken_away_each_by_itself() -> None:
    first, second = Counts(6, 5, 4, 3, 2, 1), Counts(1, 1, 2, 1, 1, 1)
    assert first + second == Counts(7, 6, 6, 4, 3, 2)
    assert first - second == Counts(5, 4, 2, 2, 1, 0)
    assert first.hit_ratio == 11 / 15
    assert Counts(l1_hits=1).hit_ratio == 1
    assert Counts(misses=1).hit_ratio == 0
    assert Counts().hit_ratio is None
