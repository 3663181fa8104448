"""Online migrations: indexes and backfills of tables that are in use, outside of any deployment.

A file of online/ is a list of statements that can be repeated, each a transaction of its own: an
index that is made CONCURRENTLY, or a step of a backfill, under the line `-- until done`, that is
repeated until it changes no row. A run that ends midway is resumed by the next one.

A run may have less time than an index takes. It then leaves: the server goes on without a client,
and the next run waits for its end, since the session keeps its lock until then.
"""

import math
import re
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.pq import DiagnosticField, ExecStatus

from synaxis_billing.schema.migrate import LOCK, ONLINE, MigrationError, checksum, record

FOLDER = Path(__file__).with_name("online")
# Between two steps of a backfill, so that it takes a part of the database alone.
PAUSE_SECONDS = 0.05
# Between two looks whether another run has ended.
TURN_SECONDS = 0.5
_UNTIL_DONE = "-- until done"
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS (\w+) ON billing\.")
# A statement is not ended because its client left; a session whose client has vanished ends soon
# after its statement, and gives up the lock.
_SESSION = "SET client_connection_check_interval = 0; SET idle_session_timeout = '1min'"


class Unfinished(Exception):
    """The time of a run ended before its work did; the message says what was under way."""


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


def migrate_online(
    connection: psycopg.Connection,
    folder: Path = FOLDER,
    *,
    seconds: float = math.inf,
    remake: bool = True,
) -> Iterator[str]:
    """Do the online migrations, and yield the name of each when it is done.

    `connection` is an administrator's, in autocommit mode. Two runs take turns. Raises
    Unfinished after so many `seconds`: the connection is then closed, and the server goes on with
    the statement. An index that was left half made is made again, or, without `remake`, a
    MigrationError: the server failed to make it. Raises MigrationError.
    """
    ends = time.monotonic() + seconds
    connection.execute(_SESSION)
    # Of the session: each statement is a transaction of its own. None waits for the lock: an index
    # is ready only when every statement that began before has ended.
    while connection.execute(f"SELECT pg_try_advisory_lock({LOCK} + 1)").fetchone() != (True,):
        if time.monotonic() >= ends:
            connection.close()
            raise Unfinished("another run is at work")
        time.sleep(TURN_SECONDS)
    try:
        for name in pending(connection, folder):
            text = (folder / name).read_text()
            for statement in _statements(name, text):
                _run(connection, name, statement, ends, remake)
            record(connection, ONLINE + name, checksum(text))
            yield name
    finally:
        if not connection.closed:
            connection.execute(f"SELECT pg_advisory_unlock({LOCK} + 1)")


def work(
    connect: Callable[[], psycopg.Connection],
    seconds: float,
    folder: Path = FOLDER,
    *,
    remake: bool,
) -> dict[str, Any]:
    """Do the online migrations for so many seconds; return the names of those that were `done` and
    are `left`, and what the database is `doing`.

    Raises MigrationError and psycopg.Error.
    """
    done: list[str] = []
    doing = ""
    with connect() as connection:
        try:
            for name in migrate_online(connection, folder, seconds=seconds, remake=remake):
                done.append(name)
        except Unfinished as unfinished:
            doing = str(unfinished)
    with connect() as connection:
        left = pending(connection, folder)
        return {"done": done, "left": left, "doing": progress(connection) or doing}


def progress(connection: psycopg.Connection) -> str:
    """Return how far the server is with an index, such as `billing.holds_by_user: building index:
    scanning table, 40 %`; empty if it makes none."""
    row = connection.execute(
        "SELECT index_relid::regclass, phase, blocks_done, blocks_total"
        " FROM pg_stat_progress_create_index WHERE datname = current_database()"
    ).fetchone()
    if row is None:
        return ""
    name, phase, done, blocks = row
    return f"{name}: {phase}" + (f", {100 * done // blocks} %" if blocks else "")


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


def _run(
    connection: psycopg.Connection, name: str, statement: str, ends: float, remake: bool
) -> None:
    if index := _INDEX.search(statement):
        # What an interrupted run left behind serves no query, and IF NOT EXISTS would keep it.
        row = connection.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)",
            [f"billing.{index[1]}"],
        ).fetchone()
        if row == (False,):
            if not remake:
                raise MigrationError(
                    f"{name}: the index {index[1]} could not be made; the database's log says why."
                )
            _execute(connection, name, f"DROP INDEX CONCURRENTLY billing.{index[1]}", ends)
    changed = 0
    while rows := _execute(connection, f"{name}: {changed:,} rows changed", statement, ends):
        if _UNTIL_DONE not in statement:
            return
        changed += rows
        time.sleep(PAUSE_SECONDS)


def _execute(connection: psycopg.Connection, doing: str, statement: str, ends: float) -> int:
    """Return how many rows a statement changed. Raises Unfinished and psycopg.Error.

    By libpq: psycopg itself has no public way to leave a statement that goes on.
    """
    server = connection.pgconn
    try:
        if time.monotonic() < ends:
            server.send_query(statement.encode())
            server.flush()
        while server.is_busy() and time.monotonic() < ends:
            left = None if ends == math.inf else max(0, ends - time.monotonic())
            if select.select([server.socket], [], [], left)[0]:
                server.consume_input()
    except KeyboardInterrupt:
        connection.close()
        raise
    if time.monotonic() >= ends:
        connection.close()
        raise Unfinished(doing)
    result = server.get_result()
    while server.get_result():
        pass
    if result is None or result.status == ExecStatus.FATAL_ERROR:
        state = result and result.error_field(DiagnosticField.SQLSTATE)
        kind = psycopg.errors.lookup(state.decode()) if state else psycopg.OperationalError
        raise kind(server.get_error_message())
    return result.command_tuples or 0
