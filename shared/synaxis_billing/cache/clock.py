"""Both clocks. A container that is frozen may find its monotonic clock where it left it, and its
wall clock can be set: what must have expired is expired by whichever says so."""

from collections.abc import Callable
from time import monotonic, time
from typing import NamedTuple


class Clock(NamedTuple):
    wall: Callable[[], float] = time
    monotonic: Callable[[], float] = monotonic
