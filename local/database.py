"""Make a database ready for the application."""

import hashlib
import hmac

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from synaxis_billing.schema.migrate import migrate

APPLICATION = "synaxis_app"


def prepare(admin_url: str) -> str:
    """Migrate the database, and return how the application connects to it.

    Raises MigrationError, psycopg.Error.
    """
    with psycopg.connect(admin_url, autocommit=True, connect_timeout=5) as connection:
        migrate(connection)
        password = _password(admin_url)
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(APPLICATION), sql.Literal(password)
            )
        )
    return make_conninfo(admin_url, user=APPLICATION, password=password)


def _password(admin_url: str) -> str:
    # All databases of a server share the role, so the password must not depend on the database.
    parts = conninfo_to_dict(admin_url)
    server = repr(
        sorted((name, of) for name, of in parts.items() if name not in ("dbname", "port"))
    )
    return hmac.digest(server.encode(), APPLICATION.encode(), hashlib.sha256).hex()
