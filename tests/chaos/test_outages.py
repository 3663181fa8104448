"""Money moves once or not at all while processes of the product die and freeze under load."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos import outages
from tests.chaos.outages import Product
from tests.chaos.seeds import EVERYTHING
from tests.chaos.surviving import Case, survive

# 429 where calls that broke off keep the places of their organization.
RETRY = {429, 503}
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
def product(new_home: Callable[[], Path]) -> Iterator[Product]:
    product = Product(new_home())
    yield product
    product.close()


@pytest.mark.parametrize("name", [*CASES, *LONGER])
def test_money_moves_once_or_not_at_all_through(name: str, product: Product) -> None:
    if name in LONGER and not EVERYTHING:
        pytest.skip("`make chaos` takes the time")
    survive(product, name, (CASES | LONGER)[name])


@pytest.fixture
def small_disk(folders: Callable[[str], Path]) -> Iterator[Path]:
    """A file system that can be filled without harm."""
    if not EVERYTHING:
        pytest.skip("`make chaos` takes the time")
    folder = folders("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=1g,mode=711", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_money_moves_once_or_not_at_all_through_a_full_disk(small_disk: Path) -> None:
    product = Product(small_disk)
    with contextlib.closing(product):
        oracle = survive(product, "disk full", Case(outages.fill_disk(small_disk), RETRY))
    # It was full.
    assert oracle.statuses[503] > 0
