"""The facts of an invoice, a statement or a credit note that its document shows."""

from datetime import date
from typing import Literal
from uuid import UUID

from synaxis_billing.fields import Answer, Money, Time
from synaxis_billing.invoices.invoices import FurtherLines, LineItem
from synaxis_billing.invoices.parties import Customer, Seller
from synaxis_billing.invoices.settled import CreditStatement, Settled
from synaxis_billing.organizations.profile import TaxCategory


class InvoiceDocument(Answer):
    """`number` is None for a draft. The period is half-open; its days are those of the customer's
    time zone. `exchange_rate` is in units of the billing currency per US dollar. `locale` is
    BCP 47.
    """

    id: UUID
    kind: Literal["invoice", "topup", "statement", "credit_note"] = "invoice"
    number: str | None
    corrects_number: str | None = None
    status: str
    period_start: Time
    period_end: Time
    first_day: date
    last_day: date
    billing_currency: str
    minor_units: int
    exchange_rate: Money
    rate_source: str
    rate_as_of: Time
    line_items: tuple[LineItem, ...]
    further_lines: FurtherLines | None = None
    subtotal_usd: Money
    tax_usd: Money
    total_amount_usd: Money
    subtotal_billing_currency: Money
    tax_billing_currency: Money
    total_amount_billing_currency: Money
    settled: tuple[Settled, ...] = ()
    amount_due_usd: Money
    amount_due_billing_currency: Money
    credit: CreditStatement | None = None
    tax_label: str | None
    tax_rate_percent: str | None
    tax_category: TaxCategory = "standard"
    seller: Seller
    customer: Customer
    locale: str
    payment_terms_days: int
    issued_at: Time | None
    issue_date: date | None
    due_date: date | None
    paid_at: Time | None = None

    @property
    def shows_tax(self) -> bool:
        """Whether there is a tax to show, if only one of zero. A statement has none: the tax was on
        the sale of the credit."""
        if self.tax_billing_currency:
            return True
        return (
            self.tax_label is not None
            and self.tax_category == "standard"
            and self.kind != "statement"
        )
