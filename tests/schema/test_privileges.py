"""The application can call the functions that are marked for it, and no other."""

import ast
import re
from pathlib import Path

import psycopg
import pytest

from synaxis_billing import schema
from synaxis_billing.schema import migrate as migrations
from synaxis_billing.schema.migrate import api_functions, function_files, migrate
from tests.conftest import Database

CORE = Path(schema.__file__).parents[1]
TEXT = "\n".join(path.read_text() for path in function_files())
MARKED = api_functions(TEXT)


def test_every_mark_stands_directly_above_a_function() -> None:
    assert len(re.findall(r"^\s*--\s*api\b", TEXT, re.MULTILINE)) == len(MARKED)
    assert api_functions("-- api\n\nCREATE OR REPLACE FUNCTION billing.f(") == {}
    assert api_functions("-- apis\nCREATE OR REPLACE FUNCTION billing.f(") == {}
    assert api_functions("-- api as x\nCREATE OR REPLACE FUNCTION billing.f(") == {"f": "x"}


def test_the_application_can_call_what_is_marked_and_nothing_else(database: Database) -> None:
    with database.admin() as admin:
        rows = admin.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'billing'::regnamespace"
            " AND has_function_privilege('synaxis_app', oid, 'EXECUTE')"
        ).fetchall()
    # The clock comes with the tables: their defaults read it.
    assert {name for (name,) in rows} == MARKED.keys() | {"now"}


def test_a_charge_parses_no_check(database: Database) -> None:
    """PostgreSQL parses a table's CHECK again in every statement that writes the table."""
    with database.admin() as admin:
        checks = admin.execute(
            "SELECT conrelid::regclass, conname FROM pg_constraint WHERE contype = 'c'"
            " AND conrelid IN ('billing.organizations'::regclass, 'billing.budgets'::regclass,"
            " 'billing.spend_rollups'::regclass, 'billing.idempotency'::regclass,"
            " 'billing.credit_transactions'::regclass)"
        ).fetchall()
    assert checks == []


def test_a_function_runs_as_the_role_that_its_mark_names(database: Database) -> None:
    with database.admin() as admin:
        rows = admin.execute(
            "SELECT proname, CASE pg_get_userbyid(proowner) WHEN current_user THEN 'administrator'"
            " ELSE pg_get_userbyid(proowner) END FROM pg_proc"
            " WHERE pronamespace = 'billing'::regnamespace AND prosecdef"
        ).fetchall()
        erasers = admin.execute(
            "SELECT proname FROM pg_proc WHERE proowner = 'synaxis_eraser'::regrole"
        ).fetchall()
        reach = admin.execute(
            "SELECT has_function_privilege('synaxis_ledger',"
            " to_regproc('billing.erase_personal_data'), 'EXECUTE')"
        ).fetchone()
    assert dict(rows) == {name: owner for name, owner in MARKED.items() if owner}
    assert erasers == [("erase_personal_data",)]
    assert reach == (False,)


def test_a_function_that_writes_runs_as_another_role(database: Database) -> None:
    writes = r"\m(INSERT INTO|UPDATE billing|DELETE FROM)\M"
    with database.admin() as admin:
        own = admin.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'billing'::regnamespace"
            " AND NOT prosecdef AND prosrc ~ %s AND proname = ANY (%s)",
            [writes, list(MARKED)],
        ).fetchall()
    assert own == []


def test_every_function_that_the_code_calls_is_marked() -> None:
    called = set()
    for path in CORE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            # Where the name is a parameter, the literal is elsewhere.
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) == "procedures.call"
                and isinstance(name := node.args[1], ast.Constant)
            ):
                called.add(name.value)
    assert len(called) > 30
    assert called <= MARKED.keys()


def test_a_function_without_a_mark_cannot_be_called(database: Database) -> None:
    with database.admin() as admin:
        admin.execute(
            "CREATE FUNCTION billing.unmarked(p_tenant text) RETURNS int LANGUAGE sql"
            " AS 'SELECT 1'; REVOKE ALL ON FUNCTION billing.unmarked FROM PUBLIC"
        )
        admin.execute("UPDATE billing.migrations SET checksum = '' WHERE name = 'functions'")
        migrate(admin)
        callable_ = admin.execute(
            "SELECT has_function_privilege('synaxis_app', 'billing.unmarked(text)', 'EXECUTE')"
        ).fetchone()
    assert callable_ == (False,)


def test_a_mark_that_names_no_role_stops_the_migration(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.sql"
    wrong.write_text(
        "-- api as synaxis_nobody\n"
        "CREATE OR REPLACE FUNCTION billing.wrong(p_tenant text) RETURNS int LANGUAGE sql"
        " SECURITY DEFINER AS $$ SELECT 1 $$;\n"
    )
    monkeypatch.setattr(migrations, "function_files", lambda: [*function_files(), wrong])
    with database.admin() as admin:
        with pytest.raises(psycopg.errors.UndefinedObject, match="synaxis_nobody"):
            migrate(admin)
        assert admin.execute("SELECT to_regproc('billing.wrong')").fetchone() == (None,)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT billing.save_organization(o) FROM billing.organizations AS o",
        "SELECT billing.record_event(uuidv7(), 'x', '{}')",
        "SELECT billing.lock_organization('*', uuidv7())",
        "SELECT billing.next_number('INV', billing.now())",
    ],
)
def test_the_parts_of_a_change_are_out_of_the_applications_reach(
    database: Database, statement: str
) -> None:
    with database.connect() as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute(statement.encode())
