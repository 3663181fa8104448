"""What a deployed stack has, as AWS tells it."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from local.target import Target

FUNCTION, TABLE = "AWS::Lambda::Function", "AWS::DynamoDB::Table"


def _page(kinds: dict[str, str], following: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "StackResourceSummaries": [
            {
                "LogicalResourceId": name,
                "PhysicalResourceId": f"billing-{name}",
                "ResourceType": kind,
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": "2026-01-01T00:00:00Z",
            }
            for name, kind in kinds.items()
        ]
    }
    return told if following is None else {**told, "NextToken": following}


def test_the_functions_of_a_stack_are_those_of_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("cloudformation", region_name="eu-central-1")
    monkeypatch.setattr(boto3.Session, "client", lambda _session, _name: client)
    with Stubber(client) as aws:
        asked: dict[str, Any] = {"StackName": "billing"}
        first = _page({"ChargeFunction": FUNCTION, "Other": TABLE}, "2")
        aws.add_response("list_stack_resources", first, asked)
        last = _page({"MigrateFunction": FUNCTION}, None)
        aws.add_response("list_stack_resources", last, {**asked, "NextToken": "2"})
        assert Target("billing", {}, None, None).resources(FUNCTION) == {
            "ChargeFunction": "billing-ChargeFunction",
            "MigrateFunction": "billing-MigrateFunction",
        }
        aws.assert_no_pending_responses()
