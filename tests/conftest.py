"""A real PostgreSQL and a real Valkey for each worker, and a database of its own for each test."""

import atexit
import contextlib
import functools
import itertools
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from local import servers
from local.database import prepare, ship_prices
from synaxis_billing import procedures
from synaxis_billing.cache import connections, l2
from synaxis_billing.edge import settings as edge_settings
from synaxis_billing.ledger.audit import Audit, audit
from tests.support import citus
from tests.support.running import PATIENCE_SECONDS, Client, running, wait_until

_numbers = itertools.count(1)
# The coordinator of a Citus cluster: the ledger's tests run on it as on a single server.
CITUS_URL = os.environ.get("CITUS_URL")
# There, constraints stand in for the policies that guard money.
GUARDED = psycopg.errors.CheckViolation if CITUS_URL else psycopg.errors.InsufficientPrivilege
LEAST_MEMORY_BYTES = 4 << 30
# Read when a function's modules are first imported.
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "test")
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "test")
# Hypothesis must not take a pause of a busy machine for a failure.
settings.register_profile(
    "busy",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("busy")
SHIPPED_DEADLINES = {
    name: getattr(connections, name) for name in ("CONNECT_SECONDS", "ANSWER_SECONDS")
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Use half as many workers again as there are cores, since tests of the running product wait;
    one when the environment names a server, because each worker needs its own."""
    if {"DATABASE_URL", "CITUS_URL", "REDIS_URL"} & os.environ.keys():
        return 1
    return (os.cpu_count() or 1) * 3 // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first, those of the running product: a worker that began them last
    would finish alone."""
    longest = {"local", "chaos", "test_openapi.py", "test_faults.py"}
    items.sort(key=lambda item: longest.isdisjoint({item.path.parent.name, item.path.name}))
    for item in items if CITUS_URL else []:
        names = [item.name, getattr(item, "originalname", item.name)]
        for reason in {citus.ONE_SERVER[name] for name in names if name in citus.ONE_SERVER}:
            item.add_marker(pytest.mark.skip(reason=f"on a cluster {reason}"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say last how many tests were left out, and why."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = [report.longrepr[2] for report in reporter.stats.get("skipped", [])]
    for reason, count in Counter(skipped).items():
        reporter.write_line(f"{count} tests were left out: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """Give Redis time to answer and a load time to end: a busy machine pauses for longer than the
    deadlines that ship. A test of a deadline sets its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SHIPPED_DEADLINES:
            patch.setattr(connections, name, PATIENCE_SECONDS)
        patch.setattr(l2, "LEASE_MILLISECONDS", PATIENCE_SECONDS * 1000)
        patch.setattr(procedures, "PATIENCE_SECONDS", PATIENCE_SECONDS)
        yield


class Database(NamedTuple):
    """A migrated database: the application's URL and the administrator's."""

    app_url: str
    admin_url: str

    def connect(self) -> psycopg.Connection:
        """Connect as the application, but without its role's timeouts: on a busy machine, many
        threads wait long for one lock."""
        timeouts = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        return psycopg.connect(
            self.app_url,
            autocommit=True,
            prepare_threshold=None,
            cursor_factory=psycopg.ClientCursor if CITUS_URL else psycopg.Cursor,
            options=" ".join(f"-c {name}=0" for name in timeouts),
        )

    def admin(self) -> psycopg.Connection:
        options = citus.ADMINISTRATOR if CITUS_URL else ""
        return psycopg.connect(self.admin_url, autocommit=True, options=options)

    def nodes(self) -> list[str]:
        """The administrator's URL of each server: of a cluster's nodes, the coordinator first."""
        return citus.nodes(self.admin_url) if CITUS_URL else [self.admin_url]

    def audit(self) -> Audit:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            return audit(connection)


@pytest.fixture
def monkeypatch() -> Iterator[pytest.MonkeyPatch]:
    """Pytest's own, with settings that follow the environment."""
    with pytest.MonkeyPatch.context() as patch:
        setenv, delenv = patch.setenv, patch.delenv

        def set_variable(name: str, value: str, prepend: str | None = None) -> None:
            setenv(name, value, prepend)
            edge_settings.settings.cache_clear()

        def delete_variable(name: str, raising: bool = True) -> None:
            delenv(name, raising)
            edge_settings.settings.cache_clear()

        patch.setenv, patch.delenv = set_variable, delete_variable  # type: ignore[method-assign]
        edge_settings.settings.cache_clear()
        yield patch
    edge_settings.settings.cache_clear()


@pytest.fixture(scope="session")
def folders() -> Iterator[Callable[[str], Path]]:
    """Makes a new folder, which the account that PostgreSQL runs as can reach."""
    with tempfile.TemporaryDirectory(prefix="synaxis-billing-", dir=_memory()) as root:
        Path(root).chmod(0o711)
        numbers = itertools.count(1)

        def make(name: str) -> Path:
            folder = Path(root) / f"{name}-{next(numbers)}"
            folder.mkdir()
            return folder

        yield make


@pytest.fixture(scope="session")
def _prepared(folders: Callable[[str], Path]) -> Path:
    made = folders("prepared")
    with servers.postgres(made, durable=False) as url:
        ship_prices(prepare(url))
    return made


@pytest.fixture(scope="session")
def new_home(folders: Callable[[str], Path], _prepared: Path) -> Callable[[], Path]:
    """Makes a folder as its last run left it, because a first run takes twice as long. The commands
    of README.md run in an empty one."""

    def make() -> Path:
        copy = folders("home")
        # The files belong to the account that PostgreSQL runs as.
        subprocess.run(["cp", "-a", f"{_prepared}/.", str(copy)], check=True)
        return copy

    return make


@pytest.fixture(scope="session")
def state(folders: Callable[[str], Path]) -> Path:
    return folders("session")


def _memory() -> Path | None:
    """A file system in memory, where a database is copied in a tenth of the time, if it is large
    enough and programs run from it. No test crashes the machine."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or shutil.disk_usage(memory).free < LEAST_MEMORY_BYTES:
        return None
    return None if os.statvfs(memory).f_flag & os.ST_NOEXEC else memory


@pytest.fixture(scope="session")
def server_url(state: Path) -> Iterator[str]:
    """The administrator's URL of a PostgreSQL server."""
    if given := CITUS_URL or os.environ.get("DATABASE_URL"):
        yield given
    else:
        # Without WAL, and by the file system itself, a database is copied in a third of the time.
        options = {
            "max_connections": "200",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "file_copy_method": "clone",
            "max_wal_size": "256MB",
        }
        with servers.postgres(state, durable=False, settings=options) as url:
            yield url


@pytest.fixture(scope="session")
def redis_url(state: Path) -> Iterator[str]:
    if given := os.environ.get("REDIS_URL"):
        yield given
    else:
        with servers.valkey(state) as url:
            yield url


@pytest.fixture(scope="session")
def other_redis_url(redis_url: str) -> str:
    """For tests that have a database of their own and store what belongs to no organization."""
    return f"{redis_url.removesuffix('/0')}/1"


@pytest.fixture(scope="session")
def template_database(server_url: str) -> Iterator[Database]:
    """Migrated once; each test's database is a copy."""
    if CITUS_URL:
        with citus.cluster(CITUS_URL, f"synaxis_test_{os.getpid()}") as admin_url:
            yield Database(prepare(admin_url, distributed=True), admin_url)
        return
    with temporary(server_url, "template", None) as admin_url:
        yield Database(prepare(admin_url), admin_url)


@pytest.fixture
def database(server_url: str, template_database: Database) -> Iterator[Database]:
    if CITUS_URL:
        yield template_database
        citus.empty(template_database.admin_url)
        return
    with temporary(server_url, "test", template_database.admin_url) as admin_url:
        name = psycopg.conninfo.conninfo_to_dict(admin_url)["dbname"]
        yield Database(make_conninfo(template_database.app_url, dbname=str(name)), admin_url)


@contextlib.contextmanager
def temporary(server_url: str, kind: str, copied_url: str | None) -> Iterator[str]:
    if CITUS_URL:
        pytest.skip("on a cluster a database of its own takes too long to make")
    name = f"synaxis_{kind}_{os.getpid()}_{next(_numbers)}"
    source = psycopg.conninfo.conninfo_to_dict(copied_url or "dbname=template1")["dbname"]
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
        sql.Identifier(name), sql.Identifier(str(source))
    )
    drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
    _administrator(server_url).execute(create)
    try:
        yield make_conninfo(server_url, dbname=name)
    finally:
        _administrator(server_url).execute(drop)


@functools.cache
def _administrator(server_url: str) -> psycopg.Connection:
    """One connection for all databases, as long as the process runs."""
    connection = psycopg.connect(server_url, autocommit=True)
    atexit.register(connection.close)
    return connection


@pytest.fixture(scope="session")
def product(
    state: Path, server_url: str, redis_url: str, template_database: Database
) -> Iterator[tuple[str, Database]]:
    """The running product's URL, and its database."""
    with temporary(server_url, "product", template_database.admin_url) as admin_url:
        name = str(psycopg.conninfo.conninfo_to_dict(admin_url)["dbname"])
        app_url = make_conninfo(template_database.app_url, dbname=name)
        with running(state / "product", DATABASE_URL=admin_url, REDIS_URL=redis_url) as url:
            # The first exchange rates come soon after the start, and a busy machine refuses before.
            def has_rates() -> bool:
                health = httpx.get(f"{url}/health", timeout=PATIENCE_SECONDS)
                return bool(health.json().get("rates") == "ok")

            wait_until(has_rates)
            yield url, Database(app_url, admin_url)


@pytest.fixture(scope="session")
def api(product: tuple[str, Database]) -> Iterator[Client]:
    """A client with every scope, for all organizations."""
    with contextlib.closing(Client(product[0])) as client:
        yield client
