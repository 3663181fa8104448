"""Make a database ready for the application."""

import hashlib
import hmac
import json
from datetime import UTC, datetime

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from local.template import ROOT
from synaxis_billing.caller import Caller
from synaxis_billing.prices.importing import PriceImport, import_prices
from synaxis_billing.schema.migrate import migrate

APPLICATION = "synaxis_app"
# The shipped price list; its source and licence are in NOTICE.
MODEL_PRICES = ROOT / "local" / "model_prices.json"
# Before any charge, so that each has a price.
PRICES_FROM = datetime(2020, 1, 1, tzinfo=UTC)


def prepare(admin_url: str, *, distributed: bool = False) -> str:
    """Migrate the database, and return how the application connects to it.

    Raises MigrationError, psycopg.Error.
    """
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=5) as connection:
        migrate(connection, distributed=distributed)
        password = _password(admin_url)
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(APPLICATION), sql.Literal(password)
            )
        )
    return make_conninfo(admin_url, user=APPLICATION, password=password)


def ship_prices(app_url: str) -> None:
    """Import the shipped price list; what has not changed since the last time stays."""
    request = PriceImport.model_validate(
        {
            "format": "litellm",
            "effective_from": PRICES_FROM.isoformat(),
            "prices": json.loads(MODEL_PRICES.read_text()),
            "source": "litellm, as shipped",
        }
    )
    with psycopg.connect(app_url, autocommit=True, connect_timeout=5) as connection:
        import_prices(connection, Caller(tenant="*"), request)


def _password(admin_url: str) -> str:
    # All databases of a server share the role, so the password must not depend on the database.
    parts = conninfo_to_dict(admin_url)
    server = repr(
        sorted((name, of) for name, of in parts.items() if name not in ("dbname", "port"))
    )
    return hmac.digest(server.encode(), APPLICATION.encode(), hashlib.sha256).hex()
