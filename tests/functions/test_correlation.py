"""What one request or schedule causes carries its correlation id, through queues too."""

import json
from typing import Any

import boto3
import pytest

from synaxis_billing.edge.invocation import logger
from tests.conftest import Database
from tests.support.events import event, in_process
from tests.support.receiver import receiving


def received(name: str) -> dict[str, Any]:
    """The next message of a queue, as a function gets it."""
    client = boto3.client("sqs", region_name="eu-central-1")
    url = client.get_queue_url(QueueName=name)["QueueUrl"]
    [message] = client.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    batch: dict[str, Any] = event("webhook_send")
    attributes = {
        key: {"stringValue": of["StringValue"], "dataType": of["DataType"]}
        for key, of in message["MessageAttributes"].items()
    }
    batch["Records"][0] |= {"body": message["Body"], "messageAttributes": attributes}
    return batch


def test_a_webhook_is_followed_from_its_dispatch_to_its_result(
    database: Database,
    other_redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with in_process(database, other_redis_url, monkeypatch) as invoke, receiving() as receiver:
        monkeypatch.setenv("WEBHOOKS_TO_PRIVATE", "true")
        receiver.status = 500
        endpoint = event("create_webhook_endpoint")
        endpoint["body"] = json.dumps({"url": receiver.url})
        low = event("update_organization")
        low["body"] = json.dumps({"low_balance_threshold_usd": "1000000"})
        for name, asked in (
            ("AccountFunction", event("create_organization")),
            ("WebhooksFunction", endpoint),
            ("AccountFunction", low),
        ):
            assert invoke(name, asked)["statusCode"] in (200, 201)
        assert invoke("WebhookDispatchFunction", event("webhook_dispatch")) == {"sent": 1}
        signed = received("WebhookQueue")
        sent_as = signed["Records"][0]["messageAttributes"]["correlation_id"]["stringValue"]
        invoke("WebhookSendFunction", signed)
        invoke("WebhookRecordFunction", received("WebhookResultsQueue"))
    [failed] = [line for line in caplog.records if line.message == "webhook failed"]
    assert failed.__dict__["error"] == "it answered 500"
    assert logger.get_correlation_id() == sent_as
    # Whom it went to and what it said is nobody's business in a log.
    assert receiver.url not in caplog.text
