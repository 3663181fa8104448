"""Health of what the product depends on."""

import time
from typing import Literal

import psycopg

from synaxis_billing.edge import database
from synaxis_billing.edge.cache import cache
from synaxis_billing.fields import Answer
from synaxis_billing.rates import rates

type HealthState = Literal["ok", "degraded", "down"]

# Everyone may ask: a container asks the database this seldom, however often it is called.
KEEP_SECONDS = 2


class Health(Answer):
    """Charges are accepted while `database` is ok. Without the `cache` answers are slower; degraded
    `rates` are old or the static fallback."""

    database: HealthState
    """Charges are accepted while it is ok."""
    cache: HealthState
    """Without the cache, answers are slower."""
    rates: HealthState
    """Degraded rates are old or the static fallback."""


_known: tuple[float, Health] | None = None


def get_health() -> Health:
    """Return the health, which is at most two seconds old."""
    global _known
    # By the wall clock: the monotonic one stands still while the container is frozen.
    now = time.time()
    if _known is None or not 0 <= now - _known[0] < KEEP_SECONDS:
        _known = now, _check()
    return _known[1]


def _check() -> Health:
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
