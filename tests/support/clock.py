"""Move the clock of one test's database, so that no test sleeps through an expiry."""

from datetime import UTC, datetime, timedelta
from typing import LiteralString

import psycopg
from psycopg import sql


def move_clock(admin: psycopg.Connection, by: timedelta) -> None:
    """Move billing.now() of this database, again from where an earlier call has moved it to.

    `admin` is the administrator's connection. The database is the test's own, since the function
    itself is replaced.
    """
    _set_offset(admin, "billing.now() - clock_timestamp() + %s", by)


def set_clock(admin: psycopg.Connection, instant: datetime) -> None:
    """Set billing.now() of this database, which then goes on."""
    _set_offset(admin, "%s - clock_timestamp()", instant)


def _set_offset(admin: psycopg.Connection, offset: LiteralString, of: datetime | timedelta) -> None:
    [(ahead,)] = admin.execute(f"SELECT {offset}", [of]).fetchall()
    seconds = round(ahead.total_seconds(), 3)
    admin.execute(
        sql.SQL(
            "CREATE OR REPLACE FUNCTION billing.now() RETURNS timestamptz LANGUAGE sql VOLATILE"
            " RETURN clock_timestamp() + make_interval(secs => {})"
        ).format(sql.Literal(seconds))
    )


def set_clock_to_noon(admin: psycopg.Connection) -> None:
    """Move billing.now() of this database to the next noon, UTC, so that a test's day does not
    end while it runs."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    set_clock_to(admin, noon + timedelta(days=1))


def set_clock_to(admin: psycopg.Connection, instant: datetime) -> None:
    """Move billing.now() of this database to an instant, from which it goes on."""
    row = admin.execute("SELECT %s - billing.now()", [instant]).fetchone()
    assert row
    move_clock(admin, row[0])
