"""One example of each operation's request and answer, and of each webhook."""

from typing import Any, NamedTuple

from local.openapi import (
    client_story,
    credit_story,
    invoice_story,
    payment_story,
    privacy_story,
    story,
)

# Path parameters and headers.
PARAMETERS = {
    "token": payment_story.LINK["token"],
    "organization_id": story.ORGANIZATION_ID,
    "hold_id": story.HOLD_ID,
    "grant_id": story.GRANT_ID,
    "transaction_id": story.CHARGE_ID,
    "invoice_id": story.INVOICE_ID,
    "credit_note_id": story.NOTE_ID,
    "price_id": story.PRICE_ID,
    "budget_id": story.BUDGET_ID,
    "endpoint_id": story.ENDPOINT_ID,
    "client_id": client_story.CLIENT_ID,
    "currency": "EUR",
    "month": "2026-02",
    "Idempotency-Key": "chatcmpl-B7xQ2",
}


class Example(NamedTuple):
    """`answer` is the body of the answer, `request` that of the request if it has one, `other` the
    body of the second status if it differs."""

    answer: dict[str, Any]
    request: dict[str, Any] | None = None
    other: dict[str, Any] | None = None


def _page(item: dict[str, Any]) -> Example:
    return Example({"items": [item], "previous_cursor": None, "next_cursor": None})


_LABEL = {"kind": "team", "id": "team-7", "name": "Search"}
OPERATIONS = {
    "createOrganization": Example(
        story.ORGANIZATION, {"id": story.ORGANIZATION_ID, **story.PROFILE}
    ),
    "getOrganization": Example(story.ORGANIZATION),
    **{name: Example(*parts) for name, parts in payment_story.OPERATIONS.items()},
    "listOrganizations": Example(
        {
            "items": [
                {
                    **story.ORGANIZATION,
                    "balance_usd": "99.9775",
                    "held_usd": "0.02",
                    "available_usd": "99.9575",
                    "spent_7_days_usd": "0.0225",
                    "runs_out": "2026-04-17",
                }
            ],
            "previous_cursor": None,
            "next_cursor": None,
            "totals": {
                "organizations": 1,
                "balance_usd": "99.9775",
                "debt_usd": "0.00",
                "spent_7_days_usd": "0.0225",
            },
        }
    ),
    "putLabel": Example(_LABEL, _LABEL),
    "listLabels": _page(_LABEL),
    "deleteLabel": Example(_LABEL),
    "getBalanceHistory": Example(
        {
            "timezone": "Europe/Berlin",
            "items": [
                {"day": "2026-01-31", "balance_usd": "100.00", "version": 1},
                {"day": "2026-02-01", "balance_usd": "99.9775", "version": 3},
            ],
        }
    ),
    "getTransaction": Example(story.CHARGE),
    "getReceipt": Example(credit_story.RECEIPT),
    "getHold": Example(story.HOLD),
    "listHolds": _page(story.HOLD),
    "updateHold": Example(
        {**story.HOLD, "amount_usd": "0.05", "expires_at": "2026-02-01T08:30:00Z"},
        {"amount_usd": "0.05", "expires_in_seconds": 900},
    ),
    "updateOrganization": Example(
        {**story.ORGANIZATION, "low_balance_threshold_usd": "25.00"},
        {"low_balance_threshold_usd": "25.00"},
    ),
    "setOrganizationHome": Example(
        {
            "organization_id": story.ORGANIZATION_ID,
            "region": "eu-central-1",
            "endpoint": "https://eu.billing.example.com",
        },
        {"region": "eu-central-1"},
    ),
    "getBalance": Example(
        {
            "balance_usd": "99.9775",
            "held_usd": "0.02",
            "frozen_usd": "0.00",
            "available_usd": "99.9575",
            "credit_limit_usd": "0.00",
            "debt_usd": "0.00",
            "expiring": [
                {
                    "grant_id": story.GRANT_ID,
                    "amount_usd": "5.00",
                    "expires_at": "2026-02-28T23:00:00Z",
                }
            ],
            "billing_currency": "EUR",
            "balance": "91.98",
            "exchange_rate": "0.92",
            "rate_as_of": "2026-02-28T15:00:00Z",
            "rate_source": "ecb",
            "rate_stale": False,
        }
    ),
    "createCharge": Example(story.CHARGE, story.CHARGE_REQUEST, story.UNPRICED),
    "createCharges": Example(
        {"results": [{"status": 201, "transaction": story.CHARGE, "replayed": False}]},
        {
            "charges": [
                {
                    "organization_id": story.ORGANIZATION_ID,
                    "idempotency_key": "chatcmpl-B7xQ2",
                    **story.CHARGE_REQUEST,
                }
            ]
        },
    ),
    "createUsageEvents": Example(
        {"results": [{"status": 201, "transaction": story.EVENT_CHARGE, "replayed": False}]},
        story.USAGE_EVENT,
    ),
    "createUsageEventsFromTraces": Example(story.TRACES_ANSWER, story.TRACES),
    "listRefusedUsageEvents": _page(story.REFUSED_EVENT),
    "createHold": Example(
        story.HOLD,
        {
            "amount_usd": "0.02",
            "description": "Chat completion, streamed",
            **{name: of for name, of in story.USAGE.items() if name != "tokens"},
            "expires_in_seconds": 900,
        },
    ),
    "captureHold": Example(
        story.CAPTURE,
        {"usage": story.PROVIDER_USAGE, "provider": "openai", "model": "gpt-4o"},
        story.UNPRICED,
    ),
    "releaseHold": Example({**story.HOLD, "status": "released"}),
    "createSpendLog": Example(story.SPEND_LOG, {"amount_usd": "0.0225", **story.USAGE}),
    "createTopup": Example(
        story.TOPUP,
        {
            "amount_usd": "100.00",
            "description": "Prepaid credit",
            "reference_id": "pi_3QxKf2",
            "initiated_by": "anna@acme.example",
            "paid": {"amount": "92.00", "currency": "EUR"},
        },
    ),
    "createGrant": Example(
        credit_story.GRANT,
        {
            "amount_usd": "5.00",
            "kind": "promotional",
            "description": "Monthly free credit",
            "every": "month",
        },
    ),
    "listGrants": _page(credit_story.GRANT),
    "voidGrant": Example(credit_story.VOID),
    "createRefund": Example(
        story.REFUND, {"transaction_id": story.CHARGE_ID, "description": "The answer was empty"}
    ),
    "createAdjustment": Example(
        story.ADJUSTMENT,
        {"amount_usd": "5.00", "description": "Goodwill after the outage of 1 February"},
    ),
    "listTransactions": _page(story.CHARGE),
    "listSpendLogs": _page({**story.SPEND_LOG, "transaction_id": story.CHARGE_ID}),
    "getSpending": Example(
        {
            "from": "2026-01-31T23:00:00Z",
            "to": "2026-02-28T23:00:00Z",
            "timezone": "Europe/Berlin",
            "items": [{"model": "gpt-4o", **story.SPEND}],
            "total": story.SPEND,
        }
    ),
    "getForecast": Example(story.FORECAST),
    "getPlatformForecast": Example(story.EXPECTED_SPEND),
    "getPlatformSpending": Example(
        {
            "from": "2026-02-01T00:00:00Z",
            "to": "2026-03-01T00:00:00Z",
            "items": [{"organization_id": story.ORGANIZATION_ID, **story.SPEND}],
            "total": story.SPEND,
        }
    ),
    "createPrice": Example(
        story.PRICE,
        {
            name: story.PRICE[name]
            for name in ("provider", "model", "effective_from", "rates", "source")
        },
    ),
    "listPrices": _page(story.PRICE),
    "getPrice": Example(story.PRICE),
    "importPrices": Example(
        {
            "added": 0,
            "changed": 1,
            "unchanged": 2250,
            "refused": [{"model": "whisper-1", "reason": "input_cost_per_second"}],
            "changes": [
                {
                    "provider": "openai",
                    "model": "gpt-4o",
                    "rates": [
                        {
                            "bucket": "cache_read",
                            "service_tier": "standard",
                            "above_input_tokens": 0,
                            "before_usd_per_million": "1.50",
                            "usd_per_million": "1.25",
                        }
                    ],
                }
            ],
        },
        {
            "format": "litellm",
            "effective_from": "2026-02-01T00:00:00Z",
            "prices": {
                "gpt-4o": {
                    "litellm_provider": "openai",
                    "input_cost_per_token": "2.5e-06",
                    "cache_read_input_token_cost": "1.25e-06",
                    "output_cost_per_token": "1e-05",
                }
            },
            "dry_run": True,
        },
    ),
    "createQuote": Example(
        story.QUOTE,
        {
            "organization_id": story.ORGANIZATION_ID,
            "provider": "openai",
            "model": "gpt-4o",
            "usage": story.PROVIDER_USAGE,
        },
    ),
    "createRerating": Example(
        {
            "id": None,
            "provider": "openai",
            "model": "gpt-4o",
            "from": "2026-02-01T00:00:00Z",
            "to": "2026-03-01T00:00:00Z",
            "dry_run": True,
            "organizations": [
                {
                    "organization_id": story.ORGANIZATION_ID,
                    "charges": 1,
                    "charged_usd": "0.015",
                    "rerated_usd": "0.012",
                    "correction_usd": "-0.003",
                    "transaction_id": None,
                }
            ],
        },
        {
            "provider": "openai",
            "model": "gpt-4o",
            "from": "2026-02-01T00:00:00Z",
            "to": "2026-03-01T00:00:00Z",
            "dry_run": True,
        },
    ),
    "listUnpricedUsage": _page(story.UNPRICED),
    "draftInvoice": Example(
        invoice_story.DRAFT,
        {"period_start": "2026-02-01T00:00:00+01:00", "period_end": "2026-03-01T00:00:00+01:00"},
    ),
    "listInvoices": _page(invoice_story.INVOICE_SUMMARY),
    "getInvoice": Example(invoice_story.INVOICE),
    "getTopupInvoice": Example(invoice_story.TOPUP_INVOICE),
    "listInvoiceLines": _page(invoice_story.LINE),
    "issueInvoice": Example(invoice_story.INVOICE),
    "payInvoice": Example(invoice_story.PAID, {"paid_at": "2026-03-20T09:30:00Z"}),
    "cancelInvoice": Example({**invoice_story.DRAFT, "status": "cancelled"}),
    "createCreditNote": Example(
        invoice_story.NOTE, {"reason": "Charged at last month's price", "amount_usd": "6.25"}
    ),
    "listCreditNotes": _page(invoice_story.NOTE),
    "getCreditNote": Example(invoice_story.NOTE),
    "createDocumentLink": Example(*invoice_story.DOCUMENT_LINK),
    "getRevenue": Example(invoice_story.REVENUE_OF_MONTH),
    "getMonthEnd": Example(
        {
            "month": "2026-02",
            "organizations": 1200,
            "pending": 3,
            "issued": 1150,
            "empty": 46,
            "failed": 1,
            "failures": [
                {
                    "organization_id": story.ORGANIZATION_ID,
                    "error": "The organization's billing currency is no longer supported.",
                }
            ],
        }
    ),
    "listExchangeRates": Example(
        {
            "base": "USD",
            "rates": {"USD": "1.00", "EUR": "0.92", "BRL": "5.75", "GBP": "0.79"},
            "as_of": story.RATE["as_of"],
            "source": "ecb",
            "stale": False,
        }
    ),
    "getExchangeRate": Example({"base": "USD", "currency": "EUR", **story.RATE}),
    "createBudget": Example(
        story.BUDGET,
        {
            "subject": "virtual_key",
            "subject_id": story.KEY_ID,
            "window": "month",
            "limit_usd": "50.00",
        },
    ),
    "listBudgets": _page(story.BUDGET),
    "getBudget": Example(story.BUDGET),
    "updateBudget": Example(
        {**story.BUDGET, "limit_usd": "75.00", "remaining_usd": "74.9575"},
        {"limit_usd": "75.00"},
    ),
    "deleteBudget": Example(story.BUDGET),
    **{name: Example(*of) for name, of in client_story.OPERATIONS.items()},
    **{name: Example(*of) for name, of in privacy_story.OPERATIONS.items()},
    "createWebhookEndpoint": Example(
        {**story.ENDPOINT, **story.SECRET},
        {"url": story.ENDPOINT["url"], "types": story.ENDPOINT["types"]},
    ),
    "listWebhookEndpoints": Example({"items": [story.ENDPOINT]}),
    "updateWebhookEndpoint": Example(story.ENDPOINT, {"enabled": True}),
    "deleteWebhookEndpoint": Example(story.ENDPOINT),
    "rotateWebhookSecret": Example({**story.ENDPOINT, **story.SECRET}),
    "replayWebhookEvents": Example({"replayed": 1}, {"event_id": story.EVENT_ID}),
    "listWebhookEvents": _page(story.EVENT),
    "getCacheStatistics": Example(
        {
            "container_id": "f3c9a7e5-1b8d-4f62-a0d4-e5b7c2f9a8fe",
            "region": "eu-central-1",
            **{
                name: of
                for name, of in story.FAMILY.items()
                if name not in ("stale", "unreachable")
            },
            "l1_entries": 37,
            "l1_bytes": 48211,
            "l1_evictions": 0,
            "redis_failures": 0,
            "breaker_open": False,
            "families": {"organization": story.FAMILY},
        }
    ),
    "invalidateCache": Example(
        {"organization_id": story.ORGANIZATION_ID, "scope": "global"},
        {"organization_id": story.ORGANIZATION_ID, "global": True},
    ),
    "getHealth": Example(story.HEALTH, other=story.HEALTH | {"database": "down"}),
}

# The `data` of each webhook.
