"""Turns: an organization's calls wait for each other, and take no connection while they do."""

import random
import time
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import TooManyRequests

# How long a call waits outside of the database before it is refused.
PATIENCE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 0.04

Operation = Literal["charge", "hold", "capture_hold", "release_hold", "change_hold"]


def spend(
    db: psycopg.Connection,
    operation: Operation,
    caller: Caller,
    organization_id: UUID,
    arguments: dict[str, Any],
) -> dict[str, Any]:
    """Return the outcome of an operation that waits for its organization's turn.

    `arguments` are those of `billing.usage_request`. Raises TooManyRequests when too many others
    have waited for longer than PATIENCE_SECONDS.
    """
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        outcome: dict[str, Any] = procedures.call_procedure(
            db,
            "spend",
            operation=operation,
            tenant=caller.tenant,
            organization_id=organization_id,
            request=Jsonb(arguments),
        )
        if outcome["outcome"] != TooManyRequests.code or time.monotonic() >= ends:
            return outcome
        # Of random length, so that those who wait do not come back together.
        time.sleep(random.uniform(0, _LONGEST_PAUSE_SECONDS))
