"""Calls that come at once, each by a connection of its own."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID

import psycopg

from synaxis_billing.errors import BillingError
from tests.conftest import Database


def at_once(database: Database, *actions: Callable[[psycopg.Connection], Any]) -> list[Any]:
    """What each action returned or was refused with; each has a connection of its own."""
    start = Barrier(len(actions))

    def act(action: Callable[[psycopg.Connection], Any]) -> Any:
        with database.connect() as db:
            start.wait(60)
            try:
                return action(db)
            except BillingError as error:
                return error

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))


@contextlib.contextmanager
def locked(database: Database, organization_id: UUID) -> Iterator[None]:
    """Another transaction holds the organization's row."""
    with database.admin() as admin, admin.transaction():
        admin.execute(
            "SELECT FROM billing.organizations WHERE id = %s FOR UPDATE", [organization_id]
        )
        yield


def waiting(database: Database) -> int:
    """How many calls wait for a row, on all nodes."""
    found = 0
    for url in database.nodes():
        with psycopg.connect(url) as node:
            found += node.execute(
                "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database() AND usename = 'synaxis_app'"
            ).rowcount
    return found


def of_type(kind: type, results: list[Any]) -> list[Any]:
    return [result for result in results if isinstance(result, kind)]
