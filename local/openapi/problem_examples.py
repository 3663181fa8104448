"""What problems say in the examples of the document."""

from typing import Any

from local.openapi import story

# What problems say beside their kind.
MEMBERS = {
    "failure_code": "card_declined",
    "available_usd": "0.01",
    "required_usd": "0.0225",
    "deficit_usd": "0.0125",
    "held_usd": "0.02",
    "refundable_usd": "0.01",
    "requested_usd": "9.00",
    "invoice_id": story.INVOICE_ID,
    "creditable_usd": "6.25",
    "budget_id": story.BUDGET_ID,
    "subject": "virtual_key",
    "subject_id": story.KEY_ID,
    "limit_usd": "50.00",
    "spent_usd": "49.99",
    "resets_at": "2026-02-28T23:00:00Z",
    "provider": "openai",
    "model": "gpt-4o",
    "home_region": "eu-central-1",
    "error": "invalid_client",
    "home_endpoint": "https://eu.billing.example.com",
}
# What some problems say, by their code.
PROBLEMS: dict[str, dict[str, Any]] = {
    "invalid_request": {
        "detail": "`amount_usd` must be greater than zero.",
        "errors": [{"in": "body", "pointer": "/amount_usd", "detail": "must be greater than zero"}],
    },
    "idempotency_key_required": {
        "errors": [{"in": "header", "pointer": "/idempotency-key", "detail": "is required"}]
    },
}
