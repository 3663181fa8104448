"""Spend logs: one for every LLM call that cost something."""

from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, Money, Time
from synaxis_billing.paging import SEARCHED_ROWS, Bounds, Page, paginate, reached
from synaxis_billing.usage.dimensions import PricedUsage, Rated, UsageFilter, usage_arguments


class SpendLogRequest(PricedUsage):
    """Spend to count without charging it: give `amount_usd`, or `usage` with `provider` and
    `model`."""


class Spent(Answer):
    """What a call cost, and what paid."""

    id: UUID
    organization_id: UUID
    transaction_id: UUID | None
    """Id of the charge that paid; null for spend that was logged without a charge."""
    amount_usd: Money
    """Cost of the call in US dollars."""


class SpendLog(Rated, Spent):
    """`transaction_id` is the charge that paid; null for spend logged for analytics alone."""

    tokens: int
    """Number of tokens that the call used; 0 if it did not say."""
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

    Raises OrganizationNotFound, PriceUnknown, Conflict (request_id was counted by something else),
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
    usage: UsageFilter,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    cursor: str | None,
) -> Page[SpendLog]:
    """List the spend logs of a half-open period that the filter matches, newest first. A page of
    rare ones may have few, or none, and still a cursor.

    Raises OrganizationNotFound, InvalidRequest (cursor).
    """

    filtered = usage.model_dump(mode="json", exclude_none=True)

    def fetch(bounds: Bounds[datetime], most: int) -> tuple[list[SpendLog], datetime | None]:
        outcome = procedures.call(
            db,
            "spend_logs",
            tenant=caller.tenant,
            organization_id=organization_id,
            filter=Jsonb(filtered),
            start=start,
            end=bounds.before,
            since=bounds.since,
            limit=most,
            scan=SEARCHED_ROWS if filtered else most,
        )
        value, _ = procedures.accepted(outcome)
        return [SpendLog.model_validate(row) for row in value["items"]], reached(value)

    return paginate("spend-logs", organization_id, limit, cursor, end, fetch)
