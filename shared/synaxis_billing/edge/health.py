"""What the product stands on, and whether it stands."""

from typing import Literal

import psycopg

from synaxis_billing.edge import config, database
from synaxis_billing.fields import Answer

State = Literal["ok", "degraded", "down"]
CACHE_TIMEOUT_SECONDS = 0.25


class Health(Answer):
    """Charges can be taken while `database` is ok; `cache` costs speed alone."""

    database: State
    cache: State
    rates: State


def check() -> Health:
    """Asks each of them now."""
    # The static fallback rates are always there, and never current.
    return Health(database=_database(), cache=_cache(), rates="degraded")


def _database() -> State:
    try:
        database.connection().execute("SELECT 1")
    except psycopg.Error:
        database.discard()
        return "down"
    return "ok"


def _cache() -> State:
    url = config.redis_url()
    if url is None:
        return "down"
    # Not at the top: the reading routes of this function do without it.
    import redis

    try:
        with redis.Redis.from_url(
            url, socket_timeout=CACHE_TIMEOUT_SECONDS, socket_connect_timeout=CACHE_TIMEOUT_SECONDS
        ) as client:
            client.ping()
    except redis.RedisError:
        return "down"
    return "ok"
