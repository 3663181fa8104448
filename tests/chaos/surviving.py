"""A fault among a load, and what must hold through it and after it."""

import random
import time
from typing import NamedTuple

from tests.chaos import load, outages
from tests.chaos.oracle import Oracle
from tests.chaos.outages import Fault, Product
from tests.chaos.seeds import new_seed
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


def survive(product: Product, name: str, case: Case) -> Oracle:
    """Let a fault strike a product under load, and assert that money moved once or not at all."""
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
    return oracle


def _successes(clients: load.Load, since: float) -> int:
    return sum(_succeeds(answer, since) for answer in list(clients.answers))


def _succeeds(answer: load.Answer, since: float) -> bool:
    return answer.answered_at >= since and 200 <= answer.status < 300
