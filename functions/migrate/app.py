"""Brings the database up to date, in a deployment or by hand."""

import json
from typing import Any

from synaxis_billing import web
from synaxis_billing.edge.database import administrator
from synaxis_billing.edge.invocation import logger, task
from synaxis_billing.schema.migrate import migrate
from synaxis_billing.schema.online import Unfinished, migrate_online, pending, progress

# CloudFormation takes 4 KB in all.
LONGEST_REASON = 1000
# How long online migrations are worked on in one invocation: the operator sees progress this often,
# and no connection is idle for as long as a firewall forgets it.
ONLINE_SECONDS = 60


@task
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take CloudFormation's request of a custom resource, or {}; return what was applied.

    `{"online": "start"}`, and then `{"online": "continue"}` until none is left, do the online
    migrations.
    """
    if "online" in event:
        return _migrate_online(remake=event["online"] == "start")
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


def _migrate_online(remake: bool) -> dict[str, Any]:
    """Return what was done, what is left, and what is under way.

    Raises MigrationError and psycopg.Error.
    """
    done: list[str] = []
    doing = ""
    with administrator() as connection:
        try:
            for name in migrate_online(connection, seconds=ONLINE_SECONDS, remake=remake):
                done.append(name)
        except Unfinished as unfinished:
            doing = str(unfinished)
    with administrator() as connection:
        answer = {
            "done": done,
            "left": pending(connection),
            "doing": progress(connection) or doing,
        }
    logger.info("migrated online", extra=answer)
    return answer


def _migrate_for_cloudformation(event: dict[str, Any]) -> dict[str, Any]:
    """Migrate when the resource is created or changed, and always report the result: without a
    report CloudFormation waits until its own time limit.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-responses.html
    """
    status, reason, data = "SUCCESS", "", {}
    if event["RequestType"] != "Delete":
        try:
            data = _migrate()
        # CloudFormation must learn of any failure.
        except Exception as error:  # noqa: BLE001
            logger.exception("migration failed")
            status, reason = "FAILED", f"{type(error).__name__}: {error}"
    report = {
        "Status": status,
        "Reason": reason[:LONGEST_REASON],
        "PhysicalResourceId": event.get("PhysicalResourceId", event["LogicalResourceId"]),
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    # The URL is signed for a request without a content type.
    headers = {"Content-Type": ""}
    status_code, _ = web.request(
        "PUT", event["ResponseURL"], headers=headers, body=json.dumps(report).encode()
    )
    if status_code != 200:
        raise web.NoResponse(f"CloudFormation's report was answered {status_code}")
    return data
