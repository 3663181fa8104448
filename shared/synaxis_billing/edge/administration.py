"""What is done to the database as its administrator."""

from typing import Any

import psycopg
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing import audit as ledger_audit
from synaxis_billing import migrations
from synaxis_billing.edge import credentials

logger = Logger()
metrics = Metrics()

# The role whose members log in to RDS by tokens.
_BY_TOKEN = "SELECT FROM pg_roles WHERE rolname = 'rds_iam'"


def migrate() -> dict[str, Any]:
    """What was applied. Raises MigrationError, psycopg.Error, LookupError."""
    with _administrator() as connection:
        applied = migrations.migrate(connection)
        if connection.execute(_BY_TOKEN).fetchone() is not None:
            connection.execute("ALTER ROLE synaxis_app LOGIN")
            connection.execute("GRANT rds_iam TO synaxis_app")
    logger.info("migrated", applied=applied)
    return {"applied": applied}


def audit() -> dict[str, Any]:
    """How many organizations were looked at, and what is broken; each is logged too."""
    with _administrator() as connection:
        found = ledger_audit.audit(connection)
    broken = found.broken + [
        f"organization {one.organization_id}: {line}"
        for one in found.organizations
        for line in one.broken
    ]
    for line in broken:
        logger.error("broken promise", promise=line)
    metrics.add_metric("BrokenPromises", MetricUnit.Count, len(broken))
    return {"organizations": len(found.organizations), "broken": broken}


def _administrator() -> psycopg.Connection:
    return psycopg.connect(
        credentials.administrator(),
        autocommit=True,
        connect_timeout=10,
        application_name="synaxis_billing_administrator",
    )
