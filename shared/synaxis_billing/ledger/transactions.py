"""Transactions: the changes of an organization's credit, each immutable."""

from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import PaymentRequired
from synaxis_billing.fields import Answer, Money, Time
from synaxis_billing.paging import Page, paginate

type TransactionType = Literal["topup", "charge", "refund", "adjustment"]


class InsufficientCredits(PaymentRequired):
    """The organization's available credit does not cover this amount."""

    code = "insufficient_credits"
    members: ClassVar = {
        "available_usd": "The credit that is available.",
        "required_usd": "The credit that the request needs.",
        "deficit_usd": "The credit that is missing: required_usd - available_usd.",
    }


class Transaction(Answer):
    """`amount_usd` is signed: balance_after_usd = balance_before_usd + amount_usd."""

    id: UUID
    organization_id: UUID
    transaction_type: TransactionType
    """What changed the credit."""
    amount_usd: Money
    """Signed amount in US dollars: balance_after_usd = balance_before_usd + amount_usd."""
    balance_before_usd: Money
    """Balance in US dollars before this transaction."""
    balance_after_usd: Money
    """Balance in US dollars after this transaction."""
    version: int
    """Number of this transaction in the chain of the organization, from 1."""
    description: str | None
    """What the transaction is for."""
    reference_id: str | None
    """Reference that the request gave, such as the id of a payment."""
    initiated_by: str | None
    """Who initiated it; the `sub` of the token if the request did not say."""
    hold_id: UUID | None
    """Id of the hold that a charge captured."""
    refunded_transaction_id: UUID | None
    """Id of the charge that a refund gives back."""
    hash: str
    """SHA-256 of this transaction and the one before, in hexadecimal: the chain shows any
    change."""
    created_at: Time


def accepted_transaction(outcome: dict[str, Any]) -> tuple[Transaction, bool]:
    """Return the transaction of an outcome, and whether it is replayed. Raises its refusal."""
    value, replayed = procedures.accepted(outcome)
    return Transaction.model_validate(value), replayed


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
