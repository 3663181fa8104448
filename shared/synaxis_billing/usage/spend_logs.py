"""Spend logs: one for every LLM call that cost something."""

from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, Money, Time, Usd
from synaxis_billing.paging import Page, paginate
from synaxis_billing.usage.dimensions import Usage, usage_arguments


class SpendLogRequest(Usage):
    """Spend to count without charging it."""

    amount_usd: Usd
    """Cost of the call in US dollars, which is counted and not charged."""


class SpendLog(Answer):
    """`transaction_id` is the charge that paid; null for spend logged for analytics alone."""

    id: UUID
    organization_id: UUID
    transaction_id: UUID | None
    """Id of the charge that paid; null for spend that was logged without a charge."""
    request_id: str | None
    amount_usd: Money
    """Cost of the call in US dollars."""
    team_id: UUID | None
    virtual_key_id: UUID | None
    model: str | None
    provider: str | None
    tokens: int
    """Number of tokens that the call used; 0 if it did not say."""
    region: str | None
    created_at: Time


def log_spend(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    key: str | None,
    request: SpendLogRequest,
) -> tuple[SpendLog, bool]:
    """Log spend without charging it; return the log, and whether it was there before (by the same
    key, or by the same request_id and content).

    Raises OrganizationNotFound, Conflict (request_id was counted by something else),
    IdempotencyKeyReused.
    """
    outcome = procedures.call(
        db,
        "log_spend",
        tenant=caller.tenant,
        organization_id=organization_id,
        request=Jsonb(usage_arguments("log_spend", caller, request, idempotency_key=key)),
    )
    value, replayed = procedures.accepted(outcome)
    return SpendLog.model_validate(value), replayed


def list_spend_logs(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    cursor: str | None,
) -> Page[SpendLog]:
    """List the spend logs of a half-open period, newest first.

    Raises OrganizationNotFound, InvalidRequest (cursor).
    """

    def fetch(before: datetime | None, most: int) -> list[SpendLog]:
        outcome = procedures.call(
            db,
            "spend_logs",
            tenant=caller.tenant,
            organization_id=organization_id,
            start=start,
            end=before,
            limit=most,
        )
        return [SpendLog.model_validate(row) for row in procedures.accepted(outcome)[0]]

    items, following = paginate("spend-logs", organization_id, limit, cursor, end, fetch)
    return Page[SpendLog](items=items, next_cursor=following)
