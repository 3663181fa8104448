"""Circuit breaker: requests do not wait for a server that failed a moment ago."""

from collections.abc import Callable

# How long a server that failed is left alone, and twice that when it fails again.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5, 60


class Breaker:
    """Opens when a server fails. `wall` is a wall clock: the monotonic one stands still while the
    container is frozen."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._failed_at = 0.0
        self._pause = 0.0

    @property
    def open(self) -> bool:
        """Return whether the server failed a moment ago."""
        return 0 <= self._wall() - self._failed_at < self._pause

    def fail(self) -> None:
        """Open, for longer than the last time."""
        self._failed_at = self._wall()
        self._pause = min(max(2 * self._pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        """Close after a success."""
        self._pause = 0.0
