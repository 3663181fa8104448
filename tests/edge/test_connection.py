"""The one connection of a container is never one that is of no use."""

import psycopg
import pytest

from synaxis_billing.edge import database as connections
from tests.conftest import Database


def test_a_connection_whose_server_hung_is_given_up_and_not_used_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    connections.discard()
    first = connections.connection()
    with monkeypatch.context() as patch:
        patch.setattr(connections, "ANSWER_SECONDS", 0.2)
        with pytest.raises(psycopg.OperationalError) as given_up:
            first.execute("SELECT pg_sleep(60)")
    # The server's own timeout raises this one.
    assert not isinstance(given_up.value, psycopg.errors.QueryCanceled)
    second = connections.connection()
    assert second is not first
    assert second.execute("SELECT 1").fetchone() == (1,)
    assert connections.connection() is second
    connections.discard()
