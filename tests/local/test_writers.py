"""Before a restore, everything that writes is stopped, and afterwards it is as it was."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from local import writers
from local.target import Target
from local.template import ROOT, read_document

REGION = "eu-central-1"
TARGET = Target("billing", {}, REGION, None)
DECLARED = read_document()["Resources"]


class Provisioned:
    """Provisioned concurrency, which moto does not have, on top of moto's Lambda."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.kept: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def list_provisioned_concurrency_configs(self, *, FunctionName: str) -> dict[str, Any]:
        found = [
            {"FunctionArn": f"{name}:live", "RequestedProvisionedConcurrentExecutions": of}
            for name, of in self.kept.items()
            if name == FunctionName
        ]
        return {"ProvisionedConcurrencyConfigs": found}

    def delete_provisioned_concurrency_config(self, *, FunctionName: str, Qualifier: str) -> None:
        assert Qualifier == "live"
        del self.kept[FunctionName]

    def put_provisioned_concurrency_config(
        self,
        *,
        FunctionName: str,
        Qualifier: str,
        ProvisionedConcurrentExecutions: int,
    ) -> None:
        assert Qualifier == "live"
        self.kept[FunctionName] = ProvisionedConcurrentExecutions


class Stack:
    """A stack of functions that write, of which one polls a queue, and of one that does not."""

    def __init__(self) -> None:
        self.client = boto3.client("lambda", region_name=REGION)
        self.provisioned = Provisioned(self.client)
        role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}

        def function(*policies: str) -> dict[str, Any]:
            return {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Handler": "app.handler",
                    "Runtime": "python3.13",
                    "Code": {"ZipFile": "1"},
                    "Policies": list(policies),
                },
            }

        body = {
            "Resources": {
                "Role": role,
                "Charge": function("DatabasePolicy"),
                "Record": function("DatabasePolicy", "CachePolicy"),
                "Audit": function("AdministratorPolicy"),
            }
        }
        cloudformation = boto3.client("cloudformation", region_name=REGION)
        cloudformation.create_stack(StackName="billing", TemplateBody=json.dumps(body))
        resources = cloudformation.describe_stack_resources(StackName="billing")["StackResources"]
        self.names = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources}
        sqs = boto3.client("sqs", region_name=REGION)
        queue = sqs.create_queue(QueueName="results")["QueueUrl"]
        named = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        for name in ("Charge", "Record", "Audit"):
            self.client.create_alias(
                FunctionName=self.names[name], Name="live", FunctionVersion="$LATEST"
            )
        self.mapping = self.client.create_event_source_mapping(
            EventSourceArn=named["Attributes"]["QueueArn"],
            FunctionName=f"{self.names['Record']}:live",
        )["UUID"]

    def state(self) -> dict[str, Any]:
        """The reserved concurrency of each function, and whether the queue is polled."""
        reserved = {
            name: self.client.get_function_concurrency(FunctionName=self.names[name]).get(
                "ReservedConcurrentExecutions"
            )
            for name in ("Charge", "Record", "Audit")
        }
        polled = self.client.get_event_source_mapping(UUID=self.mapping)["State"] == "Enabled"
        return {**reserved, "polled": polled}

    def writers(self) -> writers.Writers:
        found = writers.Writers(TARGET)
        found._lambda = self.provisioned
        return found


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with mock_aws():
        yield Stack()


def test_what_writes_is_stopped_and_started_as_it_was(stack: Stack) -> None:
    stack.client.put_function_concurrency(
        FunctionName=stack.names["Record"], ReservedConcurrentExecutions=5
    )
    stack.provisioned.kept = {stack.names["Charge"]: 3}
    before = stack.state()
    stack.writers().stop()
    assert stack.state() == {"Charge": 0, "Record": 0, "Audit": None, "polled": False}
    assert stack.provisioned.kept == {}
    # A second one, as after a first that was interrupted, forgets nothing.
    stack.writers().stop()
    assert stack.writers().start()
    assert stack.state() == before
    assert stack.provisioned.kept == {stack.names["Charge"]: 3}
    assert not stack.writers().start()


def test_every_function_that_logs_in_as_the_application_is_stopped() -> None:
    stopped = {name for name, of in DECLARED.items() if writers.writes(of)}
    # By its code: what opens the application's connection.
    opening = {
        name
        for name, of in DECLARED.items()
        if of["Type"] == "AWS::Serverless::Function" and _connects(of["Properties"])
    }
    assert opening <= stopped
    assert stopped.isdisjoint({"MigrateFunction", "AuditFunction"})


def _connects(properties: dict[str, Any]) -> bool:
    file = properties.get("Handler", "app.handler").partition(".")[0]
    text = (ROOT / properties["CodeUri"] / f"{file}.py").read_text()
    return "edge.database import connection" in text or "edge.cache import drain" in text


def test_a_stack_that_is_not_there_is_one_sentence(stack: Stack, tmp_path: Path) -> None:
    del stack
    config = tmp_path / "samconfig.toml"
    config.write_text(f'[prod.global.parameters]\nstack_name = "none"\nregion = "{REGION}"\n')
    with pytest.raises(SystemExit, match="Cannot stop none: "):
        writers.main("stop", "prod", config)
