"""An index and a backfill of a large table are made while it is in use, and go on where they were
interrupted."""

import functools
import threading
from pathlib import Path

import psycopg
import pytest

from synaxis_billing.schema import online
from synaxis_billing.schema.migrate import MigrationError, migrate
from tests.conftest import Database
from tests.support import steps
from tests.support.online import BACKFILL, INDEX, Clock
from tests.support.running import wait_until


def run(database: Database, folder: Path) -> list[str]:
    with database.admin() as admin:
        return list(online.migrate_online(admin, folder))


def test_customers_calls_go_on_while_an_index_and_a_backfill_are_made(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "0001_index.sql").write_text(INDEX)
    (tmp_path / "0002_remark.sql").write_text(BACKFILL)
    ended, refused = threading.Event(), []
    rounds = 0
    with database.connect() as db:
        organizations = [steps.new_organization(db, "100") for _ in range(10)]

    def call() -> None:
        nonlocal rounds
        # With the time limits of the application.
        with psycopg.connect(database.app_url, autocommit=True) as db:
            while not ended.is_set():
                for organization_id in organizations:
                    try:
                        steps.charge(db, organization_id, "0.01")
                        steps.hold(db, organization_id, "0.01", end_user="me")
                    except psycopg.Error as error:
                        refused.append(error)
                        return
                rounds += 1

    caller = threading.Thread(target=call)
    caller.start()
    try:
        assert run(database, tmp_path) == ["0001_index.sql", "0002_remark.sql"]
    finally:
        ended.set()
        caller.join()
    assert refused == []
    assert run(database, tmp_path) == []
    with database.admin() as admin:
        assert admin.execute(
            "SELECT count(*) FROM billing.organizations WHERE remark IS NULL"
        ).fetchone() == (0,)
        assert admin.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'billing.holds_by_user'::regclass"
        ).fetchone() == (True,)
        # A deployment takes it for no migration of another release.
        migrate(admin)
    assert database.audit().whole


def test_an_interrupted_one_goes_on(database: Database, tmp_path: Path) -> None:
    (tmp_path / "0001_index.sql").write_text(INDEX)
    (tmp_path / "0002_remark.sql").write_text(BACKFILL)
    with database.connect() as db, database.admin() as admin:
        for _ in range(10):
            steps.new_organization(db)
        # Killed while it made the index, and after the first step of the backfill.
        admin.execute(INDEX.encode())
        admin.execute(
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'billing.holds_by_user'::regclass"
        )
        for statement in BACKFILL.split("\n\n"):
            admin.execute(statement.encode())
    assert run(database, tmp_path) == ["0001_index.sql", "0002_remark.sql"]
    with database.admin() as admin:
        assert admin.execute(
            "SELECT count(*) FROM billing.organizations WHERE remark IS NULL"
        ).fetchone() == (0,)
        assert admin.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'billing.holds_by_user'::regclass"
        ).fetchone() == (True,)


def test_an_index_that_takes_longer_than_a_run_is_made_by_the_server_once(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "0001_index.sql").write_text(INDEX)
    with database.connect() as db:
        acme = steps.new_organization(db, "10")
    with database.admin() as writer, database.admin() as admin:
        # An index waits for who writes its table.
        writer.execute("BEGIN; LOCK TABLE billing.holds IN ROW EXCLUSIVE MODE")

        def is_left_to_the_server() -> bool:
            with database.admin() as client, pytest.raises(online.Unfinished):
                list(online.migrate_online(client, tmp_path, seconds=0.5))
            assert client.closed
            return "waiting for writers" in online.progress(admin)

        wait_until(is_left_to_the_server)
        [(made,)] = admin.execute("SELECT 'billing.holds_by_user'::regclass::oid").fetchall()
        # The next run waits for it, and does not begin it again.
        with database.admin() as client, pytest.raises(online.Unfinished, match="another run"):
            list(online.migrate_online(client, tmp_path, seconds=0, remake=False))
        writer.execute("COMMIT")
        with database.admin() as client:
            ran = online.migrate_online(client, tmp_path, remake=False)
            assert list(ran) == ["0001_index.sql"]
        assert admin.execute(
            "SELECT indexrelid::oid FROM pg_index"
            " WHERE indexrelid = 'billing.holds_by_user'::regclass AND indisvalid"
        ).fetchone() == (made,)
        assert online.progress(admin) == ""
    with database.connect() as db:
        steps.hold(db, acme, "1")


def test_an_index_that_the_server_cannot_make_is_not_begun_again_and_again(
    database: Database, tmp_path: Path
) -> None:
    unique = INDEX.replace("CREATE INDEX", "CREATE UNIQUE INDEX")
    (tmp_path / "0001_index.sql").write_text(unique)
    with database.connect() as db:
        acme = steps.new_organization(db, "10")
        for _ in range(2):
            steps.hold(db, acme, "1", end_user="me")
    with pytest.raises(psycopg.errors.UniqueViolation, match="could not create unique index"):
        run(database, tmp_path)
    with database.admin() as admin, pytest.raises(MigrationError, match="could not be made"):
        list(online.migrate_online(admin, tmp_path, remake=False))


def test_a_backfill_that_takes_longer_than_a_run_goes_on_where_it_was(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0001_remark.sql").write_text(BACKFILL)
    with database.connect() as db:
        for _ in range(10):
            steps.new_organization(db)
    # The time of a run ends in the pause after each step.
    monkeypatch.setattr(online, "time", Clock())
    ended: list[str] = []
    while len(ended) < 10:
        with database.admin() as client:
            pid = client.info.backend_pid
            try:
                ended += online.migrate_online(client, tmp_path, seconds=online.PAUSE_SECONDS)
                break
            except online.Unfinished as unfinished:
                ended.append(str(unfinished))
        # The server lets the lock of a closed connection go a moment later.
        wait_until(functools.partial(_is_gone, database, pid))
    changed = ["0001_remark.sql: 3 rows changed"] * 3 + ["0001_remark.sql: 1 rows changed"]
    assert ended == [*changed, "0001_remark.sql"]
    with database.admin() as admin:
        assert admin.execute(
            "SELECT count(*) FROM billing.organizations WHERE remark IS NULL"
        ).fetchone() == (0,)


def _is_gone(database: Database, pid: int) -> bool:
    with database.admin() as admin:
        query = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
        return admin.execute(query, [pid]).fetchone() == (0,)


def test_two_runs_take_turns(database: Database, tmp_path: Path) -> None:
    (tmp_path / "0001_index.sql").write_text(INDEX)
    done: list[list[str]] = []
    runs = [threading.Thread(target=lambda: done.append(run(database, tmp_path))) for _ in range(2)]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    assert sorted(done) == [[], ["0001_index.sql"]]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("CREATE INDEX x ON billing.holds (id);", "CONCURRENTLY IF NOT EXISTS"),
        ("UPDATE billing.organizations SET name = name;", "in steps"),
        ("-- until done\nDELETE FROM billing.invalidations;", "in steps"),
    ],
)
def test_what_would_lock_a_table_or_never_end_is_refused(
    database: Database, tmp_path: Path, text: str, rule: str
) -> None:
    (tmp_path / "0001_bad.sql").write_text(text)
    with pytest.raises(MigrationError, match=rule):
        run(database, tmp_path)


def test_one_that_was_changed_after_it_was_done_is_refused(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "0001_index.sql").write_text(INDEX)
    run(database, tmp_path)
    (tmp_path / "0001_index.sql").write_text(INDEX + "\n-- More.\n")
    with pytest.raises(MigrationError, match="changed after it was done"):
        run(database, tmp_path)
