"""Money moves once or not at all while processes of the product die and freeze under load."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.chaos import load, outages
from tests.chaos.oracle import Oracle
from tests.chaos.outages import Fault, Product
from tests.chaos.seeds import EVERYTHING, new_seed
from tests.support.running import wait_until

# Of each thread, before the fault. Those after it act until so many operations succeeded.
ACTIONS_BEFORE, LEAST_AFTERWARDS = 8, 30
LEAST_ACKNOWLEDGED = 200
# How long after a fault the first success comes, and how long a client waits at most. A machine is
# as slow as the slowest request before the fault shows, and some faults have it start processes.
FIRST_SUCCESS_SECONDS, MOST_WAIT_SECONDS, SLACK = 5, 15, 3


class Case(NamedTuple):
    """`statuses` are those that clients may be answered with, beside successes and refusals;
    0 is a lost reply."""

    fault: Fault
    statuses: set[int]
    least_strikes: int = 1
    holds_expire: bool = False


RETRY = {503}
CASES = {
    "connections ended": Case(outages.end_backends, RETRY, 15),
    "PostgreSQL killed": Case(outages.kill_postgres, RETRY),
    "PostgreSQL frozen for 3 s": Case(outages.freeze_postgres(3), RETRY),
    # Nobody depends on the cache.
    "Redis killed": Case(outages.kill_redis, set()),
    # As of API Gateway, when a container dies.
    "workers killed": Case(outages.kill_workers, {500}, 15),
    "gateway killed": Case(outages.kill_gateway, {0, 500}),
}
LONGER = {
    "PostgreSQL frozen for 12 s": Case(outages.freeze_postgres(12), RETRY),
    "Redis frozen for 3 s": Case(outages.freeze_redis, set()),
    "Redis emptied": Case(outages.empty_redis, set(), 20),
    "clock moved by days": Case(outages.move_clock, set(), 5, holds_expire=True),
}


@pytest.fixture(scope="module")
def product(folders: Callable[[str], Path]) -> Iterator[Product]:
    product = Product(folders("outages"))
    yield product
    # No process is left.
    product.stop()


@pytest.mark.parametrize("name", [*CASES, *LONGER])
def test_money_moves_once_or_not_at_all_through(name: str, product: Product) -> None:
    if name in LONGER and not EVERYTHING:
        pytest.skip("`make chaos` takes the time")
    case = (CASES | LONGER)[name]
    seed = new_seed()
    oracle = Oracle()
    paths = load.new_organizations(product.url)
    load.Load(product.url, paths, oracle, f"{seed} before").run(ACTIONS_BEFORE)
    clients = load.Load(product.url, paths, oracle, seed, case.holds_expire)
    with clients.running():
        started = time.monotonic()
        wait_until(lambda: _successes(clients, started) >= LEAST_AFTERWARDS)
        struck_at = time.monotonic()
        strikes = case.fault(product, random.Random(seed))
        healed_at = time.monotonic()
        wait_until(lambda: _successes(clients, healed_at) >= LEAST_AFTERWARDS)
        wait_until(lambda: oracle.acknowledged().total() >= LEAST_ACKNOWLEDGED)
    slowest = max(answer.seconds for answer in clients.answers if answer.answered_at < struck_at)
    first = min(a.answered_at for a in clients.answers if _succeeds(a, healed_at)) - healed_at
    longest = max(answer.seconds for answer in clients.answers)
    print(
        f"{name}: {strikes} times, {oracle.acknowledged().total()} acknowledged,"
        f" first success after {first:.1f} s, longest wait {longest:.1f} s"
        f" (before {slowest:.1f} s), {dict(oracle.statuses)}"
    )
    with product.connect() as admin:
        wait_until(lambda: outages.is_idle(admin))
        assert oracle.verify(admin) == []
    assert strikes >= case.least_strikes
    assert set(oracle.statuses) <= {200, 201, 402, 409} | case.statuses
    assert first <= FIRST_SUCCESS_SECONDS + SLACK * slowest
    assert longest <= MOST_WAIT_SECONDS + SLACK * slowest


def _successes(clients: load.Load, since: float) -> int:
    return sum(_succeeds(answer, since) for answer in list(clients.answers))


def _succeeds(answer: load.Answer, since: float) -> bool:
    return answer.answered_at >= since and 200 <= answer.status < 300
