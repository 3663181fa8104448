"""Spending in turn: an organization's charges and holds wait for each other."""

from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.caller import Caller

Operation = Literal["charge", "hold", "capture_hold", "release_hold", "change_hold"]


def spend(
    db: psycopg.Connection,
    operation: Operation,
    caller: Caller,
    organization_id: UUID,
    arguments: dict[str, Any],
) -> dict[str, Any]:
    """Return the outcome of an operation; its arguments are those of `billing.usage_request`.

    Raises TooManyRequests.
    """
    outcome: dict[str, Any] = procedures.call_procedure(
        db,
        "spend",
        operation=operation,
        tenant=caller.tenant,
        organization_id=organization_id,
        request=Jsonb(arguments),
    )
    return outcome
