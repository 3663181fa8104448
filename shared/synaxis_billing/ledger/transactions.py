"""Transactions: the changes of an organization's credit, each immutable."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import NotFound, PaymentRequired
from synaxis_billing.fields import Money, Time
from synaxis_billing.paging import SEARCHED_ROWS, Page, paginate, reached
from synaxis_billing.usage.dimensions import UsageFilter, Used

TransactionType = Literal["topup", "charge", "refund", "adjustment"]


class InsufficientCredits(PaymentRequired):
    """The organization's available credit does not cover this amount."""

    code = "insufficient_credits"


class OrganizationSuspended(PaymentRequired):
    """The organization is suspended or closed: it takes no new charges and holds."""

    code = "organization_suspended"


class TransactionNotFound(NotFound):
    """The transaction does not exist in this organization."""

    code = "transaction_not_found"


class Transaction(Used):
    """`amount_usd` is signed: balance_after_usd = balance_before_usd + amount_usd."""

    id: UUID
    organization_id: UUID
    transaction_type: TransactionType
    amount_usd: Money
    balance_before_usd: Money
    balance_after_usd: Money
    version: int
    description: str | None
    initiated_by: str | None
    hold_id: UUID | None
    refunded_transaction_id: UUID | None
    tokens: int | None
    hash: str
    created_at: Time


def accepted_transaction(
    outcome: dict[str, Any], known: dict[str, Any] | None = None
) -> tuple[Transaction, bool]:
    """Return the transaction of an outcome, and whether it is replayed. Raises its refusal.

    `known` are the fields that the outcome may leave out.
    """
    value, replayed = procedures.accepted(outcome)
    return Transaction.model_validate({**(known or {}), **value}), replayed


def get_transaction(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, transaction_id: UUID
) -> Transaction:
    """Return one transaction. Raises OrganizationNotFound, TransactionNotFound."""
    return accepted_transaction(
        procedures.call(
            db,
            "transaction",
            tenant=caller.tenant,
            organization_id=organization_id,
            transaction_id=transaction_id,
        )
    )[0]


def list_transactions(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    transaction_type: TransactionType | None,
    usage: UsageFilter,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    cursor: str | None,
) -> Page[Transaction]:
    """List the transactions of a half-open period that the filter matches, newest first. A page of
    rare ones may have few, or none, and still a cursor.

    Raises OrganizationNotFound, InvalidRequest (cursor).
    """
    filtered = usage.model_dump(mode="json", exclude_none=True)

    def fetch(before: datetime | None, most: int) -> tuple[list[Transaction], datetime | None]:
        outcome = procedures.call(
            db,
            "transactions",
            tenant=caller.tenant,
            organization_id=organization_id,
            type=transaction_type,
            filter=Jsonb(filtered),
            start=start,
            end=before,
            limit=most,
            scan=SEARCHED_ROWS if filtered or transaction_type else most,
        )
        value, _ = procedures.accepted(outcome)
        return [Transaction.model_validate(row) for row in value["items"]], reached(value)

    items, following = paginate("transactions", organization_id, limit, cursor, end, fetch)
    return Page[Transaction](items=items, next_cursor=following)
