"""Webhook events: the body of each, as a change records it (events.sql) and an endpoint gets it."""

from datetime import date
from typing import Literal
from uuid import UUID

from synaxis_billing.budgets.budgets import BudgetMode, BudgetSubject, BudgetWindow
from synaxis_billing.fields import Answer, Money, Time


class WebhookBody(Answer):
    """The body of a webhook, signed as Standard Webhooks says."""

    timestamp: Time
    """Time of the change that caused the event."""


class InvoiceData(Answer):
    """An invoice that took a new state."""

    organization_id: UUID
    invoice_id: UUID
    """Id of the invoice."""
    invoice_number: str
    """Number of the invoice."""
    kind: Literal["usage", "topup"]
    """Usage of a period, or the sale of credit."""
    status: Literal["issued", "paid", "overdue", "cancelled"]
    """State that the invoice took."""
    period_start: Time
    """Start of the period (inclusive)."""
    period_end: Time
    """End of the period (exclusive)."""
    total_amount_usd: Money
    """Net amount and tax in US dollars."""
    billing_currency: str
    """ISO 4217 code of the billing currency."""
    total_amount_billing_currency: Money
    """Net amount and tax in the billing currency."""
    amount_due_usd: Money
    """What the invoice asks for, in US dollars."""
    amount_due_billing_currency: Money
    """What the invoice asks for in the billing currency."""
    due_date: date | None
    """Day until which to pay, in the time zone of the organization; null when nothing is left to
    pay."""
    paid_at: Time | None
    """Time of the payment; null until then."""


class CreditNoteData(Answer):
    """A credit note that was issued."""

    organization_id: UUID
    credit_note_id: UUID
    """Id of the credit note."""
    credit_note_number: str
    """Number of the credit note."""
    invoice_id: UUID
    """Id of the invoice that is credited."""
    invoice_number: str
    """Number of the invoice that is credited."""
    total_amount_usd: Money
    """Net amount and tax in US dollars."""
    billing_currency: str
    """ISO 4217 code of the billing currency."""
    total_amount_billing_currency: Money
    """Net amount and tax in the billing currency."""
    transaction_id: UUID | None
    """Id of the transaction that gave the credit back; null without `refund_credit`."""


class LowBalanceData(Answer):
    """A balance that became less than its threshold."""

    organization_id: UUID
    balance_usd: Money
    """Balance in US dollars."""
    low_balance_threshold_usd: Money
    """The threshold in US dollars."""
    version: int
    """Number of the transaction that took the balance below the threshold."""


class RunsOutData(Answer):
    """Credit that the forecast of today's spend may exceed soon."""

    organization_id: UUID
    earliest: date
    """Day of the run-out by the upper bound of the spend, in the time zone of the organization."""
    expected: date | None
    """Day of the run-out by the expected spend; null if it is not within 90 days."""
    latest: date | None
    """Day of the run-out by the lower bound of the spend; null if it is not within 90 days."""
    available_usd: Money
    """Credit in US dollars that could be charged when the forecast was made."""
    runs_out_alert_days: int
    """The days of the profile, which are more than are left until `earliest`."""


class GrantData(Answer):
    """A credit grant."""

    organization_id: UUID
    grant_id: UUID
    """Id of the grant."""
    kind: Literal["paid", "promotional", "adjustment", "refund"]
    """Where the credit comes from."""
    amount_usd: Money
    """Amount in US dollars."""
    remaining_usd: Money
    """What was left before the event, in US dollars."""
    effective_at: Time
    """Instant from which the credit can be used."""
    expires_at: Time | None
    """Instant from which what is left is gone; null for never."""


class ExpiredGrantData(GrantData):
    """A credit grant with credit that has expired."""

    expired_usd: Money
    """Credit in US dollars that is gone."""
    transaction_id: UUID
    """Id of the transaction that took it."""


class ExhaustedBalanceData(Answer):
    """A request that the credit did not cover."""

    organization_id: UUID
    available_usd: Money
    """Credit in US dollars that was available."""
    required_usd: Money
    """Credit in US dollars that the request needed."""


class BudgetData(Answer):
    """A budget, and what it contained. It names no person; get the budget for its subject."""

    organization_id: UUID
    budget_id: UUID
    """Id of the budget."""
    subject: BudgetSubject
    """What the budget is of."""
    window: BudgetWindow
    """How long it counts."""
    mode: BudgetMode
    """Whether it refuses what exceeds it, or only alerts."""
    limit_usd: Money
    """The most that may be spent and held: the limit, or the burst of a rate."""
    spent_usd: Money
    """What was spent in the window."""
    held_usd: Money
    """What open holds reserved."""
    resets_at: Time | None
    """The time at which nothing counts as spent any more; null if there is none."""


class BudgetAlertData(BudgetData):
    """A budget of which a percentage was spent."""

    percent: int
    """The percentage of the limit."""


class BudgetExceededData(BudgetData):
    """A budget that refused a request."""

    required_usd: Money
    """What the request needed."""


class AutoTopupData(Answer):
    """Automatic top-ups that are paused."""

    organization_id: UUID
    reason: str
    """The code of the last decline in the provider's words, or `dispute_lost`."""
    declines: int
    """How often the card was declined in a row."""
    payment_id: UUID
    """Id of the payment that failed, or was disputed."""


class PaymentData(Answer):
    """A payment. Amounts without `_usd` are in its currency."""

    organization_id: UUID
    payment_id: UUID
    """Id of the payment."""
    purpose: Literal["topup", "auto_topup", "invoice"]
    """What is paid for."""
    provider: Literal["stripe", "paypal"]
    """Who takes the money."""
    status: Literal["succeeded", "failed"]
    """State of the payment."""
    invoice_id: UUID | None
    """Id of the invoice that is paid; null for credit."""
    currency: str
    """ISO 4217 code of the currency in which it is paid."""
    amount: Money
    """What the payer was asked for, with tax."""
    credited_usd: Money
    """Credit that it has brought, in US dollars."""
    refunded: Money
    """What went back to the payer so far."""
    disputed: Money
    """What the payer disputes, or has won by a dispute."""
    dispute_state: Literal["open", "won", "lost"] | None
    """State of the dispute; null if there was none."""
    failure_code: str | None
    """Why the payment failed, in the provider's words."""
    transaction_id: UUID | None
    """Id of the top-up; null for a payment that failed."""


class InvoiceIssued(WebhookBody):
    """An invoice was issued and has its number. A statement, and the invoice of a top-up, is paid
    then."""

    type: Literal["invoice.issued"]
    data: InvoiceData


class InvoicePaid(WebhookBody):
    """An invoice was marked as paid."""

    type: Literal["invoice.paid"]
    data: InvoiceData


class InvoiceOverdue(WebhookBody):
    """An invoice was not paid by its due date."""

    type: Literal["invoice.overdue"]
    data: InvoiceData


class InvoiceCancelled(WebhookBody):
    """An issued invoice was cancelled: it was credited in full, or it asked for nothing."""

    type: Literal["invoice.cancelled"]
    data: InvoiceData


class CreditNoteIssued(WebhookBody):
    """An invoice was credited, whole or in part."""

    type: Literal["credit_note.issued"]
    data: CreditNoteData


class BalanceLow(WebhookBody):
    """A balance became less than its threshold; sent once per crossing."""

    type: Literal["balance.low"]
    data: LowBalanceData


class BalanceRunsOut(WebhookBody):
    """The forecast's earliest run-out came near; sent once per approach."""

    type: Literal["balance.runs_out"]
    data: RunsOutData


class BalanceExhausted(WebhookBody):
    """Credit did not cover a request; sent once until credit comes."""

    type: Literal["balance.exhausted"]
    data: ExhaustedBalanceData


class GrantCreated(WebhookBody):
    """Promotional credit was granted, or the next grant of a recurring one was scheduled."""

    type: Literal["grant.created"]
    data: GrantData


class GrantExpiring(WebhookBody):
    """What is left of a grant expires in 7 days, or in 1 day; sent once for each."""

    type: Literal["grant.expiring"]
    data: GrantData


class GrantExpired(WebhookBody):
    """Credit of a grant expired."""

    type: Literal["grant.expired"]
    data: ExpiredGrantData


class BudgetAlert(WebhookBody):
    """A budget has spent a percentage of its limit; sent once per percentage and window."""

    type: Literal["budget.alert"]
    data: BudgetAlertData


class BudgetExceeded(WebhookBody):
    """A budget refused a charge or a hold; sent for the first refusal of a window."""

    type: Literal["budget.exceeded"]
    data: BudgetExceededData


class PaymentSucceeded(WebhookBody):
    """A payment brought credit, or paid an invoice."""

    type: Literal["payment.succeeded"]
    data: PaymentData


class PaymentFailed(WebhookBody):
    """A payment failed for good; another one may succeed."""

    type: Literal["payment.failed"]
    data: PaymentData


class PaymentRefunded(WebhookBody):
    """Money of a payment went back to the payer, or a refund failed and came back."""

    type: Literal["payment.refunded"]
    data: PaymentData


class PaymentDisputed(WebhookBody):
    """A dispute of a payment was opened, won or lost."""

    type: Literal["payment.disputed"]
    data: PaymentData


class AutoTopupPaused(WebhookBody):
    """Automatic top-ups do not try again before another payment succeeds."""

    type: Literal["auto_topup.paused"]
    data: AutoTopupData


BODIES: dict[str, type[WebhookBody]] = {
    "invoice.issued": InvoiceIssued,
    "invoice.paid": InvoicePaid,
    "invoice.overdue": InvoiceOverdue,
    "invoice.cancelled": InvoiceCancelled,
    "credit_note.issued": CreditNoteIssued,
    "balance.low": BalanceLow,
    "balance.runs_out": BalanceRunsOut,
    "balance.exhausted": BalanceExhausted,
    "grant.created": GrantCreated,
    "grant.expiring": GrantExpiring,
    "grant.expired": GrantExpired,
    "budget.alert": BudgetAlert,
    "budget.exceeded": BudgetExceeded,
    "payment.succeeded": PaymentSucceeded,
    "payment.failed": PaymentFailed,
    "payment.refunded": PaymentRefunded,
    "payment.disputed": PaymentDisputed,
    "auto_topup.paused": AutoTopupPaused,
}
