"""Every event under events/ is served by its function, on a database of its own."""

import json
from collections.abc import Iterator
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from local.template import ROOT, read
from synaxis_billing.edge import database as connections
from tests.conftest import Database

TEMPLATE = read({"FxSources": "simulated"})
FUNCTIONS = {
    route.key: function for function in TEMPLATE.functions.values() for route in function.routes
}
# Each finds what the ones before it made; what has an unknown id is 404.
STATUSES = {
    "create_organization": 201,
    "topup": 201,
    "charge": 201,
    "charge_refused": 402,
    "charge_invalid": 400,
    "charge_batch": 200,
    "hold": 201,
    "capture_hold": 404,
    "release_hold": 404,
    "refund": 404,
    "adjustment": 201,
    "spend_log": 201,
    "get_organization": 200,
    "update_organization": 200,
    "balance": 200,
    "list_transactions": 200,
    "list_spend_logs": 200,
    "spending": 200,
    "draft_invoice": 201,
    "list_invoices": 200,
    "get_invoice": 404,
    "issue_invoice": 404,
    "pay_invoice": 404,
    "cancel_invoice": 404,
    "credit_invoice": 404,
    "list_credit_notes": 404,
    "get_credit_note": 404,
    "month_end_progress": 200,
    "create_webhook_endpoint": 201,
    "list_webhook_endpoints": 200,
    "update_webhook_endpoint": 404,
    "delete_webhook_endpoint": 404,
    "rotate_webhook_secret": 404,
    "replay_webhooks": 404,
    "list_webhook_events": 200,
    "list_exchange_rates": 200,
    "get_exchange_rate": 200,
    "cache_statistics": 200,
    "invalidate_cache": 200,
    "health": 200,
}
# Those of a schedule or a queue, and their functions.
OTHERS = {
    "upkeep": "UpkeepFunction",
    "invoice_overdue": "InvoiceOverdueFunction",
    "fx_fetch": "FxFetchFunction",
    "fx_store": "FxStoreFunction",
    "month_end_plan": "MonthEndPlanFunction",
    "month_end_work": "MonthEndWorkFunction",
    "cache_invalidation": "CacheInvalidationFunction",
    "cache_invalidation_queue": "CacheInvalidationFunction",
    "cache_sweep": "CacheSweepFunction",
    "migrate": "MigrateFunction",
    "audit": "AuditFunction",
    "webhook_dispatch": "WebhookDispatchFunction",
    "webhook_send": "WebhookSendFunction",
    "webhook_record": "WebhookRecordFunction",
}


@pytest.fixture
def _connected(
    database: Database, other_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    for function in TEMPLATE.functions.values():
        for name, value in function.environment.items():
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    monkeypatch.setenv("ADMIN_DATABASE_URL", database.admin_url)
    monkeypatch.setenv("REDIS_URL", other_redis_url)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "test")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "test")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    connections.discard()
    with mock_aws():
        for name in TEMPLATE.queues:
            boto3.client("sqs", region_name="eu-central-1").create_queue(QueueName=name)
        yield
    connections.discard()


CONTEXT = SimpleNamespace(
    function_name="test", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="r"
)


@pytest.mark.usefixtures("_connected")
def test_every_event_gets_its_answer() -> None:
    folder = ROOT / "events"
    modules = {name: of.load() for name, of in TEMPLATE.functions.items()}
    assert {path.stem for path in folder.glob("*.json")} == {*STATUSES, *OTHERS}
    for name, status in STATUSES.items():
        event = json.loads((folder / f"{name}.json").read_text())
        answer = modules[FUNCTIONS[event["routeKey"]].name].handler(event, CONTEXT)
        assert answer["statusCode"] == status, (name, answer)
    answers = {}
    for name, function in OTHERS.items():
        event = json.loads((folder / f"{name}.json").read_text())
        handler = getattr(modules[function], TEMPLATE.functions[function].handler.split(".")[1])
        answers[name] = handler(event, CONTEXT)
    assert answers["upkeep"] == {"made": []}
    assert answers["fx_fetch"]["source"] == "simulated"
    assert answers["cache_sweep"] == {"told": 0}
    # The organization is younger than the month.
    assert answers["month_end_plan"] == {"month": "2026-02", "sent": 0}
    assert answers["webhook_dispatch"] == {"sent": 0}
    assert answers["migrate"] == {"applied": []}
    assert answers["audit"] == {"organizations": 1, "broken": []}
    for name in OTHERS:
        if "Records" in json.loads((folder / f"{name}.json").read_text()):
            assert answers[name] == {"batchItemFailures": []}


@pytest.mark.usefixtures("_connected")
def test_a_charge_is_one_round_trip(database: Database) -> None:
    with database.admin() as admin:
        admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    charge, account, topup = (
        TEMPLATE.functions[f"{name}Function"].load() for name in ("Charge", "Account", "Topup")
    )
    for module, name in ((account, "create_organization"), (topup, "topup")):
        module.handler(json.loads((ROOT / "events" / f"{name}.json").read_text()), CONTEXT)
    names = ["charge", "charge_refused", "charge_batch", "hold", "capture_hold", "release_hold"]
    for name in names:
        event = json.loads((ROOT / "events" / f"{name}.json").read_text())
        with database.admin() as admin:
            admin.execute("SELECT pg_stat_statements_reset()")
            charge.handler(event, CONTEXT)
            calls = admin.execute(
                "SELECT query, calls FROM pg_stat_statements JOIN pg_roles ON oid = userid"
                " WHERE rolname = 'synaxis_app' AND toplevel"
            ).fetchall()
        assert [count for _, count in calls] == [1], (name, calls)
