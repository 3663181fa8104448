"""One example of what each webhook tells."""

from typing import Any

from local.openapi import credit_story, invoice_story, payment_story, story

WEBHOOKS: dict[str, dict[str, Any]] = {
    "invoice.issued": invoice_story.INVOICE_DATA,
    "invoice.paid": {
        **invoice_story.INVOICE_DATA,
        "status": "paid",
        "paid_at": invoice_story.PAID["paid_at"],
    },
    "invoice.overdue": {**invoice_story.INVOICE_DATA, "status": "overdue"},
    "invoice.cancelled": {**invoice_story.INVOICE_DATA, "status": "cancelled"},
    "credit_note.issued": {
        "organization_id": story.ORGANIZATION_ID,
        "credit_note_id": story.NOTE_ID,
        "credit_note_number": invoice_story.NOTE["credit_note_number"],
        "invoice_id": story.INVOICE_ID,
        "invoice_number": invoice_story.INVOICE["invoice_number"],
        "total_amount_usd": invoice_story.NOTE["total_amount_usd"],
        "billing_currency": "EUR",
        "total_amount_billing_currency": invoice_story.NOTE["total_amount_billing_currency"],
        "transaction_id": None,
    },
    "balance.low": story.LOW_BALANCE,
    "balance.runs_out": story.RUNS_OUT_DATA,
    "balance.exhausted": credit_story.EXHAUSTED_BALANCE,
    "grant.created": credit_story.GRANT_DATA,
    "grant.expiring": credit_story.GRANT_DATA,
    "grant.expired": {
        **credit_story.GRANT_DATA,
        "expired_usd": "5.00",
        "transaction_id": credit_story.VOID["id"],
    },
    "budget.alert": {**story.BUDGET_DATA, "spent_usd": "40.01", "percent": 80},
    "budget.exceeded": {**story.BUDGET_DATA, "spent_usd": "49.99", "required_usd": "0.0225"},
    "payment.succeeded": payment_story.PAYMENT_DATA,
    "payment.failed": {
        **payment_story.PAYMENT_DATA,
        "status": "failed",
        "credited_usd": "0.00",
        "failure_code": "card_declined",
        "transaction_id": None,
    },
    "payment.refunded": {**payment_story.PAYMENT_DATA, "refunded": "43.79"},
    "payment.disputed": {
        **payment_story.PAYMENT_DATA,
        "disputed": "109.48",
        "dispute_state": "open",
    },
    "auto_topup.paused": {
        "organization_id": story.ORGANIZATION_ID,
        "reason": "expired_card",
        "declines": 1,
        "payment_id": payment_story.PAYMENT_ID,
    },
}
