"""Transactions: the changes of an organization's credit, each immutable."""

from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import NotFound, PaymentRequired
from synaxis_billing.fields import Answer, Money, Time
from synaxis_billing.paging import SEARCHED_ROWS, Bounds, Page, paginate, reached
from synaxis_billing.usage.dimensions import Rated, UsageFilter

type TransactionType = Literal[
    "topup", "charge", "refund", "adjustment", "grant", "expiry", "void", "payout"
]


class InsufficientCredits(PaymentRequired):
    """The organization's available credit does not cover this amount."""

    code = "insufficient_credits"
    members: ClassVar = {
        "available_usd": "The credit that is available.",
        "required_usd": "The credit that the request needs.",
        "deficit_usd": "The credit that is missing: required_usd - available_usd.",
    }


class OrganizationSuspended(PaymentRequired):
    """The organization is suspended or closed: it takes no new charges and holds."""

    code = "organization_suspended"


class TransactionNotFound(NotFound):
    """The transaction does not exist in this organization."""

    code = "transaction_not_found"


class Change(Answer):
    """A change of an organization's credit."""

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
    drawn_usd: Money
    """All credit that charges and negative adjustments drew before this transaction, in US
    dollars."""
    description: str | None
    """What the transaction is for."""
    initiated_by: str | None
    """Who initiated it; the `sub` of the token if the request did not say."""
    hold_id: UUID | None
    """Id of the hold that a charge captured."""
    refunded_transaction_id: UUID | None
    """Id of the charge that a refund gives back."""
    grant_id: UUID | None
    """Id of the grant that an expiry or a void takes credit from."""


class Transaction(Rated, Change):
    """`amount_usd` is signed: balance_after_usd = balance_before_usd + amount_usd."""

    tokens: int | None
    """Number of tokens that a charged call used."""
    occurred_at: Time | None
    """Time at which the call was made, where a usage event says so. `created_at` decides the price,
    the grants and the period."""
    hash: str
    """SHA-256 of this transaction and the one before, in hexadecimal: the chain shows any
    change."""
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

    def fetch(bounds: Bounds[datetime], most: int) -> tuple[list[Transaction], datetime | None]:
        outcome = procedures.call(
            db,
            "transactions",
            tenant=caller.tenant,
            organization_id=organization_id,
            type=transaction_type,
            filter=Jsonb(filtered),
            start=start,
            end=bounds.before,
            since=bounds.since,
            limit=most,
            scan=SEARCHED_ROWS if filtered or transaction_type else most,
        )
        value, _ = procedures.accepted(outcome)
        return [Transaction.model_validate(row) for row in value["items"]], reached(value)

    return paginate("transactions", organization_id, limit, cursor, end, fetch)
