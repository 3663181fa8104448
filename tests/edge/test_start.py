"""A container connects before its first request, so that no request waits for that; what starts
from a snapshot does not, since its connections would be old."""

import socket
from collections.abc import Callable

import psycopg
import pytest

from synaxis_billing.cache import Cache
from synaxis_billing.edge import cache as edge_cache
from synaxis_billing.edge import database as connections
from synaxis_billing.edge.aws import credentials
from synaxis_billing.edge.http.api import Api
from tests.conftest import Database


@pytest.fixture
def deployed(
    monkeypatch: pytest.MonkeyPatch, database: Database
) -> Callable[[str], pytest.MonkeyPatch]:
    """Sets how Lambda starts a container of a stack, whose proxy is this database."""

    def start(kind: str) -> pytest.MonkeyPatch:
        monkeypatch.setenv("DATABASE_URL", "")
        monkeypatch.setenv("DATABASE_HOST", "proxy.example.com")
        monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", kind)
        monkeypatch.setattr(credentials, "database", lambda: database.app_url)
        connections.discard()
        return monkeypatch

    return start


@pytest.mark.parametrize(
    ("kind", "connected"),
    [("on-demand", True), ("provisioned-concurrency", True), ("snap-start", False), ("", False)],
)
def test_a_container_connects_to_the_database_unless_it_becomes_a_snapshot(
    deployed: Callable[[str], pytest.MonkeyPatch], kind: str, connected: bool
) -> None:
    deployed(kind)
    Api()
    assert (connections._connection is not None) == connected
    connections.discard()


def test_a_database_that_is_down_stops_no_start(
    deployed: Callable[[str], pytest.MonkeyPatch],
) -> None:
    patch = deployed("on-demand")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    patch.setattr(credentials, "database", lambda: f"postgresql://app@127.0.0.1:{port}/x")
    Api()
    # The first request says so.
    with pytest.raises(psycopg.OperationalError):
        connections.connection()


@pytest.mark.parametrize(("kind", "connected"), [("on-demand", True), ("snap-start", False)])
def test_a_container_connects_to_the_cache_too(
    deployed: Callable[[str], pytest.MonkeyPatch], kind: str, connected: bool
) -> None:
    patch = deployed(kind)
    asked: list[Cache] = []
    patch.setattr(Cache, "connect", lambda cache: asked.append(cache))
    edge_cache._connect_at_start()
    assert bool(asked) == connected
