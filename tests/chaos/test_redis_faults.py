"""No container reads an old value after its invalidation, while the network to Redis breaks."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from synaxis_billing.cache import Unreachable, connections
from tests.chaos.faults import REDIS, Mode, Proxy, proxying
from tests.chaos.seeds import EVERYTHING, RUNS, new_seed
from tests.conftest import SHIPPED_DEADLINES
from tests.support.containers import PRICES, Hands, Source, container

READERS, READS = 4, 200 if EVERYTHING else 100
LEAST_STRIKES, LEAST_CHANGES = 3, 20
# Longer than the breaker waits at most, so that each read tries Redis.
PAUSE_SECONDS = 70


class _Change:
    """The truth, and the version that every region was told of."""

    def __init__(self) -> None:
        self.source, self.told = Source(), 1
        self.ended = threading.Event()


def _change_on(url: str, change: _Change) -> None:
    """Change the value, and tell of it until that succeeds, as the outbox does."""
    hands = Hands()
    cache, key = container(url, hands), _KEY
    while not change.ended.is_set():
        change.source.change()
        version = change.source.version
        told = False
        while not told:
            hands.pass_by(PAUSE_SECONDS)
            with contextlib.suppress(Unreachable):
                cache.remove(key, version=version)
                told = True
        change.told = version


def _read_on(url: str, change: _Change) -> list[str]:
    """Read from Redis or the source; return the values that were too old."""
    hands = Hands()
    cache, found = container(url, hands), []
    for _ in range(READS):
        hands.pass_by(PAUSE_SECONDS)
        cache.l1.clear()
        told = change.told
        value = cache.get_or_load(_KEY, change.source.load)
        assert value is not None
        # The value of each version is its number.
        if value.usd < told:
            found.append(f"{value.usd} was read after {told} was told")
    return found


_KEY = PRICES.key(uuid4(), "gpt-4o")


def _strikes(proxy: Proxy) -> set[Mode]:
    return {mode for mode in Mode if proxy.strikes[mode] >= LEAST_STRIKES}


@pytest.mark.parametrize("_run", range(RUNS))
def test_no_old_value_is_read_after_its_invalidation_while_redis_breaks(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, _run: int
) -> None:
    for name, seconds in SHIPPED_DEADLINES.items():
        monkeypatch.setattr(connections, name, seconds)
    seed = new_seed()
    server = urlsplit(redis_url)
    change = _Change()
    with proxying(server.port or 0, REDIS, seed) as (proxy, port):
        url = redis_url.replace(f":{server.port}", f":{port}")
        proxy.armed = True
        with ThreadPoolExecutor(READERS + 1) as pool:
            changing = pool.submit(_change_on, url, change)
            reading = [pool.submit(_read_on, url, change) for _ in range(READERS)]
            found = [of for reader in reading for of in reader.result()]
            change.ended.set()
            proxy.armed = False
            changing.result()
    print(dict(proxy.strikes), f"{change.told} changes")
    assert found == []
    assert _strikes(proxy) == set(Mode)
    assert change.told >= LEAST_CHANGES
