"""Bring a database's schema up to date, from a developer's machine and from a deployment alike.

A migration makes or changes tables, once. Functions, triggers and privileges are replaced as a
whole when their text has changed: every noun's SQL, then triggers.sql, then privileges.sql.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql

from synaxis_billing.schema import distribution
from synaxis_billing.schema.partitions import ensure_partitions

OLDEST_SERVER = 180000  # uuidv7() came with PostgreSQL 18
LOCK = "hashtext('synaxis_billing.migrate')"
LEDGER, ERASER = "synaxis_ledger", "synaxis_eraser"
KEPT = "of the release before; the next migration drops it"
# The mark of a function that the administrator owns.
ADMINISTRATOR = "administrator"

_HERE = Path(__file__).parent
_REPLACED = ("functions", "triggers")
# Before the names of the migrations that are done outside of deployments (online.py).
ONLINE = "online/"
_MARK = re.compile(
    r"^-- api(?: helper| as (\w+))?\nCREATE OR REPLACE (?:FUNCTION|PROCEDURE)"
    r" billing\.(\w+)\(",
    re.MULTILINE,
)

# Up to the semicolon that ends it: strings, bodies and comments may have others.
_STATEMENT = re.compile(r"(?:[^;'$-]|'[^']*'|\$(\w*)\$.*?\$\1\$|--[^\n]*|-|\$)+", re.DOTALL)


class MigrationError(Exception):
    """The database cannot be brought up to date; the message says why, in one sentence."""


class _Function(NamedTuple):
    """A function before it was replaced. `callable` says whether synaxis_app may call it."""

    signature: str
    definition: str
    owner: str
    callable: bool
    comment: str | None


def migrate(connection: psycopg.Connection, *, distributed: bool = False) -> list[str]:
    """Apply what is new and return its names; a second call returns none.

    `connection` is an administrator's, in autocommit mode. All is one transaction. Functions that
    only the release before has stay until the next time, since its code still calls them.
    `distributed` distributes the tables over a Citus cluster, of which the connection is the
    coordinator's; later calls do so by themselves. Raises MigrationError.
    """
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise MigrationError(f"PostgreSQL 18 or newer is needed; this is {version // 10000}.")
    if distributed:
        distribution.prepare(connection)
    with connection.transaction():
        # Two deployments at once take turns; the second finds nothing left to do.
        connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        connection.execute("SET LOCAL lock_timeout = '10s'")
        if distributed := distributed or distribution.is_distributed(connection):
            distribution.begin(connection)
        connection.execute("CREATE SCHEMA IF NOT EXISTS billing")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS billing.migrations (name text PRIMARY KEY, checksum text"
            " NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied: dict[str, str] = dict(
            connection.execute("SELECT name, checksum FROM billing.migrations").fetchall()
        )
        done = _apply_migrations(connection, applied)
        if distributed:
            if distribution.drop_queries(connection):
                applied.pop("functions", None)
            done += distribution.distribute_tables(connection)
        done += _replace(connection, applied)
        if distributed:
            done += distribution.distribute_functions(connection)
        ensure_partitions(connection)
    return done


def api_functions(text: str) -> dict[str, str | None]:
    """Return the functions that a text marks for the application, each with its owner.

    The mark is the line directly above CREATE: `-- api`, `-- api helper` or `-- api as OWNER`.
    """
    return {name: owner or None for owner, name in _MARK.findall(text)}


def function_files() -> list[Path]:
    """Return every file that defines functions, in any order: a body is checked when it runs."""
    apart = ("triggers.sql", "privileges.sql", "schema.sql")
    found = _HERE.parent.rglob("*.sql")
    return sorted(
        f for f in found if f.parent.name not in ("migrations", "online") and f.name not in apart
    )


def _apply_migrations(connection: psycopg.Connection, applied: dict[str, str]) -> list[str]:
    migrations = {path.name: path.read_text() for path in (_HERE / "migrations").glob("*.sql")}
    known = migrations.keys() | set(_REPLACED)
    if unknown := sorted(one for one in applied.keys() - known if not one.startswith(ONLINE)):
        raise MigrationError(
            f"The database is newer than this release, which does not have {', '.join(unknown)}:"
            " deploy the release that made it, or a later one."
        )
    done = []
    for name, text in sorted(migrations.items()):
        if name not in applied:
            _execute(connection, text)
            record(connection, name, checksum(text))
            done.append(name)
        elif applied[name] != checksum(text):
            raise MigrationError(
                f"{name} was changed after it was applied: restore it and add a new migration."
            )
    return done


def _replace(connection: psycopg.Connection, applied: dict[str, str]) -> list[str]:
    functions = "\n".join(path.read_text() for path in function_files())
    triggers = (_HERE / "triggers.sql").read_text()
    privileges = (_HERE / "privileges.sql").read_text()
    texts = {"functions": functions + privileges, "triggers": triggers}
    stale = [name for name, text in texts.items() if applied.get(name) != checksum(text)]
    if "functions" not in stale and not _has_privileges(connection):
        stale.insert(0, "functions")
    if "functions" in stale:
        old = _drop_functions(connection)
        # A function may be created before those that it calls.
        connection.execute("SET LOCAL check_function_bodies = off")
        _execute(connection, functions)
    if "triggers" in stale:
        # Apart from the functions: making a trigger again waits for every writer of its table.
        _execute(connection, triggers)
    if "functions" in stale:
        _execute(connection, privileges)
        _hand_over(connection, api_functions(functions))
        # Last: one of another signature makes a name ambiguous.
        _keep(connection, old)
    for name in stale:
        record(connection, name, checksum(texts[name]))
    return stale


def _execute(connection: psycopg.Connection, text: str) -> None:
    """Execute the statements of a text one by one, since Citus sends the text of each to others."""
    for statement in _STATEMENT.finditer(text):
        if statement[0].strip():
            connection.execute(statement[0].encode())


def _has_privileges(connection: psycopg.Connection) -> bool:
    """Say whether roles, owners, grants and policies are there: a restored dump may lack them."""
    [(whole,)] = connection.execute(
        "SELECT (SELECT count(*) FROM pg_roles"
        "  WHERE rolname IN ('synaxis_app', 'synaxis_ledger', 'synaxis_eraser')) = 3"
        " AND EXISTS (SELECT FROM pg_policies WHERE schemaname = 'billing')"
        " AND EXISTS (SELECT FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner"
        "  WHERE p.pronamespace = 'billing'::regnamespace AND r.rolname = 'synaxis_ledger')"
        " AND EXISTS (SELECT FROM pg_namespace AS n, aclexplode(n.nspacl) AS a"
        "  JOIN pg_roles AS r ON r.oid = a.grantee"
        "  WHERE n.nspname = 'billing' AND r.rolname = 'synaxis_app')"
    ).fetchall()
    return bool(whole)


def _drop_functions(connection: psycopg.Connection) -> list[_Function]:
    """Drop the functions that nothing depends on, as triggers and defaults do, and return them.

    A procedure is replaced in place: a call that has begun looks it up again at its end.
    """
    rows = connection.execute(
        "SELECT p.oid::regprocedure::text, pg_get_functiondef(p.oid), pg_get_userbyid(p.proowner),"
        " coalesce(has_function_privilege(app.oid, p.oid, 'EXECUTE'), false),"
        " obj_description(p.oid, 'pg_proc')"
        " FROM pg_proc AS p LEFT JOIN pg_roles AS app ON app.rolname = 'synaxis_app'"
        " WHERE p.pronamespace = 'billing'::regnamespace AND p.prokind <> 'p' AND NOT EXISTS ("
        "  SELECT FROM pg_depend AS d WHERE d.refclassid = 'pg_proc'::regclass"
        "  AND d.refobjid = p.oid AND d.deptype = 'n')"
    ).fetchall()
    old = [_Function(*row) for row in rows]
    for function in old:
        connection.execute(sql.SQL("DROP ROUTINE {}").format(sql.SQL(function.signature)))
    return old


def _keep(connection: psycopg.Connection, old: list[_Function]) -> None:
    """Create again the functions that only the release before has, with their owners and
    callers."""
    for function in old:
        signature = sql.SQL(function.signature)
        row = connection.execute("SELECT to_regprocedure(%s)", [function.signature]).fetchone()
        if function.comment == KEPT or row != (None,):
            continue
        connection.execute(function.definition.encode())
        connection.execute(
            sql.SQL("COMMENT ON ROUTINE {0} IS {1}; REVOKE ALL ON ROUTINE {0} FROM PUBLIC").format(
                signature, sql.Literal(KEPT)
            )
        )
        if function.owner != ERASER:
            connection.execute(
                sql.SQL("GRANT EXECUTE ON ROUTINE {} TO {}").format(
                    signature, sql.Identifier(LEDGER)
                )
            )
        if function.callable:
            owner = function.owner if function.owner in (LEDGER, ERASER) else ADMINISTRATOR
            _hand_over(connection, {function.signature: owner})


def _hand_over(connection: psycopg.Connection, functions: dict[str, str | None]) -> None:
    """Let the application call the functions, and give each to its owner.

    The keys are names or signatures. An owner that is not a role fails the migration.
    """
    owners = sql.SQL(", ").join(map(sql.Identifier, (LEDGER, ERASER)))
    statements = [sql.SQL("GRANT CREATE ON SCHEMA billing TO {}").format(owners)]
    for name, owner in functions.items():
        function = sql.SQL(name if "(" in name else f"billing.{name}")
        statements.append(sql.SQL("GRANT EXECUTE ON ROUTINE {} TO synaxis_app").format(function))
        if owner and owner != ADMINISTRATOR:
            statements.append(
                sql.SQL("ALTER ROUTINE {} OWNER TO {}").format(function, sql.Identifier(owner))
            )
    statements.append(sql.SQL("REVOKE CREATE ON SCHEMA billing FROM {}").format(owners))
    for statement in statements:
        connection.execute(statement)


def record(connection: psycopg.Connection, name: str, checksum: str) -> None:
    connection.execute(
        "INSERT INTO billing.migrations (name, checksum) VALUES (%s, %s) ON CONFLICT (name)"
        " DO UPDATE SET checksum = excluded.checksum, applied_at = excluded.applied_at",
        [name, checksum],
    )


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
