"""An index and a backfill of a large table are made while it is in use, and go on where they were
interrupted."""

import threading
from pathlib import Path

import psycopg
import pytest

from synaxis_billing.schema import online
from synaxis_billing.schema.migrate import MigrationError, migrate
from tests.conftest import Database
from tests.support import steps

INDEX = """-- Finds holds by their user.
CREATE INDEX CONCURRENTLY IF NOT EXISTS holds_by_user ON billing.holds (organization_id, end_user);
"""
BACKFILL = """ALTER TABLE billing.organizations ADD COLUMN IF NOT EXISTS remark text;

-- until done
UPDATE billing.organizations SET remark = 'none' WHERE id IN (
    SELECT id FROM billing.organizations WHERE remark IS NULL ORDER BY id LIMIT 3);
"""


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
