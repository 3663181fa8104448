"""What tests do to invoices, in few words."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg

from synaxis_billing.caller import Caller
from synaxis_billing.invoices import credit_notes, invoices, topups
from synaxis_billing.invoices.credit_notes import CreditNoteRequest
from synaxis_billing.invoices.invoices import InvoicePayment, InvoicePeriod
from synaxis_billing.invoices.parties import Issuer, Seller
from synaxis_billing.ledger.transactions import Transaction
from synaxis_billing.rates.rates import Rate
from tests.support.steps import GRACE_DAYS, NO_CACHE, PLATFORM, new_key

ISSUER = Issuer(
    Seller(name="Synaxis GmbH", address="Torstraße 140, 10119 Berlin", tax_id="DE123456789")
)
DAY = timedelta(days=1)


def today() -> datetime:
    """The last midnight, in UTC."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def rates(euro: str = "0.92", **others: str) -> list[Rate]:
    of = {"USD": "1", "EUR": euro, "BRL": "5.75", "GBP": "0.79"} | others
    now = datetime.now(UTC)
    return [Rate(name, Decimal(rate), now, "ecb", False) for name, rate in of.items()]


def draft(
    db: psycopg.Connection,
    organization_id: UUID,
    start: datetime | None = None,
    end: datetime | None = None,
    at: list[Rate] | None = None,
) -> invoices.Invoice:
    period = InvoicePeriod.model_validate(
        {
            "period_start": (start or today() - DAY).isoformat(),
            "period_end": (end or datetime.now(UTC)).isoformat(),
        }
    )
    drafted, _ = invoices.draft_invoice(
        db, PLATFORM, organization_id, period, at or rates(), ISSUER
    )
    return drafted


def issue(
    db: psycopg.Connection, invoice: invoices.Invoice, at: list[Rate] | None = None
) -> invoices.Invoice:
    return invoices.issue_invoice(
        db, PLATFORM, invoice.organization_id, invoice.id, at or rates(), ISSUER
    )


def invoice_topup(
    db: psycopg.Connection, bought: Transaction, issuer: Issuer = ISSUER
) -> invoices.Invoice:
    ids = (bought.organization_id, bought.id)
    return topups.invoice_topup(db, PLATFORM, *ids, rates(), issuer)


def get_invoice(
    db: psycopg.Connection, organization_id: UUID, invoice_id: UUID, caller: Caller = PLATFORM
) -> invoices.Invoice:
    return invoices.get_invoice(lambda: db, NO_CACHE, caller, organization_id, invoice_id)


def pay(db: psycopg.Connection, invoice: invoices.Invoice) -> invoices.Invoice:
    return invoices.pay_invoice(db, PLATFORM, invoice.organization_id, invoice.id, InvoicePayment())


def cancel(db: psycopg.Connection, invoice: invoices.Invoice) -> invoices.Invoice:
    return invoices.cancel_invoice(db, PLATFORM, invoice.organization_id, invoice.id)


def credit(
    db: psycopg.Connection, invoice: invoices.Invoice, key: str = "", **request: object
) -> credit_notes.CreditNote:
    asked = CreditNoteRequest.model_validate({"reason": "wrong price", **request})
    key = key or new_key()
    return credit_notes.credit_invoice(
        db, PLATFORM, invoice.organization_id, invoice.id, key, asked, ISSUER, GRACE_DAYS
    )[0]


def set_clock(admin: psycopg.Connection, organization_id: UUID | str, instant: datetime) -> None:
    """Have what the organization does next happen at this instant, which the clock is behind of."""
    admin.execute(
        "UPDATE billing.organizations SET changed_at = %s - interval '1 microsecond' WHERE id = %s",
        [instant, organization_id],
    )
