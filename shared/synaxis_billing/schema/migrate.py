"""Bring a database's schema up to date, from a developer's machine and from a deployment alike."""

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import psycopg
from psycopg import sql

from synaxis_billing.schema.partitions import ensure_partitions

OLDEST_SERVER = 180000  # uuidv7() came with PostgreSQL 18
LOCK = "hashtext('synaxis_billing.migrate')"
KEPT = "of the release before; the next migration drops it"


class MigrationError(Exception):
    """The database cannot be brought up to date; the message says why, in one sentence."""


def migrate(connection: psycopg.Connection) -> list[str]:
    """Apply what is new and return its names; a second call returns none.

    `connection` is an administrator's, in autocommit mode. Each migration is one transaction; the
    SQL functions are replaced as a whole when one of them has changed; those that only the release
    before has stay until the next time. Raises MigrationError.
    """
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise MigrationError(f"PostgreSQL 18 or newer is needed; this is {version // 10000}.")
    with connection.transaction():
        # Two deployments at once take turns; the second finds nothing left to do.
        connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        connection.execute("SET LOCAL lock_timeout = '10s'")
        connection.execute("CREATE SCHEMA IF NOT EXISTS billing")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS billing.migrations (name text PRIMARY KEY, checksum text"
            " NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied: dict[str, str] = dict(
            connection.execute("SELECT name, checksum FROM billing.migrations").fetchall()
        )
        done = _apply_migrations(connection, applied) + _replace_functions(connection, applied)
        ensure_partitions(connection)
    return done


def _apply_migrations(connection: psycopg.Connection, applied: dict[str, str]) -> list[str]:
    done = []
    for file in _sql_files("migrations"):
        text = file.read_text()
        checksum = hashlib.sha256(text.encode()).hexdigest()
        if file.name not in applied:
            connection.execute(text.encode())
            _record(connection, file.name, checksum)
            done.append(file.name)
        elif applied[file.name] != checksum:
            raise MigrationError(
                f"{file.name} was changed after it was applied: restore it and add a new migration."
            )
    return done


def _replace_functions(connection: psycopg.Connection, applied: dict[str, str]) -> list[str]:
    texts = [file.read_text() for file in _function_files()]
    checksum = hashlib.sha256("".join(texts).encode()).hexdigest()
    if applied.get("functions") == checksum:
        return []
    # Trigger functions belong to the migrations that made their tables.
    old = connection.execute(
        "SELECT oid::regprocedure::text, pg_get_functiondef(oid), obj_description(oid, 'pg_proc')"
        " FROM pg_proc WHERE pronamespace = 'billing'::regnamespace"
        " AND prorettype <> 'trigger'::regtype"
    ).fetchall()
    for signature, _, _ in old:
        connection.execute(sql.SQL("DROP FUNCTION {}").format(sql.SQL(signature)))
    *definitions, privileges = texts
    connection.execute("SET LOCAL check_function_bodies = off")
    for text in definitions:
        connection.execute(text.encode())
    _keep(connection, {of: definition for of, definition, note in old if note != KEPT})
    connection.execute(privileges.encode())
    _record(connection, "functions", checksum)
    return ["functions"]


def _keep(connection: psycopg.Connection, old: dict[str, str]) -> None:
    """Keep what the release before has and this one has not: it serves until this one does."""
    connection.execute("SET LOCAL check_function_bodies = off")
    for signature, definition in old.items():
        [(exists,)] = connection.execute("SELECT to_regprocedure(%s) IS NOT NULL", [signature])
        if not exists:
            connection.execute(definition.encode())
            connection.execute(
                sql.SQL("COMMENT ON FUNCTION {} IS {}").format(
                    sql.SQL(signature), sql.Literal(KEPT)
                )
            )


def _record(connection: psycopg.Connection, name: str, checksum: str) -> None:
    connection.execute(
        "INSERT INTO billing.migrations (name, checksum) VALUES (%s, %s) ON CONFLICT (name)"
        " DO UPDATE SET checksum = excluded.checksum, applied_at = excluded.applied_at",
        [name, checksum],
    )


def _sql_files(folder: str) -> list[Traversable]:
    found = (files(__package__) / folder).iterdir()
    return sorted(
        (file for file in found if file.name.endswith(".sql")), key=lambda file: file.name
    )


def _function_files() -> list[Path]:
    """Every noun's SQL; the privileges come last."""
    core = Path(__file__).parents[1]
    found = sorted(path for path in core.rglob("*.sql") if path.parent.name != "migrations")
    return sorted(found, key=lambda path: path.name == "privileges.sql")
