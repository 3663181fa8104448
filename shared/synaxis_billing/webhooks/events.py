"""Webhook events: the body of each, as a change records it (events.sql) and an endpoint gets it."""

from typing import Literal

from synaxis_billing.fields import Answer, Time
from synaxis_billing.webhooks.event_data import (
    AutoTopupData,
    BudgetAlertData,
    BudgetExceededData,
    CreditNoteData,
    ExhaustedBalanceData,
    ExpiredGrantData,
    GrantData,
    InvoiceData,
    LowBalanceData,
    PaymentData,
    ReminderData,
    RunsOutData,
)


class WebhookBody(Answer):
    """The body of a webhook, signed as Standard Webhooks says."""

    timestamp: Time
    """Time of the change that caused the event."""


class InvoiceIssued(WebhookBody):
    """An invoice was issued and has its number. A statement, and the invoice of a top-up, is paid
    then."""

    type: Literal["invoice.issued"]
    data: InvoiceData


class InvoicePaid(WebhookBody):
    """An invoice was marked as paid."""

    type: Literal["invoice.paid"]
    data: InvoiceData


class InvoicePaymentFailed(WebhookBody):
    """An overdue invoice is still not paid: on days 0, 3, 5 and 7."""

    type: Literal["invoice.payment_failed"]
    data: ReminderData


class InvoiceUncollectible(WebhookBody):
    """An invoice was not paid after the last reminder. It can still be paid."""

    type: Literal["invoice.uncollectible"]
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
    "invoice.payment_failed": InvoicePaymentFailed,
    "invoice.uncollectible": InvoiceUncollectible,
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
