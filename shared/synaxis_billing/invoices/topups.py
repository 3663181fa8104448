"""Invoices of top-ups. Credit is taxed when it is sold: each top-up has an invoice of its own,
issued as paid, in the same series as those of usage."""

from collections.abc import Callable, Iterable, Iterator
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import BillingError
from synaxis_billing.fields import Answer
from synaxis_billing.invoices.invoices import Invoice, terms
from synaxis_billing.invoices.parties import Issuer
from synaxis_billing.rates.rates import Rate


class UninvoicedTopUp(Answer):
    """A top-up that has no invoice yet."""

    organization_id: UUID
    transaction_id: UUID


def invoice_topup(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    transaction_id: UUID,
    rates: Iterable[Rate],
    issuer: Issuer,
) -> Invoice:
    """Return the invoice of a top-up, which is issued now if it has none.

    Raises OrganizationNotFound, TransactionNotFound, Conflict (not a top-up, the payment of an
    invoice, or tax is charged by a seller without name, address or tax id), UnsupportedCurrency.
    """
    outcome = procedures.call(
        db,
        "invoice_topup",
        tenant=caller.tenant,
        organization_id=organization_id,
        transaction_id=transaction_id,
        terms=terms(rates, issuer),
    )
    return Invoice.model_validate(procedures.accepted(outcome)[0])


def claim_topups(connect: Callable[[], psycopg.Connection]) -> Iterator[UninvoicedTopUp]:
    """Iterate over the top-ups whose invoice is due; each is tried again in a minute at the
    earliest."""
    for organization_id in procedures.each_organization(connect, "due_topups"):
        for transaction_id in procedures.call(
            connect(), "claim_topups", tenant="*", organization_id=organization_id
        ):
            yield UninvoicedTopUp(organization_id=organization_id, transaction_id=transaction_id)


def record_failure(db: psycopg.Connection, topup: UninvoicedTopUp, error: BillingError) -> None:
    """Record why a top-up could not be invoiced. It is tried again later and later."""
    procedures.call(
        db,
        "topup_failed",
        tenant="*",
        organization_id=topup.organization_id,
        transaction_id=topup.transaction_id,
        error=str(error),
    )


def count_failed(db: psycopg.Connection) -> int:
    """Return the number of top-ups whose invoice could not be issued."""
    return int(procedures.call(db, "failed_topups", tenant="*"))
