"""Calls of the database's functions, which make every change of the ledger."""

from decimal import Decimal
from typing import Any

import psycopg

from synaxis_billing.errors import refusals
from synaxis_billing.money import format_money

# The outcomes of a function that did what the call asked, now or before.
SUCCESSES = ("created", "found", "replayed")


class UnknownOutcome(Exception):
    """A function of the database answered with an outcome that no module declares."""


def call(connection: psycopg.Connection, function: str, **arguments: Any) -> Any:
    """Return the answer of a function of the schema `billing`: one round trip, one transaction.

    `arguments` are the function's parameters without their prefix `p_`.
    """
    # The names are always literals of ours. psycopg parses plain bytes once and keeps the result.
    names = ", ".join(f"p_{name} => %s" for name in arguments)
    statement = f"SELECT billing.{function}({names})".encode()
    row = connection.execute(statement, list(arguments.values())).fetchone()
    return row[0] if row else None


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
