"""The records of one organization's story, of which the examples of the document are made."""

REQUEST_ID = "f4b1c1f0-7d3f-4a57-9a52-0d3f6c2b8e11"
ORGANIZATION_ID = "3f1f8a52-6a0e-4c39-9d5a-0c8f1f4f7d10"
TOPUP_ID = "0b1c7e0e-3f59-4d0f-8a57-3c1a4e9f6b21"
CHARGE_ID = "5d2a9c44-1e7b-4f63-b0d8-92c64a7e3f32"
CAPTURE_ID = "a86e3f17-94c2-4b0d-8e35-71f0d9b2c643"
REFUND_ID = "c91d4b60-2f8a-4e17-a3c6-58e7b0d1f954"
HOLD_ID = "7e4c2d91-b5a3-4f08-9c16-e3d8a2f7b065"
INVOICE_ID = "d27f9e35-8c41-4a6b-b9e0-14f5c3a8d776"
NOTE_ID = "e58b1a70-6d93-4c2f-8f74-a0b9d6e2c187"
BUDGET_ID = "2b9f5c84-6e1d-4a73-8c05-d3e7f1a8b6c9"
ENDPOINT_ID = "19c8e6d4-7b2f-4a50-9e83-f6d1c0a5b298"
EVENT_ID = "48a7d3f2-c5e1-4b96-8d0a-b7e4f9c2a3a9"
SPEND_LOG_ID = "92e6b8c1-3d7f-4e05-a4b2-c8f0d5a1e7ba"
TEAM_ID = "6c3f0d85-e9b7-4a21-9f48-d2a6c7e1b0cb"
PRICE_ID = "8f2b6d17-3c5e-4a94-b1f8-d0e7a6c4b3ed"
UNPRICED_ID = "f1d84c3a-7b60-4e29-95ad-6c0b8e2f7a1d"
GRANT_ID = "4e9b1c7d-a3f5-4d82-b6e0-c7f8d1a2b4fd"
KEY_ID = "b70d5e29-4f8c-4d13-8a96-e1c3f7b9d2dc"

USAGE = {
    "request_id": "chatcmpl-B7xQ2",
    "team_id": TEAM_ID,
    "virtual_key_id": KEY_ID,
    "end_user": "user-4711",
    "model": "gpt-4o",
    "provider": "openai",
    "tokens": 1840,
    "region": "eu-central-1",
    "metadata": {"trace": "7f3a9c"},
}
# 1,000 input tokens of 2.50 and 1,250 output tokens of 10.00 US dollars per million are 0.015.
PROVIDER_USAGE = {"format": "openai", "prompt_tokens": 1000, "completion_tokens": 1250}
BUCKETS = {"input": 1000, "output": 1250}
PRICE = {
    "id": PRICE_ID,
    "organization_id": None,
    "provider": "openai",
    "model": "gpt-4o",
    "effective_from": "2026-01-01T00:00:00Z",
    "recorded_at": "2025-12-20T09:00:00Z",
    "source": "litellm",
    "rates": [
        {
            "bucket": bucket,
            "service_tier": "standard",
            "above_input_tokens": 0,
            "usd_per_million": rate,
        }
        for bucket, rate in (("cache_read", "1.25"), ("input", "2.50"), ("output", "10.00"))
    ],
}
PRICED = {
    "usage": BUCKETS,
    "service_tier": "standard",
    "price_id": PRICE_ID,
    "price_multiplier": "1.00",
}
NO_PRICE = dict.fromkeys(PRICED)
QUOTE = {
    "amount_usd": "0.015",
    "lines": [
        {
            "bucket": bucket,
            "tokens": BUCKETS[bucket],
            "usd_per_million": rate,
            "amount_usd": amount,
            "rate": {"bucket": bucket, "service_tier": "standard", "above_input_tokens": 0},
        }
        for bucket, rate, amount in (("input", "2.50", "0.0025"), ("output", "10.00", "0.0125"))
    ],
    "tokens": 2250,
    "price_id": PRICE_ID,
    "provider": "openai",
    "model": "gpt-4o",
    "source": "litellm",
    "service_tier": "standard",
    "price_multiplier": "1.00",
}
UNPRICED = {
    "status": "unpriced",
    "id": UNPRICED_ID,
    "organization_id": ORGANIZATION_ID,
    "provider": "openai",
    "model": "gpt-4o-2026-02-14",
    "service_tier": "standard",
    "usage": BUCKETS,
    "request_id": "chatcmpl-B7xQ3",
    "reference_id": None,
    "idempotency_key": "chatcmpl-B7xQ3",
    "created_at": "2026-02-14T08:10:00Z",
}
NO_USAGE = dict.fromkeys(("reference_id", *USAGE))
TAX = {
    "label": "VAT",
    "rate_percent": "19",
    "tax_id": "DE123456789",
    "category": "standard",
}
ADDRESS = {
    "line1": "Musterstraße 1",
    "line2": None,
    "postal_code": "10115",
    "city": "Berlin",
    "state": None,
    "country": "DE",
}
PROFILE = {
    "name": "Acme GmbH",
    "external_id": "customer-42",
    "email": "billing@acme.example",
    "credit_limit_usd": "0.00",
    "billing_currency": "EUR",
    "timezone": "Europe/Berlin",
    "region": "eu-central-1",
    "low_balance_threshold_usd": "10.00",
    "runs_out_alert_days": 14,
    "tax": TAX,
    "address": ADDRESS,
    "buyer_reference": "PO-4711",
    "locale": "de-DE",
    "payment_terms_days": 30,
    "price_multiplier": "1.00",
}
ORGANIZATION = {
    "id": ORGANIZATION_ID,
    "status": "active",
    "suspended_because": None,
    **PROFILE,
    "created_at": "2026-02-01T08:00:00Z",
}
TOPUP = {
    **NO_USAGE,
    **NO_PRICE,
    "occurred_at": None,
    "id": TOPUP_ID,
    "organization_id": ORGANIZATION_ID,
    "transaction_type": "topup",
    "amount_usd": "100.00",
    "balance_before_usd": "0.00",
    "balance_after_usd": "100.00",
    "version": 1,
    "drawn_usd": "0.00",
    "description": "Prepaid credit",
    "reference_id": "pi_3QxKf2",
    "initiated_by": "anna@acme.example",
    "hold_id": None,
    "refunded_transaction_id": None,
    "grant_id": None,
    "hash": "6f0e8b7c5d3a19284f7b6c0d9e1a3f5582c4d6e7f8091a2b3c4d5e6f70819203",
    "created_at": "2026-02-01T08:05:00Z",
}
CHARGE = {
    **TOPUP,
    "id": CHARGE_ID,
    "transaction_type": "charge",
    "amount_usd": "-0.0225",
    "balance_before_usd": "100.00",
    "balance_after_usd": "99.9775",
    "version": 2,
    "description": "Chat completion",
    "initiated_by": "gateway",
    "reference_id": None,
    **USAGE,
    "hash": "1d9f2e8a7b6c5d4e3f20918273645546372819a0b1c2d3e4f5061728394a5b6c",
    "created_at": "2026-02-01T08:10:00Z",
}
CAPTURE = {
    **CHARGE,
    **PRICED,
    "tokens": 2250,
    "id": CAPTURE_ID,
    "amount_usd": "-0.015",
    "balance_before_usd": "99.9775",
    "balance_after_usd": "99.9625",
    "version": 3,
    "drawn_usd": "0.0225",
    "hold_id": HOLD_ID,
    "hash": "84c6a2e0f1b3d5978695a4b3c2d1e0f90817263544536271809f8e7d6c5b4a39",
    "created_at": "2026-02-01T08:12:30Z",
}
REFUND = {
    **CHARGE,
    **NO_USAGE,
    "id": REFUND_ID,
    "transaction_type": "refund",
    "amount_usd": "0.0225",
    "balance_before_usd": "99.9625",
    "balance_after_usd": "99.985",
    "version": 4,
    "drawn_usd": "0.0375",
    "description": "The answer was empty",
    "refunded_transaction_id": CHARGE_ID,
    "hash": "b5e7c9d1a3f50617283940516273849506a7b8c9d0e1f2031425364758697a8b",
    "created_at": "2026-02-01T09:00:00Z",
}
ADJUSTMENT = {
    **REFUND,
    "id": "2a6d8f1b-5c93-4e70-8b4d-f7e0a9c3d6ed",
    "transaction_type": "adjustment",
    "amount_usd": "5.00",
    "balance_before_usd": "99.985",
    "balance_after_usd": "104.985",
    "version": 5,
    "description": "Goodwill after the outage of 1 February",
    "refunded_transaction_id": None,
    "hash": "c0d2e4f608192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3",
    "created_at": "2026-02-02T10:00:00Z",
}
HOLD = {
    "id": HOLD_ID,
    "organization_id": ORGANIZATION_ID,
    "amount_usd": "0.02",
    "status": "held",
    "expires_at": "2026-02-01T08:27:00Z",
    "captured_usd": None,
    "transaction_id": None,
    "description": "Chat completion, streamed",
    "reference_id": None,
    "initiated_by": "gateway",
    **USAGE,
    "tokens": None,
    "created_at": "2026-02-01T08:12:00Z",
}
SPEND_LOG = {
    "id": SPEND_LOG_ID,
    "organization_id": ORGANIZATION_ID,
    "transaction_id": None,
    "amount_usd": "0.0225",
    "reference_id": None,
    **USAGE,
    **NO_PRICE,
    "created_at": "2026-02-01T08:10:00Z",
}
CHARGE_REQUEST = {"amount_usd": "0.0225", "description": "Chat completion", **USAGE}
RATE = {
    "rate": "0.92",
    "as_of": "2026-02-28T15:00:00Z",
    "source": "ecb",
    "stale": False,
}
USAGE_EVENT = {
    "specversion": "1.0",
    "type": "com.synaxis.usage.v1",
    "source": "gateway.example.com/eu-1",
    "id": "chatcmpl-B7xQ2",
    "subject": "customer-42",
    "time": "2026-02-01T08:09:58Z",
    "data": CHARGE_REQUEST,
}
EVENT_CHARGE = {**CHARGE, "occurred_at": USAGE_EVENT["time"]}
TRACES = {
    "resourceSpans": [
        {
            "resource": {
                "attributes": [
                    {"key": "synaxis.organization", "value": {"stringValue": "customer-42"}}
                ]
            },
            "scopeSpans": [],
        }
    ]
}
TRACES_ANSWER = {"partialSuccess": {"rejectedSpans": "0", "errorMessage": ""}}
REFUSED_EVENT = {
    "id": "0d6a1f3b-58c2-4e97-b0d4-7a9e2c8f1b36",
    "organization_id": ORGANIZATION_ID,
    "source": "gateway.example.com/eu-1",
    "event_id": "chatcmpl-A0aB1",
    "subject": "customer-42",
    "event": {**USAGE_EVENT, "id": "chatcmpl-A0aB1", "time": "2025-12-01T08:09:58Z"},
    "code": "event_too_late",
    "error": {
        "type": "urn:synaxis-billing:problem:event_too_late",
        "title": "Event too late",
        "status": 422,
        "detail": "The event is older than 35 days. It was kept among the refused events.",
        "code": "event_too_late",
    },
    "times": 1,
    "created_at": "2026-02-01T08:10:00Z",
    "refused_at": "2026-02-01T08:10:00Z",
}
ENDPOINT = {
    "id": ENDPOINT_ID,
    "organization_id": ORGANIZATION_ID,
    "url": "https://acme.example/billing-events",
    "types": ["invoice.issued", "balance.low"],
    "enabled": True,
    "failing_since": None,
    "disabled_at": None,
    "disabled_because": None,
    "created_at": "2026-02-01T08:20:00Z",
}
SECRET = {"secret": "whsec_ZXhhbXBsZSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcw=="}
LOW_BALANCE = {
    "organization_id": ORGANIZATION_ID,
    "balance_usd": "9.9975",
    "low_balance_threshold_usd": "10.00",
    "version": 812,
}
EVENT = {
    "id": EVENT_ID,
    "type": "balance.low",
    "created_at": "2026-02-20T17:45:00Z",
    "data": LOW_BALANCE,
    "deliveries": [
        {
            "endpoint_id": ENDPOINT_ID,
            "status": "delivered",
            "attempts": 1,
            "attempted_at": "2026-02-20T17:45:31Z",
            "next_attempt_at": None,
            "status_code": 200,
            "error": None,
        }
    ],
}
FAMILY = {
    "l1_hits": 940,
    "l2_hits": 41,
    "misses": 19,
    "hit_ratio": 0.981,
    "fenced": 2,
    "stale": 0,
    "unreachable": 0,
}
SPEND = {
    "amount_usd": "12.50",
    "tokens": 941000,
    "requests": 512,
    "input_tokens": 702000,
    "cached_tokens": 96000,
    "output_tokens": 143000,
    "cost_usd": "11.25",
    "margin_usd": "1.25",
}
RUNS_OUT = {"expected": "2026-03-16", "earliest": "2026-03-09", "latest": None}
RUNS_OUT_DATA = {
    "organization_id": ORGANIZATION_ID,
    **RUNS_OUT,
    "available_usd": "99.96",
    "runs_out_alert_days": 14,
}
BAND = {"expected_usd": "5.93", "low_usd": "3.10", "high_usd": "9.84"}
EXPECTED_SPEND = {
    "made_at": "2026-02-27T23:05:11Z",
    "method": "weekday index x exponential smoothing, adaptive conformal band",
    "daily": [{**BAND, "day": "2026-02-28"}],
    "total": BAND,
    "record": {"days": 90, "mase": 0.81, "coverage": 0.7889},
    "confidence": "normal",
}
FORECAST = {**EXPECTED_SPEND, "runs_out": RUNS_OUT, "money_at_risk": []}
BUDGET = {
    "id": BUDGET_ID,
    "organization_id": ORGANIZATION_ID,
    "subject": "virtual_key",
    "subject_id": KEY_ID,
    "subject_name": None,
    "window": "month",
    "limit_usd": "50.00",
    "burst_usd": None,
    "mode": "hard",
    "alert_percents": [80, 100],
    "spent_usd": "0.0225",
    "held_usd": "0.02",
    "remaining_usd": "49.9575",
    "window_start": "2026-01-31T23:00:00Z",
    "resets_at": "2026-02-28T23:00:00Z",
    "created_at": "2026-02-01T08:00:00Z",
}
BUDGET_DATA = {
    "organization_id": ORGANIZATION_ID,
    "budget_id": BUDGET_ID,
    "subject": "virtual_key",
    "window": "month",
    "mode": "hard",
    "limit_usd": "50.00",
    "held_usd": "0.00",
    "resets_at": "2026-02-28T23:00:00Z",
}
HEALTH = {"database": "ok", "cache": "ok", "rates": "ok"}
