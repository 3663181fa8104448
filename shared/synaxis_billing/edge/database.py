"""This container's one connection to PostgreSQL, kept from one invocation to the next."""

import contextlib
import select
import time

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus

from synaxis_billing import procedures
from synaxis_billing.edge.aws import credentials
from synaxis_billing.edge.settings import settings

CONNECT_TIMEOUT_SECONDS = 3
# The server ends a statement after 5 seconds; a server that hangs is abandoned after this.
ANSWER_SECONDS = 6
# After this long a proxy or a firewall may have dropped the connection silently. By the wall clock:
# the monotonic one stands still while the container is frozen.
IDLE_SECONDS = 60


class _Connection(psycopg.Connection):
    """Raises psycopg.OperationalError when its server hangs."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        return super().wait(gen, interval, timeout or ANSWER_SECONDS)


_connection: psycopg.Connection | None = None
_used_at = 0.0


def connection() -> psycopg.Connection:
    """Return the open connection, or a new one. Raises psycopg.OperationalError.

    Each statement is a transaction of its own, one round trip, and leaves nothing in the session,
    so a pooling proxy can share it. A statement is never sent twice: the client retries with its
    key.
    """
    global _connection, _used_at
    if _connection is not None and not _alive(_connection, time.time() - _used_at):
        discard()
    if _connection is None:
        _connection = _Connection.connect(
            _login(),
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="synaxis_billing",
            keepalives_idle=30,
            keepalives_interval=5,
            keepalives_count=3,
            # A lost peer is noticed before the function's own timeout.
            tcp_user_timeout=8000,
        )
        if procedures.is_distributed(_connection):
            # A coordinator passes a CALL on to the organization's node only if its text is whole.
            _connection.cursor_factory = psycopg.ClientCursor
    _used_at = time.time()
    return _connection


def connect_at_start() -> None:
    """Connect before the first request, which Lambda does not wait for. Nothing fails here: the
    first request meets what is wrong."""
    configured = settings().database_url_secret or settings().database_host
    if configured and settings().may_connect_at_start:
        with contextlib.suppress(psycopg.Error):
            connection()


def _login() -> str:
    try:
        return credentials.database()
    except LookupError as error:
        raise psycopg.OperationalError(str(error)) from error


def administrator() -> psycopg.Connection:
    """Return a new connection as the administrator. Raises psycopg.Error, LookupError."""
    return psycopg.connect(
        credentials.administrator(),
        autocommit=True,
        connect_timeout=10,
        application_name="synaxis_billing_administrator",
    )


def discard() -> None:
    """Close the connection; the next use opens another."""
    global _connection
    old, _connection = _connection, None
    if old is not None:
        with contextlib.suppress(psycopg.Error):
            old.close()


def _alive(connection: psycopg.Connection, idle_seconds: float) -> bool:
    # After a timeout the old answer may still arrive, so the connection is not reused.
    if connection.closed or connection.pgconn.transaction_status != TransactionStatus.IDLE:
        return False
    # Between statements the server sends nothing but the end of the connection.
    if select.select([connection.fileno()], [], [], 0)[0]:
        return False
    if idle_seconds < IDLE_SECONDS:
        return True
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True
