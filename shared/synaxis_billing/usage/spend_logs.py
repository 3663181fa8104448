"""Usage: the log of every LLM call that cost something."""

from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import sql
from synaxis_billing.fields import Answer, Money, Time, Usd
from synaxis_billing.ledger import Caller, Usage, usage_arguments
from synaxis_billing.pages import Page, page


class SpendLogRequest(Usage):
    amount_usd: Usd


class SpendLog(Answer):
    """`transaction_id` names the charge that paid; null for spend logged for analytics alone."""

    id: UUID
    organization_id: UUID
    transaction_id: UUID | None
    request_id: str | None
    amount_usd: Money
    team_id: UUID | None
    virtual_key_id: UUID | None
    model: str | None
    provider: str | None
    tokens: int
    region: str | None
    created_at: Time


def log_spend(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    key: str | None,
    request: SpendLogRequest,
) -> tuple[SpendLog, bool]:
    """The log, and whether it was there already (same key, or same request_id and content).

    Raises NotFound, Conflict (request_id counted by something else), Unprocessable (key reused).
    """
    arguments = usage_arguments("log_spend", caller, request, idempotency_key=key)
    value, replayed = sql.accepted(
        sql.call(db, "log_spend", caller.tenant, organization_id, Jsonb(arguments))
    )
    return SpendLog.model_validate(value), replayed


def spend_logs(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    cursor: str | None,
) -> Page[SpendLog]:
    """Newest first, of the half-open period. Raises NotFound, InvalidRequest (cursor)."""

    def fetch(before: datetime | None, most: int) -> list[SpendLog]:
        outcome = sql.call(db, "spend_logs", caller.tenant, organization_id, start, before, most)
        return [SpendLog.model_validate(row) for row in sql.accepted(outcome)[0]]

    items, following = page("spend-logs", organization_id, limit, cursor, end, fetch)
    return Page[SpendLog](items=items, next_cursor=following)
