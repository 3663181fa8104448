"""Contenders measured in turns: what a busy machine does to one, it does to the others."""

import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import psutil
import psycopg


class Sample(NamedTuple):
    """Items a second, and the seconds of CPU that client and server took for each item."""

    per_second: float
    cpu_seconds: float


# Works for a while; returns how many items that were, and how many a second.
Contender = Callable[[], tuple[int, float]]


class Turns:
    """The samples of contenders, by their names: the n-th samples of all are of one round."""

    def __init__(self, samples: Mapping[str, list[Sample]]) -> None:
        self._samples = samples

    def __iter__(self) -> Iterator[str]:
        return iter(self._samples)

    def rate(self, name: str) -> float:
        return statistics.median(sample.per_second for sample in self._samples[name])

    def cpu(self, name: str) -> float:
        return statistics.median(sample.cpu_seconds for sample in self._samples[name])

    def rate_ratio(self, name: str, other: str) -> float:
        """Return the median of the rounds' ratios of rates."""
        rounds = zip(self._samples[name], self._samples[other], strict=True)
        return statistics.median(one.per_second / beside.per_second for one, beside in rounds)

    def cpu_ratio(self, name: str, other: str) -> float:
        """Return the median of the rounds' ratios: how much more CPU the other takes."""
        rounds = zip(self._samples[name], self._samples[other], strict=True)
        return statistics.median(beside.cpu_seconds / one.cpu_seconds for one, beside in rounds)


def take_turns(server: psutil.Process, contenders: dict[str, Contender], rounds: int) -> Turns:
    """Let each contender work once a round, in an order that changes."""
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    order = list(contenders)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            processes, before = len(server.children()), _cpu_seconds(server)
            items, per_second = contenders[name]()
            _await_end(server, processes)
            used = _cpu_seconds(server) - before
            samples[name].append(Sample(per_second, used / items))
    return Turns(samples)


def postmaster(admin_url: str) -> psutil.Process:
    """Return the server's first process, which starts all others."""
    with psycopg.connect(admin_url) as db:
        row = db.execute(
            "SELECT pg_read_file(current_setting('data_directory') || '/postmaster.pid')"
        ).fetchone()
    assert row
    return psutil.Process(int(row[0].splitlines()[0]))


def timed(action: Callable[[], object], seconds: float) -> tuple[int, float]:
    """Repeat an action; return how often, and how often a second."""
    began, count = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        action()
        count += 1
    return count, count / passed


def _await_end(server: psutil.Process, processes: int) -> None:
    """Wait until the server has counted the CPU of the connections that have ended."""
    ends = time.monotonic() + 1
    while len(server.children()) > processes and time.monotonic() < ends:
        time.sleep(0.01)


def _cpu_seconds(server: psutil.Process) -> float:
    """Return the CPU that the server and its ended processes, this process and its ended children
    have taken."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    times = server.cpu_times()
    total += times.user + times.system + times.children_user + times.children_system
    for process in server.children():
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total
