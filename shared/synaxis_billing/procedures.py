"""Calls of the database's functions, which make every change of the ledger."""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import set_json_loads
from pydantic_core import from_json

from synaxis_billing.errors import TooManyRequests, refusals
from synaxis_billing.money import format_money

# The outcomes of a function that did what the call asked, now or before.
SUCCESSES = ("created", "found", "replayed")
# The SQLSTATE of billing.lock_organization() when too many calls of an organization wait.
_TOO_MANY = "SB429"
# The organizations in a page of those that have work.
ORGANIZATIONS = 1000
# How long a call waits outside of the database, where it takes no connection from others.
PATIENCE_SECONDS = 0.5
FIRST_PAUSE_SECONDS = 0.04


# Of a batch's answer, psycopg's own takes four times as long.
set_json_loads(from_json)


class UnknownOutcome(Exception):
    """A function of the database answered with an outcome that no module declares."""


def call(connection: psycopg.Connection, function: str, **arguments: Any) -> Any:
    """Return the answer of a function of the schema `billing`: one round trip, one transaction.

    `arguments` are the function's parameters without their prefix `p_`. Raises TooManyRequests.
    """
    statement = _statement("SELECT", function, arguments)
    return _in_turn(lambda: _value(connection, statement, arguments))


def call_procedure(connection: psycopg.Connection, procedure: str, **arguments: Any) -> Any:
    """Return the answer of a procedure of the schema `billing`: one round trip, which commits
    within. `connection` is in autocommit mode. Raises TooManyRequests."""
    statement = _statement("CALL", procedure, arguments, "p_answer => NULL, ")
    return _in_turn(lambda: _value(connection, statement, arguments))


def is_distributed(connection: psycopg.Connection) -> bool:
    """Say whether the connection is that of a Citus cluster."""
    row = connection.execute("SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL")
    return row.fetchone() == (True,)


def each_organization(
    connect: Callable[[], psycopg.Connection], function: str, **arguments: Any
) -> Iterator[UUID]:
    """Iterate over the organizations that have work to do, which a function lists by pages.

    The platform's work is done for one organization after the other, each in a transaction of its
    own on the node that has it, so that one that fails keeps no other from its turn.
    """
    after = UUID(int=0)
    while found := call(
        connect(), function, tenant="*", after=after, limit=ORGANIZATIONS, **arguments
    ):
        yield from found
        after = found[-1]


def _statement(verb: str, function: str, arguments: dict[str, Any], first: str = "") -> bytes:
    # Citus chooses a node by the organization, and crashes where there is none.
    if arguments.get("organization_id", 0) is None:
        raise ValueError(f"{function} was called without an organization")
    # The names are always literals of ours. psycopg parses plain bytes once and keeps the result.
    names = ", ".join(f"p_{name} => %s" for name in arguments)
    return f"{verb} billing.{function}({first}{names})".encode()


def accepted(outcome: dict[str, Any]) -> tuple[Any, bool]:
    """Return the value of an outcome, and whether it is an earlier answer replayed.

    Raises the BillingError that has the outcome's code, and UnknownOutcome for any other.
    """
    code, value = outcome["outcome"], outcome["value"]
    if code in SUCCESSES:
        return value, code == "replayed"
    kind = next((kind for kind in refusals() if kind.code == code), None)
    if kind is None:
        raise UnknownOutcome(code)
    facts = {
        name: format_money(Decimal(fact)) if name.endswith("_usd") else fact
        for name, fact in (value or {}).items()
    }
    raise kind(facts.pop("detail", None), **facts)


def pause_seconds(tries: int) -> float:
    """Return how long a call waits after so many tries: of random length, so that those who wait do
    not come back together, and twice as long after each, so that a thousand leave the database to
    others."""
    return random.uniform(0, FIRST_PAUSE_SECONDS * 2 ** (tries - 1))


def _value(connection: psycopg.Connection, statement: bytes, arguments: dict[str, Any]) -> Any:
    row = connection.execute(statement, list(arguments.values())).fetchone()
    return row[0] if row else None


def turns() -> Iterator[None]:
    """Iterate over the tries of a call whose organization's places are taken, with pauses between
    them, for as long as it may wait."""
    ends = time.monotonic() + PATIENCE_SECONDS
    for tries in itertools.count(1):
        yield
        if time.monotonic() >= ends:
            return
        time.sleep(pause_seconds(tries))


def _in_turn(attempt: Callable[[], Any]) -> Any:
    """Repeat an attempt while its organization's places are taken."""
    for _ in turns():
        try:
            value = attempt()
        except psycopg.Error as error:
            if error.sqlstate != _TOO_MANY:
                raise
        else:
            if not (isinstance(value, dict) and value.get("outcome") == TooManyRequests.code):
                return value
    raise TooManyRequests
