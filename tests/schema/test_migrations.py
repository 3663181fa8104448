"""A database is brought up to date once, whoever asks and however often."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from synaxis_billing.schema.migrate import MigrationError, migrate
from synaxis_billing.schema.partitions import ensure_partitions
from tests.conftest import Database
from tests.support import steps


@pytest.fixture
def empty_url(database: Database) -> str:
    """The administrator's URL of a database in which there is nothing yet."""
    with database.admin() as admin:
        admin.execute("DROP SCHEMA billing CASCADE")
    return database.admin_url


def test_a_second_run_finds_nothing_to_do(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as admin:
        assert migrate(admin) == [
            "0001_ledger.sql",
            "0002_roles.sql",
            "0003_rates_and_invalidations.sql",
            "0004_invoices.sql",
            "0005_month_end.sql",
            "0006_webhooks.sql",
            "0007_homes.sql",
            "0008_privacy.sql",
            "0009_erasing_profiles.sql",
            "functions",
        ]
        assert migrate(admin) == []


def test_two_deployments_at_once_take_turns(empty_url: str) -> None:
    def run(_: int) -> int:
        with psycopg.connect(empty_url, autocommit=True) as admin:
            return len(migrate(admin))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(run, range(2))) == [0, 10]


def test_a_migration_that_was_changed_after_it_ran_is_refused(database: Database) -> None:
    with database.admin() as admin:
        admin.execute("UPDATE billing.migrations SET checksum = 'x' WHERE name = '0001_ledger.sql'")
        with pytest.raises(MigrationError, match=r"0001_ledger\.sql was changed"):
            migrate(admin)


def test_functions_are_replaced_while_the_ledger_is_in_use(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "10")
        steps.charge(db, organization_id, "1")
        admin.execute("UPDATE billing.migrations SET checksum = 'x' WHERE name = 'functions'")
        assert migrate(admin) == ["functions"]
        assert steps.charge(db, organization_id, "1").balance_after_usd == 8
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
        assert len(migrate(owner)) == 10
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
        stray = "SELECT tableoid::regclass::text FROM billing.credit_transactions WHERE id = %s"
        assert admin.execute(stray, [charged.id]).fetchone() == (
            "billing.credit_transactions_default",
        )
        assert ensure_partitions(db) == ["credit_transactions_2031_06", "spend_logs_2031_06"]
        assert admin.execute(stray, [charged.id]).fetchone() == (
            "billing.credit_transactions_2031_06",
        )
        assert steps.charge(db, organization_id, "1", "k") == charged
        with pytest.raises(psycopg.errors.RestrictViolation):
            admin.execute("TRUNCATE billing.spend_logs_2031_06")
        assert ensure_partitions(db) == []
    assert database.audit().whole


def test_partitions_are_there_a_year_ahead(database: Database) -> None:
    with database.admin() as admin:
        count = admin.execute(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'billing.spend_logs'::regclass"
        ).fetchone()
    assert count == (1 + 13,)


def test_an_old_server_is_refused_in_one_sentence(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synaxis_billing.schema.migrate.OLDEST_SERVER", 990000)
    with database.admin() as admin, pytest.raises(MigrationError, match="PostgreSQL 18 or newer"):
        migrate(admin)
