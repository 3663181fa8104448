"""The two clocks. The monotonic clock may stand still while a container is frozen, and the wall
clock can be set: a value expires when either says so."""

from collections.abc import Callable
from time import monotonic, time
from typing import NamedTuple


class Clock(NamedTuple):
    wall: Callable[[], float] = time
    monotonic: Callable[[], float] = monotonic
