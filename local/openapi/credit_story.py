"""The grants of the organization in story.py, and what events tell about its credit."""

from local.openapi.story import ADJUSTMENT, GRANT_ID, ORGANIZATION_ID

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
