"""Brings the database up to date, for a deployment or by hand."""

from typing import Any

from synaxis_billing.edge import administration, deployment


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Takes CloudFormation's request of a custom resource, or {}."""
    if "ResponseURL" in event:
        return deployment.answered(event, administration.migrate)
    return administration.migrate()
