"""The examples' invoices, credit notes and revenue."""

from typing import Any

from local.openapi.story import ADDRESS, INVOICE_ID, NOTE_ID, ORGANIZATION_ID, TAX, TOPUP_ID

INVOICE_SUMMARY = {
    "id": INVOICE_ID,
    "organization_id": ORGANIZATION_ID,
    "kind": "usage",
    "transaction_id": None,
    "invoice_number": "INV-2026-000001",
    "status": "issued",
    "period_start": "2026-01-31T23:00:00Z",
    "period_end": "2026-02-28T23:00:00Z",
    "timezone": "Europe/Berlin",
    "first_day": "2026-02-01",
    "last_day": "2026-02-28",
    "billing_currency": "EUR",
    "minor_units": 2,
    "exchange_rate": "0.92",
    "rate_source": "ecb",
    "rate_as_of": "2026-02-28T15:00:00Z",
    "line_count": 1,
    "subtotal_usd": "12.50",
    "tax_usd": "1.90",
    "total_amount_usd": "14.40",
    "subtotal_billing_currency": "11.50",
    "tax_billing_currency": "1.75",
    "total_amount_billing_currency": "13.25",
    "settled": [
        {"kind": "promotional", "amount_usd": "2.50", "amount_billing_currency": "2.30"},
    ],
    "amount_due_usd": "11.90",
    "amount_due_billing_currency": "10.95",
    "credit": {
        "opening_balance_usd": "0.00",
        "purchased_usd": "0.00",
        "granted_usd": "2.50",
        "refunded_usd": "0.00",
        "used_usd": "12.50",
        "expired_usd": "0.00",
        "paid_out_usd": "0.00",
        "closing_balance_usd": "-10.00",
    },
    "tax": TAX,
    "seller": {
        "name": "Synaxis GmbH",
        "address": "Beispielweg 2, 20095 Hamburg, Germany",
        "tax_id": "DE987654321",
        "email": "billing@synaxis.example",
        "payment_details": "IBAN DE02 1203 0000 0000 2020 51",
    },
    "customer": {
        "number": "customer-42",
        "name": "Acme GmbH",
        "address": ADDRESS,
        "tax_id": "DE123456789",
        "reference": "PO-4711",
    },
    "locale": "de-DE",
    "payment_terms_days": 30,
    "issued_at": "2026-03-01T13:00:00Z",
    "issue_date": "2026-03-01",
    "due_date": "2026-03-31",
    "paid_at": None,
    "created_at": "2026-03-01T13:00:00Z",
    "updated_at": "2026-03-01T13:00:00Z",
}
LINE = {
    "description": "gpt-4o (openai)",
    "model": "gpt-4o",
    "provider": "openai",
    "requests": 512,
    "tokens": 941000,
    "amount_usd": "12.50",
    "amount_billing_currency": "11.50",
}
INVOICE = {**INVOICE_SUMMARY, "line_items": [LINE], "further_lines": None}
DRAFT = {
    **INVOICE,
    "invoice_number": None,
    "status": "draft",
    "issued_at": None,
    "issue_date": None,
    "due_date": None,
}
TOPUP_INVOICE = {
    **INVOICE,
    "kind": "topup",
    "transaction_id": TOPUP_ID,
    "status": "paid",
    "period_start": "2026-03-01T09:00:00Z",
    "period_end": "2026-03-01T09:00:00Z",
    "first_day": "2026-03-01",
    "last_day": "2026-03-01",
    "subtotal_usd": "100.00",
    "tax_usd": "19.00",
    "total_amount_usd": "119.00",
    "subtotal_billing_currency": "92.00",
    "tax_billing_currency": "17.48",
    "total_amount_billing_currency": "109.48",
    "settled": [],
    "amount_due_usd": "119.00",
    "amount_due_billing_currency": "109.48",
    "credit": None,
    "line_items": [
        {
            "description": "Prepaid credit",
            "model": None,
            "provider": None,
            "requests": 0,
            "tokens": 0,
            "amount_usd": "100.00",
            "amount_billing_currency": "92.00",
        }
    ],
    "due_date": None,
    "paid_at": "2026-03-01T09:00:00Z",
}
PAID = {
    **INVOICE,
    "status": "paid",
    "paid_at": "2026-03-20T09:30:00Z",
    "updated_at": "2026-03-20T09:31:00Z",
}
NOTE = {
    "id": NOTE_ID,
    "organization_id": ORGANIZATION_ID,
    "invoice_id": INVOICE_ID,
    "credit_note_number": "CN-2026-000001",
    "issue_date": "2026-03-05",
    "reason": "Charged at last month's price",
    "subtotal_usd": "6.25",
    "tax_usd": "1.1875",
    "total_amount_usd": "7.4375",
    "subtotal_billing_currency": "5.75",
    "tax_billing_currency": "1.09",
    "total_amount_billing_currency": "6.84",
    "transaction_id": None,
    "corrected_invoice_id": None,
    "created_at": "2026-03-05T10:00:00Z",
}
REVENUE = {
    "opening_deferred_usd": "40.00",
    "sold_usd": "100.00",
    "recognized_usd": "62.50",
    "breakage_usd": "7.50",
    "paid_out_usd": "0.00",
    "closing_deferred_usd": "70.00",
    "promotional_used_usd": "2.50",
    "debt_usd": "10.00",
    "invoiced_usd": "0.00",
    "overdue_usd": "0.00",
}
INVOICE_DATA = {
    "organization_id": ORGANIZATION_ID,
    "invoice_id": INVOICE_ID,
    **{
        name: INVOICE[name]
        for name in (
            *("invoice_number", "kind", "status", "period_start", "period_end"),
            *("total_amount_usd", "billing_currency", "total_amount_billing_currency"),
            *("amount_due_usd", "amount_due_billing_currency", "due_date", "paid_at"),
        )
    },
}
REVENUE_OF_MONTH = {
    "month": "2026-02",
    "closed": True,
    "total": REVENUE,
    "journal": [
        {
            "date": "2026-02-28",
            "debit": debit,
            "credit": credit,
            "amount_usd": REVENUE[f"{source}_usd"],
            "source": source,
        }
        for debit, credit, source in (
            ("cash", "deferred_revenue", "sold"),
            ("deferred_revenue", "revenue", "recognized"),
            ("deferred_revenue", "breakage_revenue", "breakage"),
            ("deferred_revenue", "cash", "paid_out"),
        )
    ],
    "items": [{**REVENUE, "organization_id": ORGANIZATION_ID}],
}

DOCUMENT_LINK: tuple[dict[str, Any], dict[str, Any]] = (
    {"url": "/v1/documents/AZNUtQhbfDLQvy98...", "expires_at": "2026-03-02T08:05:00Z"},
    {"invoice_id": INVOICE["id"], "format": "pdf"},
)
