"""The events of events/, in an order in which each finds what the ones before it made."""

import contextlib
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local.template import ROOT, read
from synaxis_billing.edge import database as connections
from tests.conftest import Database

TEMPLATE = read({"FxSources": "simulated"}, "https://sqs.eu-central-1.amazonaws.com")
FUNCTIONS = {
    route.key: name for name, function in TEMPLATE.functions.items() for route in function.routes
}
CONTEXT = SimpleNamespace(
    function_name="test",
    memory_limit_in_mb=512,
    invoked_function_arn="arn",
    aws_request_id="r",
    get_remaining_time_in_millis=lambda: 900_000,
)

Invoke = Callable[[str, Any], Any]
# What each is answered; what has an unknown id is 404.
STATUSES = {
    "create_organization": 201,
    "topup": 201,
    "charge": 201,
    "charge_refused": 402,
    "charge_invalid": 400,
    "charge_batch": 200,
    "usage_events": 200,
    "usage_traces": 200,
    "list_refused_events": 200,
    "hold": 201,
    "capture_hold": 404,
    "release_hold": 404,
    "refund": 404,
    "adjustment": 201,
    "create_grant": 201,
    "list_grants": 200,
    "void_grant": 404,
    "spend_log": 201,
    "get_organization": 200,
    "update_organization": 200,
    # No other region is configured.
    "set_home": 400,
    "balance": 200,
    "list_transactions": 200,
    "get_receipt": 404,
    "list_spend_logs": 200,
    "spending": 200,
    "platform_forecast": 200,
    "platform_spending": 200,
    "balance_history": 200,
    "put_label": 200,
    "list_labels": 200,
    "delete_label": 200,
    "get_forecast": 200,
    "personal_data": 200,
    "erase_personal_data": 201,
    "draft_invoice": 201,
    "list_invoices": 200,
    "get_invoice": 404,
    "get_topup_invoice": 404,
    "list_invoice_lines": 404,
    "issue_invoice": 404,
    "pay_invoice": 404,
    "cancel_invoice": 404,
    "credit_invoice": 404,
    "list_credit_notes": 404,
    "get_credit_note": 404,
    "create_document_link": 404,
    "open_document": 404,
    "month_end_progress": 200,
    "revenue": 200,
    "create_budget": 201,
    "list_budgets": 200,
    "get_budget": 404,
    "update_budget": 404,
    "delete_budget": 404,
    "create_client": 201,
    "list_clients": 200,
    "rotate_client_secret": 404,
    "revoke_client": 404,
    # No issuer is configured.
    "create_token": 409,
    "create_webhook_endpoint": 201,
    "list_webhook_endpoints": 200,
    "update_webhook_endpoint": 404,
    "delete_webhook_endpoint": 404,
    "rotate_webhook_secret": 404,
    "replay_webhooks": 404,
    "list_webhook_events": 200,
    # No provider is configured.
    "create_payment": 422,
    "preview_payment": 200,
    "list_payments": 200,
    "get_payment": 404,
    "list_platform_payments": 200,
    "list_unmatched_payment_events": 200,
    "refund_payment": 404,
    # No card is saved.
    "set_auto_topup": 409,
    "get_auto_topup": 404,
    "delete_auto_topup": 404,
    "payment_event": 400,
    "create_payment_link": 404,
    "get_payment_link": 404,
    "pay_by_link": 404,
    "list_exchange_rates": 200,
    "get_exchange_rate": 200,
    "create_price": 201,
    "list_prices": 200,
    "get_price": 404,
    "import_prices": 200,
    "quote": 200,
    "create_rerating": 200,
    "list_unpriced": 200,
    "cache_statistics": 200,
    "invalidate_cache": 200,
    "health": 200,
    "api_document": 200,
}
# Those of a schedule or a queue, and their functions.
OTHERS = {
    "upkeep": "UpkeepFunction",
    "forecast": "ForecastFunction",
    "invoice_overdue": "InvoiceOverdueFunction",
    "topup_invoices": "TopupInvoicesFunction",
    "settlement": "SettlementFunction",
    "usage_queue": "UsageEventsFunction",
    "fx_fetch": "FxFetchFunction",
    "fx_store": "FxStoreFunction",
    "month_end_plan": "MonthEndPlanFunction",
    "month_end_work": "MonthEndWorkFunction",
    "cache_invalidation": "CacheInvalidationFunction",
    "cache_invalidation_queue": "CacheInvalidationFunction",
    "cache_sweep": "CacheSweepFunction",
    "payment_settle": "PaymentSettlementFunction",
    "payment_sweep": "PaymentSweepFunction",
    "payment_call": "PaymentCallsFunction",
    "migrate": "MigrateFunction",
    "audit": "AuditFunction",
    "token_claims": "TokenClaimsFunction",
    "webhook_dispatch": "WebhookDispatchFunction",
    "webhook_send": "WebhookSendFunction",
    "webhook_record": "WebhookRecordFunction",
}


def event(name: str) -> Any:
    return json.loads((ROOT / "events" / f"{name}.json").read_text())


def answers(invoke: Invoke) -> dict[str, Any]:
    """What it answers to each event."""
    found = {}
    for name in STATUSES:
        asked = event(name)
        found[name] = invoke(FUNCTIONS[asked["routeKey"]], asked)
    for name, function in OTHERS.items():
        found[name] = invoke(function, event(name))
    return found


@contextlib.contextmanager
def in_process(
    database: Database, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Invoke]:
    """Invokes functions in this process, on this database."""
    for function in TEMPLATE.functions.values():
        for name, value in function.environment.items():
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    monkeypatch.setenv("ADMIN_DATABASE_URL", database.admin_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "test")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    modules = {name: of.load() for name, of in TEMPLATE.functions.items()}

    def invoke(name: str, asked: Any) -> Any:
        handler = TEMPLATE.functions[name].handler.partition(".")[2]
        return getattr(modules[name], handler)(asked, CONTEXT)

    connections.discard()
    with mock_aws():
        for name in TEMPLATE.queues:
            boto3.client("sqs", region_name="eu-central-1").create_queue(QueueName=name)
        yield invoke
    connections.discard()
