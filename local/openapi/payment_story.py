"""The payments of the examples."""

from typing import Any

from local.openapi import credit_story, story

PAYMENT_ID = "01935c2e-1b7d-7c3a-9f10-4d2a5b6c7d8e"

PREVIEW: dict[str, Any] = {
    "credit_usd": "100.00",
    "currency": "EUR",
    "net": "92.00",
    "tax": "17.48",
    "amount": "109.48",
    "exchange_rate": "0.92",
    "rate_source": "ecb",
    "rate_as_of": "2026-02-01T15:00:00Z",
    "tax_percent": "19.00",
}
PENDING: dict[str, Any] = {
    "id": PAYMENT_ID,
    "organization_id": story.ORGANIZATION_ID,
    "purpose": "topup",
    "provider": "stripe",
    "status": "pending",
    "invoice_id": None,
    "credit_usd": "100.00",
    "currency": "EUR",
    "amount": "109.48",
    "net": "92.00",
    "tax": "17.48",
    "exchange_rate": "0.92",
    "rate_source": "ecb",
    "rate_as_of": "2026-02-01T15:00:00Z",
    "captured": "0.00",
    "refunded": "0.00",
    "disputed": "0.00",
    "dispute_state": None,
    "fee": None,
    "fee_currency": None,
    "failure_code": None,
    "checkout_url": "https://checkout.stripe.com/c/pay/cs_live_a1",
    "expires_at": "2026-02-02T08:00:00Z",
    "credited_usd": "0.00",
    "paid_out_usd": "0.00",
    "charged_back_usd": "0.00",
    "transaction_id": None,
    "grant_id": None,
    "initiated_by": "ada@example.com",
    "created_at": "2026-02-01T08:00:00Z",
    "updated_at": "2026-02-01T08:00:00Z",
}
PAYMENT: dict[str, Any] = {
    **PENDING,
    "status": "succeeded",
    "captured": "109.48",
    "fee": "1.89",
    "fee_currency": "EUR",
    "checkout_url": None,
    "credited_usd": "100.00",
    "transaction_id": credit_story.VOID["id"],
    "grant_id": story.GRANT_ID,
    "updated_at": "2026-02-01T08:01:10Z",
}
DISPUTED: dict[str, Any] = {
    **PAYMENT,
    "disputed": "109.48",
    "dispute_state": "open",
    "external_id": "cs_live_a1",
}
UNMATCHED: dict[str, Any] = {
    "provider": "stripe",
    "event_id": "evt_1Oxyz",
    "type": "charge.refunded",
    "external_ids": ["ch_3Oxyz", "pi_3Oxyz"],
    "received_at": "2026-02-02T10:00:00Z",
}
REFUND: dict[str, Any] = {
    "id": "01935c2e-5f00-7d11-8a20-6e3b7c8d9e0f",
    "payment_id": PAYMENT_ID,
    "status": "succeeded",
    "currency": "EUR",
    "amount": "43.79",
    "credit_usd": "39.99817318",
    "failure_code": None,
    "initiated_by": "gateway",
    "created_at": "2026-02-03T09:00:00Z",
}
LINK: dict[str, Any] = {
    "invoice_id": story.INVOICE_ID,
    "token": "AZNbLxt9fDqfEE0qW2x9jq8-3GSYb1v2pPGkTn0xTHc",
    "expires_at": "2026-02-10T08:00:00Z",
}
PAYMENT_DATA: dict[str, Any] = {
    "organization_id": story.ORGANIZATION_ID,
    "payment_id": PAYMENT_ID,
    **{
        name: PAYMENT[name]
        for name in (
            *("purpose", "provider", "status", "invoice_id", "currency", "amount", "credited_usd"),
            *("refunded", "disputed", "dispute_state", "failure_code", "transaction_id"),
        )
    },
}

AUTO_TOPUP_REQUEST = {
    "threshold_usd": "20.00",
    "target_usd": "100.00",
    "monthly_limit_usd": "500.00",
}
AUTO_TOPUP: dict[str, Any] = {
    "organization_id": story.ORGANIZATION_ID,
    **AUTO_TOPUP_REQUEST,
    "charged_this_month_usd": "80.01",
    "card": "visa 4242",
    "declines": 0,
    "next_attempt_at": None,
    "paused_at": None,
    "paused_reason": None,
    "created_at": "2026-02-01T08:05:00Z",
    "updated_at": "2026-02-01T08:05:00Z",
}


def _page(item: dict[str, Any]) -> tuple[dict[str, Any]]:
    return ({"items": [item], "previous_cursor": None, "next_cursor": None},)


# The answer of each operation, and its request.
OPERATIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "createPayment": (
        PENDING,
        {
            "provider": "stripe",
            "amount_usd": "100.00",
            "return_url": "https://console.example.com/credit",
        },
    ),
    "previewPayment": (PREVIEW, {"amount_usd": "100.00"}),
    "listPayments": _page(PAYMENT),
    "listPlatformPayments": _page(DISPUTED),
    "listUnmatchedPaymentEvents": _page(UNMATCHED),
    "getPayment": (PAYMENT,),
    "createPaymentLink": (LINK, {"expires_in_seconds": 604800}),
    "getPaymentLink": (
        {
            "invoice_id": story.INVOICE_ID,
            "invoice_number": "INV-2026-000042",
            "status": "issued",
            "seller": "Synaxis GmbH",
            "currency": "EUR",
            "amount": "68.43",
            "due_date": "2026-03-03",
            "expires_at": LINK["expires_at"],
        },
    ),
    "payByLink": (
        {
            "status": "pending",
            "checkout_url": PENDING["checkout_url"],
            "expires_at": PENDING["expires_at"],
        },
        {"provider": "stripe", "return_url": "https://console.example.com/paid"},
    ),
    "refundPayment": (REFUND, {"amount_usd": "40.00"}),
    "setAutoTopup": (AUTO_TOPUP, AUTO_TOPUP_REQUEST),
    "getAutoTopup": (AUTO_TOPUP,),
    "deleteAutoTopup": (AUTO_TOPUP,),
}
