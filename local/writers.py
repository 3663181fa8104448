"""`make stop` and `make start`: the functions of a stack that write to its database.

A function that is stopped has no concurrency, and its queue is not polled: messages stay in it, and
none is given up. What a function had before is recorded in the parameter `/<stack>/stopped` of
Systems Manager until it is started. Run by SAM's own Python.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from local.rollback import ALIAS
from local.target import Target, read_target

POLICY = "DatabasePolicy"
# A mapping that is being changed refuses the next change.
_CHANGING = {"Creating", "Enabling", "Disabling", "Updating"}
# By function: its reserved and its provisioned concurrency, None where it has none, and its
# mappings that were polled.
Record = dict[str, dict[str, Any]]


class Writers:
    """The functions whose role may log in to the database as the application."""

    def __init__(self, target: Target) -> None:
        session = target.session()
        self._lambda = session.client("lambda")
        self._parameters = session.client("ssm")
        self._record = f"/{target.stack}/stopped"
        cloudformation = session.client("cloudformation")
        body = cloudformation.get_template(StackName=target.stack, TemplateStage="Original")
        declared = body["TemplateBody"]
        template = yaml.safe_load(declared) if isinstance(declared, str) else declared
        self.names = {
            function: name
            for function, name in target.resources("AWS::Lambda::Function").items()
            if writes(template["Resources"].get(function, {}))
        }

    def stop(self) -> None:
        """Stop every function; one that is stopped already stays so."""
        before = self._recorded()
        for function, name in self.names.items():
            if function not in before:
                before[function] = {
                    "reserved": self._reserved(name),
                    "provisioned": self._provisioned(name),
                    "mappings": self._polled(name),
                }
        # First: a stop that is interrupted can be taken back.
        self._parameters.put_parameter(
            Name=self._record,
            Value=json.dumps(before),
            Type="String",
            Tier="Intelligent-Tiering",
            Overwrite=True,
        )
        for function, name in self.names.items():
            for mapping in before[function]["mappings"]:
                self._poll(mapping, False)
            if self._provisioned(name) is not None:
                # Lambda does not reserve less than is provisioned.
                self._lambda.delete_provisioned_concurrency_config(
                    FunctionName=name, Qualifier=ALIAS
                )
            self._lambda.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)

    def start(self) -> bool:
        """Give every function what it had before; return whether any was stopped."""
        before = self._recorded()
        for function, had in before.items():
            name = self.names[function]
            if had["reserved"] is None:
                self._lambda.delete_function_concurrency(FunctionName=name)
            else:
                self._lambda.put_function_concurrency(
                    FunctionName=name, ReservedConcurrentExecutions=had["reserved"]
                )
            if had["provisioned"] is not None:
                self._lambda.put_provisioned_concurrency_config(
                    FunctionName=name,
                    Qualifier=ALIAS,
                    ProvisionedConcurrentExecutions=had["provisioned"],
                )
            for mapping in had["mappings"]:
                self._poll(mapping, True)
        if before:
            self._parameters.delete_parameter(Name=self._record)
        return bool(before)

    def _recorded(self) -> Record:
        try:
            found = self._parameters.get_parameter(Name=self._record)
        except self._parameters.exceptions.ParameterNotFound:
            return {}
        record: Record = json.loads(found["Parameter"]["Value"])
        return record

    def _reserved(self, name: str) -> int | None:
        found: dict[str, int] = self._lambda.get_function_concurrency(FunctionName=name)
        return found.get("ReservedConcurrentExecutions")

    def _provisioned(self, name: str) -> int | None:
        listed = self._lambda.list_provisioned_concurrency_configs(FunctionName=name)
        for one in listed["ProvisionedConcurrencyConfigs"]:
            if one["FunctionArn"].endswith(f":{ALIAS}"):
                found: int = one["RequestedProvisionedConcurrentExecutions"]
                return found
        return None

    def _polled(self, name: str) -> list[str]:
        listed = self._lambda.list_event_source_mappings(FunctionName=f"{name}:{ALIAS}")
        return [
            one["UUID"]
            for one in listed["EventSourceMappings"]
            if one["State"] not in ("Disabled", "Disabling")
        ]

    def _poll(self, mapping: str, polled: bool) -> None:
        while self._lambda.get_event_source_mapping(UUID=mapping)["State"] in _CHANGING:
            time.sleep(2)
        self._lambda.update_event_source_mapping(UUID=mapping, Enabled=polled)


def writes(declared: dict[str, Any]) -> bool:
    """Say whether a function of the template may log in to the database as the application."""
    return POLICY in json.dumps(declared.get("Properties", {}).get("Policies", []))


def main(command: str, environment: str, config: Path) -> None:
    target = read_target(config, environment)
    try:
        writers = Writers(target)
        done: Callable[[], object] = writers.stop if command == "stop" else writers.start
        found = done()
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"Cannot {command} {target.stack}: {error}") from None
    if command == "start" and not found:
        raise SystemExit(f"{target.stack} is not stopped.")
    print(
        f"{target.stack}: {len(writers.names)} functions are stopped. Start them by make start."
        if command == "stop"
        else f"{target.stack} runs again."
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
