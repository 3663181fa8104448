"""Monthly partitions of the ledger's tables, created ahead."""

import psycopg

MONTHS_AHEAD = 12


def ensure_partitions(connection: psycopg.Connection) -> list[str]:
    """Create the missing partitions of the months ahead; return the names of the new ones."""
    row = connection.execute("SELECT billing.ensure_partitions(%s)", [MONTHS_AHEAD]).fetchone()
    made: list[str] = row[0] if row else []
    return made
