"""Receipts: how a transaction came to be, and what paid for it."""

from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.budgets.budgets import BudgetSubject, BudgetWindow
from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, Money
from synaxis_billing.grants.grants import GrantKind
from synaxis_billing.invoices.invoices import InvoiceKind, InvoiceStatus
from synaxis_billing.ledger.holds import Hold
from synaxis_billing.ledger.transactions import Transaction
from synaxis_billing.prices.book import Quote


class UsedGrant(Answer):
    """The part of a transaction that a grant paid for."""

    grant_id: UUID
    """Id of the grant."""
    kind: GrantKind
    """Origin of the credit."""
    amount_usd: Money
    """Amount in US dollars."""
    payment_id: UUID | None
    """Id of the payment that bought the credit; null if it was given, or paid for elsewhere."""


class CountingBudget(Answer):
    """A budget that counted a charge, with its limit of today."""

    id: UUID
    """Id of the budget."""
    subject: BudgetSubject
    """Subject of the budget."""
    subject_id: str | None
    """Id of the team, key or person, or name of the model or provider."""
    window: BudgetWindow
    """Window in which it counts."""
    limit_usd: Money
    """The most that may be spent in a window; of a rate, in an hour."""


class ReceiptInvoice(Answer):
    """The invoice or statement that a transaction is on."""

    id: UUID
    """Id of the invoice."""
    number: str
    """Number, gap-free in its series and year."""
    kind: InvoiceKind
    """Kind of the invoice: of a period's usage, or of a top-up."""
    status: InvoiceStatus
    """State of the invoice."""


class Proof(Answer):
    """Why the hash is what it is: `hash` is SHA-256 of the bytes of `previous_hash` and of `text`
    in UTF-8."""

    previous_hash: str
    """Hash of the transaction before, in hexadecimal; that of no bytes for the first."""
    hash: str
    """Hash of this transaction, in hexadecimal."""
    text: str
    """The content of the transaction as the chain contains it: a JSON array. Its eleventh item is
    SHA-256 of `personal_text`, in hexadecimal."""
    personal_text: str | None
    """The personal fields behind a random salt, as a JSON array; null when they are erased."""


class Receipt(Answer):
    """A transaction, and what settles it."""

    transaction: Transaction
    """The transaction, with the usage that it was charged for."""
    price: Quote | None
    """The price, computed again from the usage; null when the amount was given."""
    hold: Hold | None
    """The hold that the transaction captured."""
    grants: list[UsedGrant]
    """The grants that paid, in the order in which they were used, with what was refunded since."""
    debt_usd: Money
    """Debt in US dollars, which no grant covers yet."""
    budgets: list[CountingBudget]
    """The budgets that counted the charge, oldest first, without those deleted since."""
    refunds: list[Transaction]
    """The refunds of the transaction."""
    invoice: ReceiptInvoice | None
    """The issued document of the period that contains the charge, or of the top-up; null while
    there is none. A credit note over all of an invoice takes its charges off it."""
    proof: Proof
    """The proof of the transaction's hash."""


def get_receipt(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, transaction_id: UUID
) -> Receipt:
    """Return the receipt of a transaction. Raises OrganizationNotFound, TransactionNotFound."""
    outcome = procedures.call(
        db,
        "receipt",
        tenant=caller.tenant,
        organization_id=organization_id,
        transaction_id=transaction_id,
    )
    return Receipt.model_validate(procedures.accepted(outcome)[0])
