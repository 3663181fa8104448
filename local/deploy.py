"""`make deploy`: `sam deploy` of what `make build` built, after a look at both sides.

A build for another architecture is refused before anything is uploaded. A deployment that changes
the data stack is made in two: first the data below the code that is deployed, then the code, so
that neither is rolled back because the other fails (docs/decisions/0010-data-in-a-nested-stack.md).
The files of the console follow last.
Run by SAM's own Python.
"""

import copy
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from local.publish import publish
from local.rollback import Functions, Release
from local.target import Target, read_target
from local.template import ROOT

BUILD = ROOT / ".aws-sam" / "build"
# What SAM notes about its last build.
NOTES = ROOT / ".aws-sam" / "build.toml"
DATA_FIRST = ROOT / ".aws-sam" / "data-first.json"
SAM = ROOT / ".venv-sam" / "bin" / "sam"
_DATA = "Data"
# Ids of availability zones.
WITHOUT_PROXY = {"use1-az3"}

Template = dict[str, Any]


class Deployed(NamedTuple):
    """The stack that is deployed; `data` is the template of its data stack, if there is one."""

    parameters: dict[str, str]
    template: Template
    data: Template | None


def main(environment: str, config: Path) -> None:
    if not BUILD.is_dir():
        raise SystemExit("There is no build. Run make build first.")
    target = read_target(config, environment)
    try:
        deployed = look_up(target)
        template = yaml.safe_load((BUILD / "template.yaml").read_text())
        current = deployed.parameters if deployed else {}
        check_architecture(environment, value_of("Architecture", target, current, template))
        check_zones(target, current, template)
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(f"Cannot look up the stack {target.stack}: {error}") from None
    options = [
        *("--config-file", str(config.resolve()), "--config-env", environment),
        "--no-fail-on-empty-changeset",
    ]
    if deployed and changes_data(deployed, template, target):
        print("The data changes: it is deployed first, below the code that runs now.", flush=True)
        overrides = " ".join(
            f"{name}={shlex.quote(value_of(name, target, current, template))}"
            for name in sorted(parameters_of_data(template))
        )
        first = revise(with_new_data(deployed.template, template), target.overrides)
        DATA_FIRST.write_text(json.dumps(first))
        _sam("-t", str(DATA_FIRST), *options, "--parameter-overrides", overrides)
    (BUILD / "template.yaml").write_text(yaml.safe_dump(revise(template, target.overrides)))
    before = Functions(target).serving() if deployed else {}
    _sam(*options)
    if before:
        functions = Functions(target)
        functions.record(Release(before, functions.serving()))
    try:
        address = publish(target, outputs_of(target))
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(
            f"The stack is deployed, but not the console's files; run it again: {error}"
        ) from None
    if address:
        print(f"The console is at {address}", flush=True)


def look_up(target: Target) -> Deployed | None:
    """Return the deployed stack; None where there is none yet."""
    stack = _describe(target)
    if stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS":
        return None
    cloudformation = target.session().client("cloudformation")

    def template_of(name: str) -> Template:
        body = cloudformation.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
        template: Template = yaml.safe_load(body) if isinstance(body, str) else body
        return template

    data = target.resources("AWS::CloudFormation::Stack").get(_DATA)
    return Deployed(
        {of["ParameterKey"]: of["ParameterValue"] for of in stack.get("Parameters", [])},
        template_of(target.stack),
        template_of(data) if data else None,
    )


def outputs_of(target: Target) -> dict[str, str]:
    """Return the outputs of the deployed stack; none where there is no stack."""
    stack = _describe(target) or {}
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}


def value_of(name: str, target: Target, current: dict[str, str], template: Template) -> str:
    """Return the value with which a parameter is deployed."""
    default = template["Parameters"][name]["Default"]
    return str(target.overrides.get(name, current.get(name, default)))


def check_architecture(environment: str, deployed: str) -> None:
    notes = tomllib.loads(NOTES.read_text())
    built = {one["architecture"] for kind in notes.values() for one in kind.values()}
    if built != {deployed}:
        raise SystemExit(
            f"The build is for {' and '.join(sorted(built))}, but {environment} deploys "
            f'{deployed}. Run make build ARGS="--parameter-overrides Architecture={deployed}", '
            "or change Architecture in parameter_overrides."
        )


def check_zones(target: Target, current: dict[str, str], template: Template) -> None:
    """Refuse a network in a zone without RDS Proxy; its creation would fail after a quarter of an
    hour. Names of zones differ between accounts, ids do not:
    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.html#rds-proxy.limitations
    """
    if value_of("VpcId", target, current, template):
        return
    client = target.session().client("ec2")
    found = client.describe_availability_zones()["AvailabilityZones"]
    ids = {zone["ZoneName"]: zone["ZoneId"] for zone in found}
    chosen = value_of("Zones", target, current, template)
    names = chosen.split(",") if chosen else sorted(ids)[:2]
    good = [name for name in sorted(ids) if ids[name] not in WITHOUT_PROXY]
    if any(ids.get(name) in WITHOUT_PROXY for name in names):
        raise SystemExit(
            f"RDS Proxy is not offered in one of the zones {', '.join(names)}. Add "
            f"Zones={','.join(good[:2])} to parameter_overrides."
        )


def changes_data(deployed: Deployed, template: Template, target: Target) -> bool:
    if deployed.data is None or _DATA not in template["Resources"]:
        return False
    url = template["Resources"][_DATA]["Properties"]["TemplateURL"]
    return yaml.safe_load((BUILD / url).read_text()) != deployed.data or any(
        value_of(name, target, deployed.parameters, template) != deployed.parameters.get(name)
        for name in parameters_of_data(template)
    )


def with_new_data(deployed: Template, template: Template) -> Template:
    """Return the deployed template with the data stack of the new one."""
    names = _names(template["Resources"][_DATA], template["Conditions"])
    data = copy.deepcopy(template["Resources"][_DATA])
    data["Properties"]["TemplateURL"] = str(BUILD / data["Properties"]["TemplateURL"])
    mixed = {**deployed, "Resources": {**deployed["Resources"], _DATA: data}}
    for section in ("Parameters", "Conditions"):
        new = {name: of for name, of in template[section].items() if name in names}
        mixed[section] = {**deployed[section], **new}
    return mixed


def parameters_of_data(template: Template) -> set[str]:
    names = _names(template["Resources"][_DATA], template["Conditions"])
    return names & set(template["Parameters"])


def revise(template: Template, overrides: dict[str, str]) -> Template:
    """Return the template with a CONFIG_REVISION of its parameters and its data stack: versions are
    published for a change of the text of functions, but not of the values that it refers to."""
    url = template["Resources"].get(_DATA, {}).get("Properties", {}).get("TemplateURL")
    data = (BUILD / url).read_text() if url else ""
    revised: Template = copy.deepcopy(template)
    variables = revised["Globals"]["Function"]["Environment"]["Variables"]
    digest = hashlib.sha256(json.dumps([overrides, data], sort_keys=True).encode()).hexdigest()
    [asked, *_] = str(variables["CONFIG_REVISION"]).split("-")
    variables["CONFIG_REVISION"] = f"{asked}-{digest[:12]}"
    return revised


def _names(value: Any, conditions: Template) -> set[str]:
    """Return the parameters and conditions that a part of a template names, also through its
    conditions."""
    if isinstance(value, list):
        return set().union(*(_names(item, conditions) for item in value))
    if not isinstance(value, dict):
        return set()
    found = {of for key, of in value.items() if key in ("Ref", "Condition") and isinstance(of, str)}
    found |= {of[0] for key, of in value.items() if key == "Fn::If"}
    for name in found & conditions.keys():
        found |= _names(conditions[name], conditions)
    return found.union(*(_names(item, conditions) for item in value.values()))


def _describe(target: Target) -> dict[str, Any] | None:
    cloudformation = target.session().client("cloudformation")
    try:
        [stack] = cloudformation.describe_stacks(StackName=target.stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    described: dict[str, Any] = stack
    return described


def _sam(*options: str) -> None:
    command = [str(SAM), "deploy", *options]
    ended = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": "", "SAM_CLI_TELEMETRY": "0"},
        cwd=ROOT,
        check=False,
    )
    if ended.returncode:
        sys.exit(ended.returncode)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
