"""A test's database on each node of the Citus cluster whose coordinator CITUS_URL names."""

import contextlib
from collections.abc import Iterator

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_NODES = "SELECT nodename, nodeport FROM pg_dist_node WHERE isactive ORDER BY groupid"


def nodes(coordinator_url: str) -> list[str]:
    """The administrator's URL of each node, the coordinator first."""
    with psycopg.connect(coordinator_url, autocommit=True) as connection:
        found = connection.execute(_NODES).fetchall()
    return [make_conninfo(coordinator_url, host=host, port=port) for host, port in found]


@contextlib.contextmanager
def cluster(coordinator_url: str, name: str, copied: str | None) -> Iterator[str]:
    """The coordinator's URL of a new database of each node; a copied one is distributed already."""
    urls = nodes(coordinator_url)
    try:
        for url in urls:
            _create(url, name, copied or "template1")
        if copied is None:
            _join([make_conninfo(url, dbname=name) for url in urls])
        yield make_conninfo(coordinator_url, dbname=name)
    finally:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        for url in urls:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(drop)


def _create(url: str, name: str, copied: str) -> None:
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
        sql.Identifier(name), sql.Identifier(copied)
    )
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(50):
            # The cluster's own daemon uses the database that is copied.
            connection.execute(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = %s",
                [copied],
            )
            with contextlib.suppress(psycopg.errors.ObjectInUse):
                connection.execute(create)
                return
        connection.execute(create)


def _join(urls: list[str]) -> None:
    for url in urls:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION citus")
    parts = [conninfo_to_dict(url) for url in urls]
    with psycopg.connect(urls[0], autocommit=True) as coordinator:
        own = [parts[0]["host"], parts[0]["port"]]
        coordinator.execute("SELECT citus_set_coordinator_host(%s, %s::int)", own)
        for worker in parts[1:]:
            coordinator.execute(
                "SELECT citus_add_node(%s, %s::int)", [worker["host"], worker["port"]]
            )
        if not parts[1:]:
            coordinator.execute(
                "SELECT citus_set_node_property(%s, %s::int, 'shouldhaveshards', true)", own
            )
