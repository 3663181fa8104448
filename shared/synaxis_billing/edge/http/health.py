"""Health of what the product depends on."""

from typing import Literal

import psycopg

from synaxis_billing.edge import database
from synaxis_billing.edge.cache import cache
from synaxis_billing.fields import Answer
from synaxis_billing.rates import rates

type HealthState = Literal["ok", "degraded", "down"]


class Health(Answer):
    """Charges are accepted while `database` is ok. Without the `cache` answers are slower; degraded
    `rates` are old or the static fallback."""

    database: HealthState
    """Charges are accepted while it is ok."""
    cache: HealthState
    """Without the cache, answers are slower."""
    rates: HealthState
    """Degraded rates are old or the static fallback."""


def check_health() -> Health:
    """Ask the database and the cache, and check the rates that readers get."""
    stale = any(rate.stale for rate in rates.current_rates(database.connection, cache()))
    return Health(
        database=_database(),
        cache="ok" if cache().reachable else "down",
        rates="degraded" if stale else "ok",
    )


def _database() -> HealthState:
    try:
        database.connection().execute("SELECT 1")
    except psycopg.Error:
        database.discard()
        return "down"
    return "ok"
