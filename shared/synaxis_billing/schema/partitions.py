"""What the database needs done on a schedule."""

import psycopg

MONTHS_AHEAD = 12


def ensure_partitions(connection: psycopg.Connection) -> list[str]:
    """Make what is missing of the monthly partitions ahead, and return the names of the new."""
    row = connection.execute("SELECT billing.ensure_partitions(%s)", [MONTHS_AHEAD]).fetchone()
    made: list[str] = row[0] if row else []
    return made
