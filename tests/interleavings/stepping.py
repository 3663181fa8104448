"""Calls of the database that stop before a statement of their functions.

The functions are those of the migrated database, with an assertion before each statement that
waits for a gate. An assertion changes neither FOUND nor the row count of the statement before it.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum
from itertools import groupby
from threading import Event
from typing import Any

import psycopg

from tests.conftest import Database
from tests.support.plpgsql import statements
from tests.support.running import PATIENCE_SECONDS

POLL_SECONDS = 0.002
# What a call is given to show that it waits outside of the database.
WAITING_SECONDS = 0.3
_FUNCTIONS = """
    SELECT p.proname, p.prosrc, pg_get_functiondef(p.oid) FROM pg_proc AS p
    JOIN pg_language AS l ON l.oid = p.prolang
    WHERE p.pronamespace = 'billing'::regnamespace AND l.lanname = 'plpgsql' AND p.provolatile = 'v'
"""
_MACHINERY = """
    CREATE SCHEMA stepping;
    GRANT USAGE ON SCHEMA stepping TO PUBLIC;
    CREATE FUNCTION stepping.stop(p_place text) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE
        v_passed int := nullif(current_setting('stepping.passed', true), '')::int + 1;
        v_gate bigint := nullif(current_setting('stepping.gate', true), '')::bigint;
    BEGIN
        IF v_passed IS NOT NULL THEN
            PERFORM set_config('stepping.passed', v_passed::text, false);
            IF current_setting('stepping.stops_at') = '0' THEN
                PERFORM set_config('stepping.begun', concat(current_setting('stepping.begun'), ' ',
                    extract(epoch FROM transaction_timestamp())), false);
            END IF;
            IF v_passed = current_setting('stepping.stops_at')::int THEN
                RAISE NOTICE '%', p_place;
                PERFORM pg_advisory_lock_shared(v_gate), pg_advisory_unlock_shared(v_gate);
            END IF;
        END IF;
        RETURN true;
    END $$;
    CREATE OR REPLACE FUNCTION billing.now() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        v_now timestamptz := nullif(current_setting('stepping.clock', true), '')::timestamptz;
    BEGIN
        PERFORM set_config('stepping.clock', (v_now + interval '1 microsecond')::text, false);
        RETURN coalesce(v_now, clock_timestamp());
    END $$;
    -- By chance alone, ids order what happens at one instant.
    CREATE OR REPLACE FUNCTION billing.new_id(p_instant timestamptz) RETURNS uuid
    LANGUAGE plpgsql VOLATILE AS $$
    DECLARE
        v_made text := concat(current_setting('stepping.made', true), 'i');
        v_milliseconds bigint := floor(extract(epoch FROM p_instant) * 1000);
    BEGIN
        PERFORM set_config('stepping.made', v_made, false);
        RETURN encode(set_bit(set_bit(overlay(
            uuid_send(md5(v_made)::uuid)
            PLACING substring(int8send(v_milliseconds) FROM 3) FROM 1
        ), 52, 1), 53, 1), 'hex')::uuid;
    END $$;
"""


def prepare(admin: psycopg.Connection) -> None:
    """Let the functions of a test's own database stop, and give each session a clock of its
    own, which takes a microsecond from one look at it to the next, and ids that follow from it."""
    functions = admin.execute(_FUNCTIONS).fetchall()
    admin.execute(_MACHINERY.encode())
    for name, body, definition in functions:
        admin.execute(definition.replace(body, with_stops(name, body)).encode())


def with_stops(name: str, body: str) -> str:
    """Return the body of a PL/pgSQL function with a stop before each of its statements."""
    parts, last = [], 0
    for position in statements(body):
        if body.startswith("GET ", position):
            # It belongs to the statement before it.
            continue
        line = body.count("\n", 0, position) + 1
        parts += [body[last:position], f"ASSERT stepping.stop('{name}:{line}'); "]
        last = position
    return "".join([*parts, body[last:]])


def set_clock(db: psycopg.Connection, instant: str) -> None:
    db.execute(
        "SELECT set_config('stepping.clock', %(at)s, false),"
        " set_config('stepping.made', %(at)s, false)",
        {"at": instant},
    )


class State(StrEnum):
    stopped = "stopped"
    """It waits at its gate."""
    blocked = "blocked"
    """It waits for a lock of the other one."""
    waits = "waits"
    """It waits outside of the database."""
    done = "done"


class Actor:
    """One of two connections that make a call each."""

    def __init__(self, database: Database) -> None:
        self._controller = database.admin()
        self._db = database.connect()
        self._pid = self._db.info.backend_pid
        self._gate = self._pid
        self._pool = ThreadPoolExecutor(1)
        self._arrived = Event()
        self._db.add_notice_handler(self._arrive)
        self._call: Future[Any] | None = None
        self._stops = False
        self.place = ""

    def set_clock(self, instant: str) -> None:
        set_clock(self._db, instant)

    def close(self) -> None:
        self._pool.shutdown()
        self._db.close()
        self._controller.close()

    def start(self, call: Callable[[psycopg.Connection], Any], stops_at: int = 0) -> None:
        """Begin a call, which stops before its `stops_at`-th statement; 0 for none."""
        self._arrived.clear()
        self.place = ""
        self._stops = stops_at > 0
        self._db.execute(
            "SELECT set_config('stepping.passed', '0', false),"
            " set_config('stepping.begun', '', false), set_config('stepping.gate', %s, false),"
            " set_config('stepping.stops_at', %s, false)",
            [str(self._gate), str(stops_at)],
        )
        if self._stops:
            self._controller.execute("SELECT pg_advisory_lock(%s)", [self._gate])
        self._call = self._pool.submit(call, self._db)

    def pass_gate(self) -> None:
        if self._stops:
            self._stops = False
            self._arrived.clear()
            self._controller.execute("SELECT pg_advisory_unlock(%s)", [self._gate])

    def wait(self, other: "Actor | None" = None) -> State:
        """Wait until the call has ended, stands at its gate, or waits for the other one, which
        stands still."""
        assert self._call
        begun = time.monotonic()
        while not self._call.done():
            if self._arrived.wait(POLL_SECONDS):
                return State.stopped
            waited = time.monotonic() - begun
            if other and self._blockers() == [other._pid]:
                return State.blocked
            if other and waited > WAITING_SECONDS:
                return State.waits
            assert waited < PATIENCE_SECONDS, f"it hangs: {self._blockers()}"
        return State.done

    def kill(self) -> None:
        """End the connection of a call that stands at its gate, and the call with it."""
        assert self._call
        self._controller.execute("SELECT pg_terminate_backend(%s)", [self._pid])
        self._call.exception(PATIENCE_SECONDS)
        self.pass_gate()

    def result(self) -> Any:
        """What the call returned; it may raise."""
        assert self._call
        return self._call.result(PATIENCE_SECONDS)

    def transactions(self) -> list[list[int]]:
        """The numbers of the statements of the last call, which did not stop, by transaction."""
        row = self._db.execute("SELECT current_setting('stepping.begun')").fetchone()
        assert row
        numbered = enumerate(str(row[0]).split(), start=1)
        return [[n for n, _ in run] for _, run in groupby(numbered, key=lambda one: one[1])]

    def count_statements(self) -> int:
        return sum(map(len, self.transactions()))

    def _arrive(self, notice: psycopg.errors.Diagnostic) -> None:
        self.place = str(notice.message_primary)
        self._arrived.set()

    def _blockers(self) -> list[int]:
        row = self._controller.execute("SELECT pg_blocking_pids(%s)", [self._pid]).fetchone()
        assert row
        return [int(pid) for pid in row[0]]


def run(
    first: tuple[Actor, Callable[[psycopg.Connection], Any], int],
    second: tuple[Actor, Callable[[psycopg.Connection], Any], int],
) -> State:
    """Run the first call up to a statement, the second up to a statement or until it waits for the
    first, then the first to its end, then the second. 0 is the end. Return how far the second came
    while the first stood."""
    one, call, stops_at = first
    other, other_call, other_stops_at = second
    one.start(call, stops_at)
    one.wait()
    other.start(other_call, other_stops_at)
    state = other.wait(one)
    one.pass_gate()
    if one.wait(other) in (State.blocked, State.waits):
        other.pass_gate()
        other.wait()
        one.wait()
    other.pass_gate()
    other.wait()
    return state
