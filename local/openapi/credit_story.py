"""The grants of the organization in story.py, and what events tell about its credit."""

import hashlib

from local.openapi.story import (
    ADJUSTMENT,
    BUDGET_ID,
    CHARGE,
    CHARGE_ID,
    GRANT_ID,
    INVOICE_ID,
    KEY_ID,
    ORGANIZATION_ID,
    REFUND,
)

VOID = {
    **ADJUSTMENT,
    "id": "7b3e9f2c-6d04-4f81-9c5e-a8f1b0d4c7fe",
    "transaction_type": "void",
    "amount_usd": "-5.00",
    "balance_before_usd": "109.985",
    "balance_after_usd": "104.985",
    "version": 7,
    "description": None,
    "grant_id": GRANT_ID,
    "hash": "d1e3f5a708192b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4",
    "created_at": "2026-02-20T10:00:00Z",
}
GRANT = {
    "id": GRANT_ID,
    "organization_id": ORGANIZATION_ID,
    "kind": "promotional",
    "status": "active",
    "amount_usd": "5.00",
    "remaining_usd": "5.00",
    "frozen_usd": "0.00",
    "priority": 50,
    "effective_at": "2026-02-03T09:00:00Z",
    "expires_at": "2026-02-28T23:00:00Z",
    "cost_basis_usd": "0.00",
    "paid": None,
    "origin_id": None,
    "schedule_id": GRANT_ID,
    "transaction_id": "8c4f0a3d-7e15-4a92-8d6f-b9a2c1e5d80f",
    "created_at": "2026-02-03T09:00:00Z",
}
EXHAUSTED_BALANCE = {
    "organization_id": ORGANIZATION_ID,
    "available_usd": "0.01",
    "required_usd": "0.0225",
}
GRANT_DATA = {
    "organization_id": ORGANIZATION_ID,
    "grant_id": GRANT_ID,
    **{
        name: GRANT[name]
        for name in ("kind", "amount_usd", "remaining_usd", "effective_at", "expires_at")
    },
}
PERSONAL_TEXT = (
    '["9c1b4f7e-52d8-4a36-8e07-b1d5c9f3a2e4", "Chat completion", "gateway", "user-4711",'
    ' {"trace": "7f3a9c"}]'
)
PERSONAL_DIGEST = hashlib.sha256(PERSONAL_TEXT.encode()).hexdigest()
TEXT = (
    f'["{CHARGE_ID}", "{ORGANIZATION_ID}", "2", "charge", "-0.02250000", "100.00000000",'
    f' "99.97750000", null, null, null, "{PERSONAL_DIGEST}", "1769933400000000", "0.00000000",'
    " null, null]"
)
PREVIOUS_HASH = "6f0e8b7c5d3a19284f7b6c0d9e1a3f5582c4d6e7f8091a2b3c4d5e6f70819203"
HASH = hashlib.sha256(bytes.fromhex(PREVIOUS_HASH) + TEXT.encode()).hexdigest()
RECEIPT = {
    "transaction": {**CHARGE, "hash": HASH},
    "price": None,
    "hold": None,
    "grants": [
        {
            "grant_id": "2d8e5a1f-9b74-4c60-8e3d-f6a0b7c9d1ea",
            "kind": "paid",
            "payment_id": None,
            "amount_usd": "0.0225",
        }
    ],
    "debt_usd": "0.00",
    "budgets": [
        {
            "id": BUDGET_ID,
            "subject": "virtual_key",
            "subject_id": KEY_ID,
            "window": "month",
            "limit_usd": "50.00",
        }
    ],
    "refunds": [REFUND],
    "invoice": {
        "id": INVOICE_ID,
        "number": "INV-2026-000001",
        "kind": "usage",
        "status": "issued",
    },
    "proof": {
        "previous_hash": PREVIOUS_HASH,
        "hash": HASH,
        "text": TEXT,
        "personal_text": PERSONAL_TEXT,
    },
}
