"""Online migrations: indexes and backfills of tables that are in use, outside of any deployment.

A file of online/ is a list of statements that can be repeated, each a transaction of its own: an
index that is made CONCURRENTLY, or a step of a backfill, under the line `-- until done`, that is
repeated until it changes no row. A run that ends midway is resumed by the next one.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from synaxis_billing.schema.migrate import LOCK, ONLINE, MigrationError, checksum, record

FOLDER = Path(__file__).with_name("online")
# Between two steps of a backfill, so that it takes a part of the database alone.
PAUSE_SECONDS = 0.05
# Between two looks whether another run has ended.
TURN_SECONDS = 0.5
_UNTIL_DONE = "-- until done"
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS (\w+) ON billing\.")


def pending(connection: psycopg.Connection, folder: Path = FOLDER) -> list[str]:
    """Return the names of the online migrations that are still to do.

    Raises MigrationError for one that was changed after it was done.
    """
    done: dict[str, str] = dict(
        connection.execute("SELECT name, checksum FROM billing.migrations").fetchall()
    )
    names = []
    for path in sorted(folder.glob("*.sql")):
        if ONLINE + path.name not in done:
            names.append(path.name)
        elif done[ONLINE + path.name] != checksum(path.read_text()):
            raise MigrationError(f"{path.name} was changed after it was done: add a new one.")
    return names


def migrate_online(connection: psycopg.Connection, folder: Path = FOLDER) -> Iterator[str]:
    """Do the online migrations, and yield the name of each when it is done.

    `connection` is an administrator's, in autocommit mode. Two runs take turns. Raises
    MigrationError.
    """
    # Of the session: each statement is a transaction of its own. None waits for the lock: an index
    # is ready only when every statement that began before has ended.
    while connection.execute(f"SELECT pg_try_advisory_lock({LOCK} + 1)").fetchone() != (True,):
        time.sleep(TURN_SECONDS)
    try:
        for name in pending(connection, folder):
            text = (folder / name).read_text()
            for statement in _statements(name, text):
                _run(connection, statement)
            record(connection, ONLINE + name, checksum(text))
            yield name
    finally:
        connection.execute(f"SELECT pg_advisory_unlock({LOCK} + 1)")


def _statements(name: str, text: str) -> list[str]:
    """Return a file's statements, which blank lines part. Raises MigrationError."""
    found = [part for part in re.split(r"\n\s*\n", text.strip()) if part]
    for statement in found:
        repeated = statement.startswith(_UNTIL_DONE)
        if "CREATE" in statement and "INDEX" in statement and not _INDEX.search(statement):
            raise MigrationError(f"{name} must make its indexes CONCURRENTLY IF NOT EXISTS.")
        if re.search(r"\b(UPDATE|DELETE|INSERT)\b", statement) and not (
            repeated and "LIMIT" in statement
        ):
            raise MigrationError(f"{name} must change rows in steps: LIMIT under {_UNTIL_DONE}.")
    return found


def _run(connection: psycopg.Connection, statement: str) -> None:
    if index := _INDEX.search(statement):
        # What an interrupted run left behind serves no query, and IF NOT EXISTS would keep it.
        row = connection.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)",
            [f"billing.{index[1]}"],
        ).fetchone()
        if row == (False,):
            connection.execute(f"DROP INDEX CONCURRENTLY billing.{index[1]}".encode())
    while connection.execute(statement.encode()).rowcount > 0 and _UNTIL_DONE in statement:
        time.sleep(PAUSE_SECONDS)
