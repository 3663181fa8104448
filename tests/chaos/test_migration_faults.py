"""A migration that dies after any statement changes nothing: the release before works on, and the
next run finishes. Two at once, and an old release on the new schema, are in `tests/schema`."""

import random
from typing import Any

import psycopg
import pytest

from synaxis_billing.schema.migrate import migrate
from tests.chaos.seeds import EVERYTHING, new_seed
from tests.conftest import Database
from tests.support import schema_dump, steps

DEATHS = 8 if EVERYTHING else 2
# Their text is not that of this release, as before a deployment.
STALE = "UPDATE billing.migrations SET checksum = 'x' WHERE name IN ('functions', 'triggers')"


class _Dying(psycopg.Connection):
    """A connection whose backend is ended after so many statements."""

    left: int | None = None
    executed = 0

    def execute(self, *arguments: Any, **options: Any) -> Any:
        done = super().execute(*arguments, **options)
        self.executed += 1
        if self.executed == self.left:
            super().execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return done


def _migrate(admin_url: str, left: int | None = None) -> int:
    """Migrate by a connection that dies after so many statements; return how many there were."""
    with _Dying.connect(admin_url, autocommit=True) as admin:
        admin.left = left
        migrate(admin)
        return admin.executed


def _functions(admin: psycopg.Connection) -> Any:
    """A digest of every function, its owner and its callers."""
    return admin.execute(
        "SELECT md5(string_agg(prosrc || proowner || proacl::text, ''"
        " ORDER BY oid::regprocedure::text)) FROM pg_proc"
        " WHERE pronamespace = 'billing'::regnamespace"
    ).fetchone()


def test_a_migration_that_is_killed_after_any_statement_leaves_the_release_before(
    database: Database,
) -> None:
    rng = random.Random(new_seed())
    before = schema_dump.schema_of(database.admin_url)
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "100")
        admin.execute(STALE)
        total = _migrate(database.admin_url)
        functions = _functions(admin)
        assert total > DEATHS
        for number in sorted(rng.sample(range(1, total), DEATHS)):
            admin.execute(STALE)
            with pytest.raises(psycopg.OperationalError):
                _migrate(database.admin_url, number)
            steps.charge(db, organization_id, "1", f"after {number}")
            assert _functions(admin) == functions, number
        assert _migrate(database.admin_url) == total
        assert _migrate(database.admin_url) < total
        assert steps.charge(db, organization_id, "1").balance_after_usd == 100 - DEATHS - 1
    assert schema_dump.schema_of(database.admin_url) == before
    assert database.audit().whole


def test_a_first_migration_that_is_killed_after_any_statement_leaves_nothing(
    database: Database,
) -> None:
    rng = random.Random(new_seed())
    with database.admin() as admin:
        admin.execute("DROP SCHEMA billing CASCADE")
        # Of those that make tables, functions and privileges.
        for number in sorted(rng.sample(range(5, 500), DEATHS)):
            with pytest.raises(psycopg.OperationalError):
                _migrate(database.admin_url, number)
            assert admin.execute("SELECT to_regnamespace('billing')").fetchone() == (None,)
        _migrate(database.admin_url)
    assert schema_dump.schema_of(database.admin_url) == schema_dump.PATH.read_text()
    with database.connect() as db:
        steps.charge(db, steps.new_organization(db, "1"), "1")
