"""Runs the tests of each mutant in a fork of the process that has collected all tests."""

import json
import os
import re
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from psycopg import sql as pgsql
from psycopg.conninfo import make_conninfo

from local.database import prepare
from tests import conftest
from tests.mutants import equivalent, python, sql
from tests.mutants.mutant import Mutant, sample
from tests.mutants.recording import Recorder, Test, load

TEMPLATE = "mutants_template"
# A test that takes so much longer than without a mistake is stopped.
LONGER, MORE_SECONDS = 4, 10


class Plan(NamedTuple):
    sizes: dict[str, int | None]
    seed: int
    only: str
    tests: str
    seconds: float
    recorded: Path | None
    results: Path | None
    again: Path | None


class Fate(StrEnum):
    killed = "killed"
    survived = "survived"
    late = "killed by time"
    uncalled = "no test calls it"
    refused = "refused by the compiler"
    equivalent = "equivalent"


_NOT_JUDGED = (Fate.refused, Fate.equivalent)


class Result(NamedTuple):
    language: str
    mutant: Mutant
    fate: Fate
    test: str
    tests: int


class Forking:
    """A plugin of pytest in whose place a fork runs tests."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.results: list[Result] = []
        self._killers: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._items: dict[str, pytest.Item] = {}
        self._admin_url = self._app_url = ""
        self._originals = {
            (str(path.relative_to(sql.CORE)), name): text
            for path, name, text, _line in sql.functions()
        }

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        # The product's fixtures start a server of its own, whose database nobody mutates.
        self._items = {
            item.nodeid: item
            for item in session.items
            if "product" not in getattr(item, "fixturenames", ())
        }
        server_url = os.environ["DATABASE_URL"]
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(pgsql.SQL("CREATE DATABASE {}").format(pgsql.Identifier(TEMPLATE)))
        self._admin_url = make_conninfo(server_url, dbname=TEMPLATE)
        self._app_url = prepare(self._admin_url)
        tests = self._recorded(session)
        tests = [test for test in tests if self._may_run(test)]
        total = sum(test.seconds for test in tests)
        print(f"{len(tests)} tests pass, in {total:.0f} s.", flush=True)
        self._try_all("sql", sql.mutants(), self._sql_tests(tests), self._in_sql)
        self._try_all("python", python.mutants(), _python_tests(tests), self._in_python)
        return True

    def _may_run(self, test: Test) -> bool:
        return test.id in self._items and re.search(self._plan.tests, test.id) is not None

    def report(self) -> int:
        """Print the scores and the survivors; return the exit status."""
        for language in ("sql", "python"):
            results = [result for result in self.results if result.language == language]
            if not results:
                continue
            alike = [result for result in results if result.fate == Fate.equivalent]
            judged = [result for result in results if result.fate not in _NOT_JUDGED]
            killed = sum(map(_killed, judged))
            print(
                f"\n{language}: {killed} of {len(judged)} mutants killed,"
                f" {100 * killed / max(len(judged), 1):.1f} %;"
                f" {len(alike)} more change nothing (seed {self._plan.seed})"
            )
            for result in judged:
                if not _killed(result):
                    print(_line(result))
        return 0

    def _recorded(self, session: pytest.Session) -> list[Test]:
        path = self._plan.recorded or Path(tempfile.mkdtemp()) / "recorded.jsonl"
        known = {test.id for test in load(path)} if path.exists() else set()
        new = [item for item in self._items.values() if item.nodeid not in known]
        if new:
            self._fork(lambda: self._record(session, path, new), None)
        return load(path)

    def _record(self, session: pytest.Session, path: Path, items: list[pytest.Item]) -> None:
        recorder = Recorder(path)
        session.config.pluginmanager.register(recorder)
        self._use_template()
        conftest.temporary = recorder.wrap(conftest.temporary)
        path.touch()
        self._run(items, {}, stop=False)

    def _use_template(self) -> None:
        """Let the tests' databases be copies of the mutants' template."""
        temporary = conftest.temporary

        @contextmanager
        def made(server_url: str, kind: str, copied_url: str | None) -> Iterator[str]:
            if kind == "template":
                yield self._admin_url
                return
            with temporary(server_url, kind, copied_url) as admin_url:
                yield admin_url

        vars(conftest).update(temporary=made, prepare=lambda _admin_url: self._app_url)

    def _try_all(
        self,
        language: str,
        mutants: list[Mutant],
        tests_of: Callable[[Mutant], list[Test]],
        put: Callable[[Mutant, list[Test]], Result],
    ) -> None:
        only = self._plan.only
        mutants = [mutant for mutant in mutants if re.search(only, " ".join(mutant.key))]
        chosen = sample(mutants, self._plan.sizes[language], self._plan.seed)
        if self._plan.again:
            left = _left(self._plan.again)
            chosen = [mutant for mutant in mutants if (language, *mutant.key) in left]
        for number, mutant in enumerate(chosen, 1):
            tests = self._ordered(mutant, tests_of(mutant))
            began = time.monotonic()
            if equivalent.reason(mutant):
                result = self._result(language, mutant, Fate.equivalent)
            elif not tests:
                result = self._result(language, mutant, Fate.uncalled)
            else:
                result = put(mutant, tests)
            self.results.append(result)
            if result.test:
                killers = self._killers[mutant.path, mutant.function]
                killers[:] = [result.test, *[test for test in killers if test != result.test]]
            seconds = time.monotonic() - began
            told = f"{number}/{len(chosen)} {seconds:.1f} s {result.fate}"
            print(f"{told}: {mutant.path}:{mutant.line} {mutant.function}", flush=True)
            if self._plan.results:
                with self._plan.results.open("a") as file:
                    file.write(json.dumps([language, *mutant.key, result.fate, result.test]) + "\n")

    def _ordered(self, mutant: Mutant, tests: list[Test]) -> list[Test]:
        """The tests that are run: those that killed a mutant of the function, then the cheapest
        of its file, of its noun, and of all."""
        killers = self._killers[mutant.path, mutant.function]
        path = Path(mutant.path)

        def rank(test: Test) -> tuple[int, bool, bool, float, str]:
            killed = killers.index(test.id) if test.id in killers else len(killers)
            tested = Path(test.id.partition("::")[0])
            of_file = path.stem in tested.stem
            of_noun = path.parent.name == tested.parent.name
            return killed, not of_file, not of_noun, test.seconds, test.id

        chosen: list[Test] = []
        seconds = 0.0
        for test in sorted(tests, key=rank):
            seconds += test.seconds
            if chosen and seconds > self._plan.seconds:
                continue
            chosen.append(test)
        return chosen

    def _sql_tests(self, tests: list[Test]) -> Callable[[Mutant], list[Test]]:
        callers = _callers()

        def tests_of(mutant: Mutant) -> list[Test]:
            # PostgreSQL does not count the calls of a function that it puts in its caller's place.
            called = callers[mutant.function]
            return [test for test in tests if test.sql & called]

        return tests_of

    def _in_sql(self, mutant: Mutant, tests: list[Test]) -> Result:
        original = self._originals[mutant.path, mutant.function]
        with psycopg.connect(self._admin_url, autocommit=True) as admin:
            try:
                admin.execute(mutant.source.encode())
            except psycopg.Error:
                return self._result("sql", mutant, Fate.refused)
        try:
            return self._test("sql", mutant, tests, lambda: True)
        finally:
            with psycopg.connect(self._admin_url, autocommit=True) as admin:
                admin.execute(original.encode())

    def _in_python(self, mutant: Mutant, tests: list[Test]) -> Result:
        try:
            compile(mutant.source, mutant.path, "exec")
        except SyntaxError:
            return self._result("python", mutant, Fate.refused)
        return self._test("python", mutant, tests, lambda: python.put(mutant))

    def _test(
        self, language: str, mutant: Mutant, tests: list[Test], put: Callable[[], bool]
    ) -> Result:
        def work() -> None:
            self._use_template()
            if not put():
                raise SystemExit(3)
            seconds = {test.id: test.seconds for test in tests}
            failed = self._run([self._items[test.id] for test in tests], seconds, stop=True)
            if failed:
                os.write(told, failed.encode())
                raise SystemExit(1)

        heard, told = os.pipe()
        status = self._fork(work, told)
        with os.fdopen(heard, "rb") as pipe:
            test = pipe.read().decode()
        fates = {0: Fate.survived, 1: Fate.killed, 3: Fate.refused}
        fate = fates.get(status, Fate.late if status == -signal.SIGALRM else Fate.killed)
        if status not in fates:
            self._drop_left_over()
        return Result(language, mutant, fate, test, len(tests))

    def _fork(self, work: Callable[[], None], told: int | None) -> int:
        """Do the work in a fork, and return its exit status, negative for a signal."""
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            status = 2
            try:
                os.setsid()
                quiet = os.open(os.devnull, os.O_WRONLY)
                os.dup2(quiet, 1)
                os.dup2(quiet, 2)
                work()
                status = 0
            except SystemExit as ended:
                status = int(ended.code or 0)
            finally:
                os._exit(status)
        if told is not None:
            os.close(told)
        _, status = os.waitpid(child, 0)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(status)

    def _run(self, items: list[pytest.Item], seconds: dict[str, float], *, stop: bool) -> str:
        """Run the tests, and return the first that fails."""
        # What a random search finds must not depend on the searches before it.
        settings.register_profile(
            "mutants",
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        )
        settings.load_profile("mutants")
        items[0].config.pluginmanager.unregister(name="terminalreporter")
        for item, following in zip(items, [*items[1:], None], strict=True):
            if stop:
                limit = LONGER * seconds[item.nodeid] + MORE_SECONDS
                signal.setitimer(signal.ITIMER_REAL, limit)
            session = item.session
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if stop and session.testsfailed:
                return item.nodeid
        signal.setitimer(signal.ITIMER_REAL, 0)
        return ""

    def _drop_left_over(self) -> None:
        """Drop the databases of a fork that was stopped."""
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            names = connection.execute(
                r"SELECT datname FROM pg_database WHERE datname LIKE 'synaxis\_%'"
            ).fetchall()
            for (name,) in names:
                connection.execute(
                    pgsql.SQL("DROP DATABASE {} WITH (FORCE)").format(pgsql.Identifier(name))
                )

    def _result(self, language: str, mutant: Mutant, fate: Fate) -> Result:
        return Result(language, mutant, fate, "", 0)


def _callers() -> dict[str, set[str]]:
    """For each SQL function, itself and what calls it through functions in SQL alone."""
    texts: dict[str, str] = defaultdict(str)
    for _path, name, text, _line in sql.functions():
        texts[name] += text
    inlined = {name for name, text in texts.items() if "LANGUAGE sql" in text}
    callers = {}
    for name in texts:
        known = {name}
        waiting = [name]
        while waiting:
            called = waiting.pop()
            if called not in inlined:
                continue
            for caller, text in texts.items():
                if caller not in known and f"billing.{called}(" in text:
                    known.add(caller)
                    waiting.append(caller)
        callers[name] = known
    return callers


def _python_tests(tests: list[Test]) -> Callable[[Mutant], list[Test]]:
    def tests_of(mutant: Mutant) -> list[Test]:
        return [
            test
            for test in tests
            if any(
                place.path == mutant.path
                and (place.name == mutant.function or place.name.startswith(f"{mutant.function}."))
                for place in test.python
            )
        ]

    return tests_of


def _left(results: Path) -> set[tuple[str, ...]]:
    """The mutants that these results say no test killed."""
    fates = {}
    for line in results.read_text().splitlines():
        *mutant, fate, _test = json.loads(line)
        fates[tuple(mutant)] = Fate(fate)
    return {mutant for mutant, fate in fates.items() if fate in (Fate.survived, Fate.uncalled)}


def _killed(result: Result) -> bool:
    return result.fate in (Fate.killed, Fate.late)


def _line(result: Result) -> str:
    mutant = result.mutant
    return (
        f"{result.fate}: {mutant.path}:{mutant.line} {mutant.function} {mutant.kind}:"
        f" {mutant.change} ({result.tests} tests)"
    )
