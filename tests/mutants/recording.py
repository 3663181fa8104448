"""Which test calls which function, and how long each test takes."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.mutants.python import Place, place_of

_CALLED = "SELECT funcname FROM pg_stat_user_functions WHERE schemaname = 'billing' AND calls > 0"
_ALONE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Test(NamedTuple):
    """A test that passes, its seconds, and the functions that it calls."""

    id: str
    seconds: float
    sql: set[str]
    python: set[Place]


class Recorder:
    """Records the tests of this process, one after the other, as lines of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sql: set[str] = set()
        self._python: set[Place] = set()
        self._passed = True
        sys.monitoring.use_tool_id(sys.monitoring.COVERAGE_ID, "mutants")
        sys.monitoring.register_callback(
            sys.monitoring.COVERAGE_ID, sys.monitoring.events.PY_START, self._called
        )

    def wrap(self, temporary: Any) -> Any:
        """Return what makes a database, and looks before its end which functions were called."""

        @contextlib.contextmanager
        def recorded(server_url: str, kind: str, copied_url: str | None) -> Iterator[str]:
            with temporary(server_url, kind, copied_url) as admin_url:
                try:
                    yield admin_url
                finally:
                    self._look(admin_url)

        return recorded

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._sql, self._python, self._passed = set(), set(), True
        monitoring = sys.monitoring
        monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.PY_START)
        monitoring.restart_events()
        began = time.monotonic()
        try:
            return (yield)
        finally:
            seconds = time.monotonic() - began
            monitoring.set_events(monitoring.COVERAGE_ID, 0)
            if self._passed:
                test = Test(item.nodeid, seconds, self._sql, self._python)
                with self._path.open("a") as file:
                    file.write(json.dumps([*test[:2], sorted(test.sql), sorted(test.python)]))
                    file.write("\n")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._passed = self._passed and report.passed

    def _called(self, code: CodeType, _offset: int) -> Any:
        place = place_of(code)
        if place:
            self._python.add(place)
        return sys.monitoring.DISABLE

    def _look(self, admin_url: str) -> None:
        with psycopg.connect(admin_url, autocommit=True) as connection:
            # A session tells what it called when it ends.
            connection.execute(_ALONE)
            deadline = time.monotonic() + 5
            while connection.execute(_ALONE).fetchone() and time.monotonic() < deadline:
                time.sleep(0.005)
            self._sql |= {str(name) for (name,) in connection.execute(_CALLED)}


def load(path: Path) -> list[Test]:
    return [
        Test(name, seconds, set(sql), {Place(*place) for place in python})
        for name, seconds, sql, python in map(json.loads, path.read_text().splitlines())
    ]
