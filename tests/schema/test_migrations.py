"""A database is brought up to date once, whoever asks and however often."""

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from local import servers
from local.database import prepare
from synaxis_billing import schema
from synaxis_billing.schema.migrate import MigrationError, migrate
from synaxis_billing.schema.partitions import ensure_partitions
from tests.conftest import Database
from tests.support import schema_dump, steps
from tests.support.clock import move_clock

MIGRATIONS = Path(schema.__file__).parent / "migrations"
# What the first run on a database does.
EVERYTHING = [*sorted(path.name for path in MIGRATIONS.iterdir()), "functions", "triggers"]


@pytest.fixture
def empty_url(database: Database) -> str:
    """The administrator's URL of a database in which there is nothing yet."""
    with database.admin() as admin:
        admin.execute("DROP SCHEMA billing CASCADE")
    return database.admin_url


def test_a_second_run_finds_nothing_to_do(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as admin:
        assert migrate(admin) == EVERYTHING
        assert migrate(admin) == []


def test_two_deployments_at_once_take_turns(empty_url: str) -> None:
    def run(_: int) -> int:
        with psycopg.connect(empty_url, autocommit=True) as admin:
            return len(migrate(admin))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(run, range(2))) == [0, len(EVERYTHING)]


def test_a_migration_that_was_changed_after_it_ran_is_refused(database: Database) -> None:
    with database.admin() as admin:
        admin.execute(
            "UPDATE billing.migrations SET checksum = 'x' WHERE name = '0001_baseline.sql'"
        )
        with pytest.raises(MigrationError, match=r"0001_baseline\.sql was changed"):
            migrate(admin)


def test_functions_are_replaced_while_the_ledger_is_in_use(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "10")
        admin.execute("UPDATE billing.migrations SET checksum = 'x' WHERE name = 'functions'")
        with db.transaction():
            # Neither waits for the other.
            steps.charge(db, organization_id, "1")
            assert migrate(admin) == ["functions"]
            assert steps.charge(db, organization_id, "1").balance_after_usd == 8
        assert steps.charge(db, organization_id, "1").balance_after_usd == 7
    assert database.audit().whole


def test_an_administrator_who_is_no_superuser_can_migrate(
    server_url: str, empty_url: str, database: Database
) -> None:
    with psycopg.connect(empty_url, autocommit=True) as admin:
        name = admin.info.dbname
        admin.execute("DROP ROLE IF EXISTS owner_of_test")
        admin.execute("CREATE ROLE owner_of_test LOGIN CREATEROLE PASSWORD 'owner'")
        admin.execute(
            "GRANT synaxis_app, synaxis_ledger, synaxis_eraser TO owner_of_test WITH ADMIN TRUE"
        )
        admin.execute(f'ALTER DATABASE "{name}" OWNER TO owner_of_test'.encode())
    owner_url = make_conninfo(empty_url, user="owner_of_test", password="owner")
    with psycopg.connect(owner_url, autocommit=True) as owner:
        assert migrate(owner) == EVERYTHING
        owner.execute("UPDATE billing.migrations SET checksum = 'x' WHERE name = 'functions'")
        assert migrate(owner) == ["functions"]
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        steps.charge(db, organization_id, "1")
        steps.erase(db, organization_id)
    assert database.audit().whole
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" OWNER TO CURRENT_USER'.encode())
    with psycopg.connect(empty_url, autocommit=True) as admin:
        admin.execute("REASSIGN OWNED BY owner_of_test TO CURRENT_USER")
        admin.execute("DROP OWNED BY owner_of_test")
        admin.execute("DROP ROLE owner_of_test")


def test_rows_of_a_month_without_a_partition_are_kept_and_move_when_it_is_made(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "10")
        admin.execute(
            "UPDATE billing.organizations SET changed_at = '2031-05-31 23:59:59.999999+00'"
        )
        charged = steps.charge(db, organization_id, "1", "k")
        steps.log_spend(db, organization_id, "1")
        stray = "SELECT tableoid::regclass::text FROM billing.credit_transactions WHERE id = %s"
        assert admin.execute(stray, [charged.id]).fetchone() == (
            "billing.credit_transactions_default",
        )
        assert ensure_partitions(db) == ["credit_transactions_2031_06", "logged_spend_2031_06"]
        assert admin.execute(stray, [charged.id]).fetchone() == (
            "billing.credit_transactions_2031_06",
        )
        assert steps.charge(db, organization_id, "1", "k") == charged
        with pytest.raises(psycopg.errors.RestrictViolation):
            admin.execute("TRUNCATE billing.logged_spend_2031_06")
        assert ensure_partitions(db) == []
        move_clock(admin, datetime(2031, 6, 1, 1, tzinfo=UTC) - datetime.now(UTC))
    assert database.audit().whole


def test_partitions_are_there_a_year_ahead(database: Database) -> None:
    with database.admin() as admin:
        count = admin.execute(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'billing.logged_spend'::regclass"
        ).fetchone()
    assert count == (1 + 13,)


def test_an_old_server_is_refused_in_one_sentence(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synaxis_billing.schema.migrate.OLDEST_SERVER", 990000)
    with database.admin() as admin, pytest.raises(MigrationError, match="PostgreSQL 18 or newer"):
        migrate(admin)


def test_a_database_that_is_newer_than_the_code_is_refused(database: Database) -> None:
    with database.admin() as admin:
        admin.execute(
            "INSERT INTO billing.migrations (name, checksum) VALUES ('0002_next.sql', 'x')"
        )
        with pytest.raises(MigrationError, match=r"newer than this release.*0002_next\.sql"):
            migrate(admin)


def test_what_the_release_before_has_keeps_its_owner_and_its_callers(database: Database) -> None:
    with database.admin() as admin, database.connect() as db:
        admin.execute(
            "GRANT CREATE ON SCHEMA billing TO synaxis_ledger, synaxis_eraser;"
            # One that writes, one of another signature, one that the application cannot call.
            "CREATE FUNCTION billing.writer(p_tenant text) RETURNS text LANGUAGE sql"
            " SECURITY DEFINER SET search_path = billing, pg_temp AS 'SELECT current_user::text';"
            "CREATE FUNCTION billing.outcome(p_before int) RETURNS int LANGUAGE sql AS 'SELECT 7';"
            "CREATE FUNCTION billing.part(p_tenant text) RETURNS int LANGUAGE sql AS 'SELECT 7';"
            "REVOKE ALL ON FUNCTION billing.part(text) FROM PUBLIC;"
            "GRANT EXECUTE ON FUNCTION billing.writer(text) TO synaxis_app;"
            "ALTER FUNCTION billing.writer(text) OWNER TO synaxis_ledger;"
            "CREATE FUNCTION billing.eraser(p_tenant text) RETURNS text LANGUAGE sql"
            " SECURITY DEFINER SET search_path = billing, pg_temp AS 'SELECT current_user::text';"
            "REVOKE ALL ON FUNCTION billing.eraser(text) FROM PUBLIC;"
            "GRANT EXECUTE ON FUNCTION billing.eraser(text) TO synaxis_app;"
            "ALTER FUNCTION billing.eraser(text) OWNER TO synaxis_eraser;"
            "REVOKE CREATE ON SCHEMA billing FROM synaxis_ledger, synaxis_eraser"
        )
        admin.execute("UPDATE billing.migrations SET checksum = '' WHERE name = 'functions'")
        assert migrate(admin) == ["functions"]
        assert db.execute("SELECT billing.writer('*')").fetchone() == ("synaxis_ledger",)
        assert db.execute("SELECT billing.eraser('*')").fetchone() == ("synaxis_eraser",)
        assert admin.execute(
            "SELECT has_function_privilege('synaxis_ledger', 'billing.eraser(text)', 'EXECUTE')"
        ).fetchone() == (False,)
        assert db.execute("SELECT billing.outcome(p_before => 1)").fetchone() == (7,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute("SELECT billing.part('*')")
    assert database.audit().whole


def test_privileges_that_were_lost_are_given_again(database: Database) -> None:
    with database.admin() as admin, database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        admin.execute("REVOKE USAGE ON SCHEMA billing FROM synaxis_app")
        assert migrate(admin) == ["functions"]
        assert migrate(admin) == []
        steps.charge(db, organization_id, "1")


@pytest.fixture
def new_server(folders: Callable[[str], Path]) -> Iterator[str]:
    """The administrator's URL of a server that has none of our roles."""
    with servers.postgres(folders("server"), durable=False) as url:
        yield url


def test_a_dump_that_was_restored_without_its_roles_works_again(
    database: Database, new_server: str
) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
    binaries = servers.postgres_binaries()
    dump = subprocess.run(
        [binaries / "pg_dump", f"--dbname={database.admin_url}"], capture_output=True, check=True
    ).stdout
    restored = subprocess.run(
        [binaries / "psql", "-q", f"--dbname={new_server}"],
        input=dump,
        capture_output=True,
        check=True,
    )
    assert b'role "synaxis_app" does not exist' in restored.stderr
    app_url = prepare(new_server)
    with psycopg.connect(app_url, autocommit=True) as db:
        assert steps.charge(db, organization_id, "1").balance_after_usd == 9
        assert db.execute("SELECT count(*) FROM billing.organizations").fetchone() == (0,)
    assert Database(app_url, new_server).audit().whole


def test_two_databases_of_one_server_are_migrated_at_once(new_server: str) -> None:
    names = [f"beside_{number}" for number in range(4)]
    with psycopg.connect(new_server, autocommit=True) as admin:
        for name in names:
            admin.execute(f"CREATE DATABASE {name}".encode())

    def run(name: str) -> int:
        with psycopg.connect(make_conninfo(new_server, dbname=name), autocommit=True) as admin:
            return len(migrate(admin))

    with ThreadPoolExecutor(len(names)) as pool:
        assert list(pool.map(run, names)) == [len(EVERYTHING)] * len(names)


def test_the_schema_is_the_one_that_is_written_down(database: Database) -> None:
    assert schema_dump.schema_of(database.admin_url) == schema_dump.PATH.read_text(), (
        f"schema.sql is not the schema: run {schema_dump.COMMAND}"
    )


def test_a_moved_clock_moves_what_the_database_does(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "10")
        steps.hold(db, organization_id, "4", expires_in_seconds=600)
        assert steps.available(db, organization_id) == 6
        move_clock(admin, timedelta(seconds=599))
        assert steps.available(db, organization_id) == 6
        move_clock(admin, timedelta(seconds=2))
        assert steps.available(db, organization_id) == 10
        charged = steps.charge(db, organization_id, "10")
        assert charged.created_at > datetime.now(UTC) + timedelta(seconds=590)
    assert database.audit().whole
