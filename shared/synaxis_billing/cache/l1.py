"""This container's memory: immutable values, for a few seconds."""

from typing import Any, NamedTuple

from synaxis_billing.cache.clock import Clock

SECONDS = 5.0
LARGEST_ENTRIES = 10_000
LARGEST_BYTES = 16 * 1024 * 1024
MISSING: Any = object()


class Stamp(NamedTuple):
    """The time at which a read began, and the end of what it finds, by both clocks."""

    since: float
    until: float
    until_monotonic: float
    epoch: int


class L1:
    """Bounded in entries and in (serialized) bytes; what was stored first goes first."""

    def __init__(self, clock: Clock, *, entries: int = LARGEST_ENTRIES, size: int = LARGEST_BYTES):
        self._wall, self._monotonic = clock
        self._largest_entries, self._largest_bytes = entries, size
        # (value, wall clock: since and until, monotonic clock: until, counts, bytes)
        self._entries: dict[str, tuple[Any, float, float, float, Any, int]] = {}
        self._epoch = 0
        self._awake_at = self._wall()
        self.bytes = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str) -> Any:
        """Return the value, or MISSING. A hit is counted where the value was stored to be
        counted."""
        entry = self._entries.get(name)
        if entry is None:
            return MISSING
        value, since, until, until_monotonic, counts, _ = entry
        if self._monotonic() < until_monotonic and since <= self._wall() < until:
            counts.l1_hits += 1
            return value
        self._forget(name)
        return MISSING

    def stamp(self) -> Stamp:
        """Return a stamp, before a read begins: the delay of the read never extends the life of the
        value."""
        now = self._wall()
        return Stamp(now, now + SECONDS, self._monotonic() + SECONDS, self._epoch)

    def put(self, name: str, value: Any, size: int, stamp: Stamp, counts: Any) -> None:
        """Keep a value that was read after the stamp, unless something was removed since."""
        since, until, until_monotonic, epoch = stamp
        if epoch != self._epoch or size > self._largest_bytes:
            return
        if name in self._entries:
            self._forget(name)
        self._entries[name] = (value, since, until, until_monotonic, counts, size)
        self.bytes += size
        while len(self._entries) > self._largest_entries or self.bytes > self._largest_bytes:
            self._forget(next(iter(self._entries)))
            self.evictions += 1

    def remove(self, *names: str) -> None:
        """Forget the names; a value that is being read now is not kept."""
        self._epoch += 1
        for name in names:
            self._forget(name)

    def wake(self) -> None:
        """Forget all values if the container was frozen; called when an invocation begins."""
        now = self._wall()
        if not 0 <= now - self._awake_at <= SECONDS:
            self.clear()
        self._awake_at = now

    def clear(self) -> None:
        self._epoch += 1
        self._entries = {}
        self.bytes = 0

    def _forget(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self.bytes -= entry[5]
