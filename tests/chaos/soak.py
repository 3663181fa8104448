"""Load the running product with faults for long, sample what it takes, and fail if that grows:
`python -m tests.chaos.soak [minutes]`."""

import contextlib
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from tests.chaos import load, outages
from tests.chaos.oracle import Oracle
from tests.chaos.outages import Fault, Product
from tests.chaos.seeds import new_seed
from tests.support.running import wait_until

SAMPLE_SECONDS, FAULT_SECONDS = 10, 40
# Of the gateway and its functions. Killed workers begin with little memory, so they are killed only
# in the first third, while everything warms up.
FAULTS: list[Fault] = [
    outages.end_backends,
    outages.freeze_postgres(3),
    outages.kill_postgres,
    outages.kill_redis,
    outages.empty_redis,
]
WARM_UP: list[Fault] = [*FAULTS, outages.kill_workers]
# Rows of these are changed again and again, and become no more.
CHANGED = ("organizations", "spend_rollups")
_SIZES = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname = ANY (%s)"


class Sample(NamedTuple):
    """What the product takes. `charges` and `wal_bytes` are totals."""

    gateway_mb: float
    largest_worker_mb: float
    descriptors: int
    connections: int
    changed_tables_kb: float
    charges: int
    wal_bytes: int


class Figure(NamedTuple):
    """What is sampled: by how much its median of the last third may be above that of the second."""

    name: str
    factor: float
    more: float


FIGURES = {
    "gateway_mb": Figure("memory of the gateway, MB", 1.1, 10),
    "largest_worker_mb": Figure("memory of the largest function, MB", 1.1, 10),
    "descriptors": Figure("open descriptors", 1.1, 20),
    "connections": Figure("connections of the application", 1.1, 4),
    "changed_tables_kb": Figure("size of tables whose rows are changed, kB", 1.25, 256),
}
# The first changes of pages after a checkpoint log the pages whole.
WAL = Figure("WAL per change of a balance, kB", 1.25, 1)


def main(minutes: float) -> int:
    """Return the exit status: 0 if nothing grew and the oracle found nothing."""
    seed = new_seed()
    with tempfile.TemporaryDirectory(prefix="synaxis-soak-") as folder:
        Path(folder).chmod(0o711)
        product = Product(Path(folder))
        try:
            samples, mistakes = _soak(product, seed, minutes * 60)
        finally:
            product.close()
    for mistake in mistakes[:20]:
        print(mistake)
    return int(bool(mistakes) or not _is_flat(samples))


def _soak(product: Product, seed: str, seconds: float) -> tuple[list[Sample], list[str]]:
    oracle, samples = Oracle(), list[Sample]()
    rng = random.Random(seed)
    clients = load.Load(product.url, load.new_organizations(product.url), oracle, seed)
    started = time.monotonic()
    next_fault = FAULT_SECONDS
    struck = 0
    with clients.running():
        while (passed := time.monotonic() - started) < seconds:
            time.sleep(SAMPLE_SECONDS)
            samples.append(_sample(product))
            print(f"{passed:5.0f} s {samples[-1]}", flush=True)
            if passed > next_fault:
                next_fault += FAULT_SECONDS
                rng.choice(WARM_UP if passed < seconds / 3 else FAULTS)(product, rng)
                struck += 1
    with product.connect() as admin:
        wait_until(lambda: outages.is_idle(admin))
        mistakes = oracle.verify(admin)
    acknowledged = oracle.acknowledged()
    print(
        f"{seconds / 60:.0f} minutes, {struck} faults, {acknowledged.total()} acknowledged,"
        f" {dict(oracle.statuses)}, {len(mistakes)} mistakes"
    )
    return samples, mistakes


def _sample(product: Product) -> Sample:
    gateway, workers = product.gateway(), product.processes(outages.WORKER)
    with product.connect() as admin:
        charges, wal, connections, size = _of_database(admin)
    return Sample(
        _memory_mb(gateway),
        max(map(_memory_mb, workers), default=0),
        sum(map(_descriptors, [gateway, *workers])),
        connections,
        size / 1024,
        charges,
        wal,
    )


def _of_database(admin: psycopg.Connection) -> tuple[int, int, int, int]:
    [(charges, wal, connections)] = admin.execute(
        "SELECT (SELECT sum(version)::bigint FROM billing.organizations),"
        " pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint,"
        " (SELECT count(*) FROM pg_stat_activity WHERE usename = 'synaxis_app')"
    ).fetchall()
    [(size,)] = admin.execute(_SIZES, [list(CHANGED)]).fetchall()
    return charges, wal, connections, int(size)


def _memory_mb(process: psutil.Process) -> float:
    """What it has for itself, not shared with other processes."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return float(process.memory_full_info().uss) / 1e6
    return 0


def _descriptors(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.NoSuchProcess):
        return int(process.num_fds())
    return 0


def _is_flat(samples: list[Sample]) -> bool:
    """Print the median of each figure in each third, and say whether none grew after the first."""
    thirds = [samples[len(samples) * n // 3 : len(samples) * (n + 1) // 3] for n in range(3)]
    table = Table("", "first third", "second", "last", "flat")
    flat = True
    figures = {
        figure: [statistics.median(getattr(one, name) for one in third) for third in thirds]
        for name, figure in FIGURES.items()
    }
    figures[WAL] = [
        (third[-1].wal_bytes - third[0].wal_bytes) / (third[-1].charges - third[0].charges) / 1024
        for third in thirds
    ]
    for figure, (first, second, last) in figures.items():
        is_flat = last <= second * figure.factor + figure.more
        flat = flat and is_flat
        row = [f"{value:.1f}" for value in (first, second, last)]
        table.add_row(figure.name, *row, "yes" if is_flat else "[red]NO")
    Console(width=120).print(table)
    return flat


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 30))
