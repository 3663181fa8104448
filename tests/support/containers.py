"""Containers that share one Redis, each with a cache and a clock of its own."""

from collections.abc import Callable
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from synaxis_billing.cache import L2, Cache, Family, Loaded
from synaxis_billing.cache.clock import Clock


class Price(BaseModel):
    model_config = ConfigDict(frozen=True)

    usd: Decimal


def price(usd: int) -> Price:
    return Price(usd=Decimal(usd))


PRICES = Family("price", Price, absent_seconds=60)


class Source:
    """The truth, a row with a version; `meanwhile` happens after it was read and before the value
    is handed over."""

    def __init__(self) -> None:
        self.usd = Decimal("1.00")
        self.version = 1
        self.reads = 0
        self.meanwhile: Callable[[], object] | None = None

    def change(self) -> None:
        self.usd += 1
        self.version += 1

    def load(self) -> Loaded[Price]:
        self.reads += 1
        loaded = Loaded(Price(usd=self.usd), self.version)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return loaded


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.monotonic = 100.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.monotonic)


def container(url: str | None, hands: Hands | None = None, *, cluster: bool = False) -> Cache:
    clock = Clock() if hands is None else hands.clock
    return Cache(None if url is None else L2(url, cluster=cluster, clock=clock), clock)
