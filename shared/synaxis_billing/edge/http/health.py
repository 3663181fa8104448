"""What the product stands on, and whether it stands."""

from typing import Literal

import psycopg

from synaxis_billing import fx
from synaxis_billing.edge import database
from synaxis_billing.edge.cache import cache
from synaxis_billing.fields import Answer

State = Literal["ok", "degraded", "down"]


class Health(Answer):
    """Charges can be taken while `database` is ok; `cache` costs speed alone, and degraded `rates`
    are old or the static fallback."""

    database: State
    cache: State
    rates: State


def check() -> Health:
    """Asks each of them now; of the rates, what readers get."""
    stale = any(rate.stale for rate in fx.rates(database.connection, cache()))
    return Health(
        database=_database(),
        cache="ok" if cache().reachable else "down",
        rates="degraded" if stale else "ok",
    )


def _database() -> State:
    try:
        database.connection().execute("SELECT 1")
    except psycopg.Error:
        database.discard()
        return "down"
    return "ok"
