"""Brings the database up to date, in a deployment or by hand."""

from typing import Any

from synaxis_billing.edge.aws import cloudformation
from synaxis_billing.edge.database import administrator
from synaxis_billing.edge.invocation import logger, task
from synaxis_billing.schema.migrate import migrate
from synaxis_billing.schema.online import pending, work

# Of each invocation for online migrations: the operator sees progress this often.
ONLINE_SECONDS = 60


@task
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take CloudFormation's request of a custom resource, or {}; return what was applied.

    `{"online": "start"}`, then `{"online": "continue"}`, do online migrations until none is left.
    """
    if "online" in event:
        done = work(administrator, ONLINE_SECONDS, remake=event["online"] == "start")
        logger.info("migrated online", extra=done)
        return done
    return _migrate_for_cloudformation(event) if "ResponseURL" in event else _migrate()


def _migrate() -> dict[str, Any]:
    with administrator() as connection:
        applied = migrate(connection)
        # On RDS the application logs in by tokens.
        if connection.execute("SELECT FROM pg_roles WHERE rolname = 'rds_iam'").rowcount:
            connection.execute("ALTER ROLE synaxis_app LOGIN; GRANT rds_iam TO synaxis_app")
        done = {"applied": applied, "online": pending(connection)}
    logger.info("migrated", extra=done)
    return done


def _migrate_for_cloudformation(event: dict[str, Any]) -> dict[str, Any]:
    """Migrate when the resource is created or changed, and always report the result: without a
    report CloudFormation waits until its own time limit."""
    failure, data = "", {}
    if event["RequestType"] != "Delete":
        try:
            data = _migrate()
        # CloudFormation must learn of any failure.
        except Exception as error:  # noqa: BLE001
            logger.exception("migration failed")
            failure = f"{type(error).__name__}: {error}"
    cloudformation.report(event, failure)
    return data
