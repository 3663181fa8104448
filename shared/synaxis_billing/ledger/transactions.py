"""Transactions: the changes of an organization's credit, each immutable."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import PaymentRequired
from synaxis_billing.fields import Answer, Money, Time
from synaxis_billing.paging import Page, paginate
from synaxis_billing.prices.unpriced import Unpriced

TransactionType = Literal["topup", "charge", "refund", "adjustment"]


class InsufficientCredits(PaymentRequired):
    """The organization's available credit does not cover this amount."""

    code = "insufficient_credits"


class Transaction(Answer):
    """`amount_usd` is signed: balance_after_usd = balance_before_usd + amount_usd."""

    id: UUID
    organization_id: UUID
    transaction_type: TransactionType
    amount_usd: Money
    balance_before_usd: Money
    balance_after_usd: Money
    version: int
    description: str | None
    reference_id: str | None
    initiated_by: str | None
    hold_id: UUID | None
    refunded_transaction_id: UUID | None
    hash: str
    created_at: Time


def accepted_transaction(outcome: dict[str, Any]) -> tuple[Transaction, bool]:
    """Return the transaction of an outcome, and whether it is replayed. Raises its refusal."""
    value, replayed = procedures.accepted(outcome)
    return Transaction.model_validate(value), replayed


def charged_or_kept(outcome: dict[str, Any]) -> tuple[Transaction | Unpriced, bool]:
    """Return the charge of an outcome, or the usage that waits for a price, and whether it is
    replayed. Raises its refusal."""
    if outcome["outcome"] == "unpriced":
        return Unpriced.model_validate(outcome["value"]), False
    return accepted_transaction(outcome)


def list_transactions(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    transaction_type: TransactionType | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    cursor: str | None,
) -> Page[Transaction]:
    """List the transactions of a half-open period, newest first.

    Raises OrganizationNotFound, InvalidRequest (cursor).
    """

    def fetch(before: datetime | None, most: int) -> list[Transaction]:
        outcome = procedures.call(
            db,
            "transactions",
            tenant=caller.tenant,
            organization_id=organization_id,
            type=transaction_type,
            start=start,
            end=before,
            limit=most,
        )
        return [Transaction.model_validate(row) for row in procedures.accepted(outcome)[0]]

    items, following = paginate("transactions", organization_id, limit, cursor, end, fetch)
    return Page[Transaction](items=items, next_cursor=following)
