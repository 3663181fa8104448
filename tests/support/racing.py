"""Calls that come at once, each by a connection of its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

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


def of_type(kind: type, results: list[Any]) -> list[Any]:
    return [result for result in results if isinstance(result, kind)]
