"""Put mistakes into the functions of SQL and Python, one at a time, and see whether a test fails.

    python -m tests.mutants [--sql N] [--python N] [--seed N] [--only PATTERN] [--tests PATTERN]

N is how many mutants are tried, or `all`. A process collects the tests once and forks for each
mutant. The fork runs the tests that call the function, cheapest first, until one fails.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import pytest

from local import servers
from tests.mutants.running import Forking, Plan

# Not those that need the running product, a browser or a container, and not the random searches
# for an order of two operations.
_LEFT_OUT = {"local", "sam", "client", "console", "interleavings", "template", "standin", "chaos"}
_LEFT_OUT |= {"openapi", "mutants"}
_SERVER = {
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "file_copy_method": "clone",
    "max_wal_size": "256MB",
    "track_functions": "all",
}


def main() -> int:
    plan = _plan()
    tests = sorted(
        str(path)
        for path in Path("tests").iterdir()
        if path.is_dir() and path.name not in _LEFT_OUT and any(path.glob("test_*.py"))
    )
    forking = Forking(plan)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="synaxis-mutants-", dir=memory if memory.is_dir() else None
    ) as folder:
        Path(folder).chmod(0o711)
        state = Path(folder)
        with (
            servers.postgres(state, durable=False, settings=_SERVER) as database_url,
            servers.valkey(state) as redis_url,
        ):
            os.environ.update(DATABASE_URL=database_url, REDIS_URL=redis_url)
            options = ["-q", "--no-header", "-p", "no:cacheprovider", "-n0", "-W", "default"]
            pytest.main([*options, *tests], plugins=[forking])
    return forking.report()


def _plan() -> Plan:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--sql", default="0")
    parser.add_argument("--python", default="0")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--only", default="", help="a pattern of file, function and change")
    parser.add_argument("--tests", default="", help="a pattern of the tests that may be run")
    parser.add_argument("--seconds", type=float, default=60, help="of tests, for each mutant")
    parser.add_argument("--recorded", type=Path, help="keep here which test calls what")
    parser.add_argument("--results", type=Path, help="keep here what became of each mutant")
    parser.add_argument("--again", type=Path, help="try those that no test killed in these results")
    given = parser.parse_args()
    return Plan(
        {"sql": _size(given.sql), "python": _size(given.python)},
        given.seed,
        given.only,
        given.tests,
        given.seconds,
        given.recorded,
        given.results,
        given.again,
    )


def _size(text: str) -> int | None:
    return None if text == "all" else int(text)


if __name__ == "__main__":
    sys.exit(main())
