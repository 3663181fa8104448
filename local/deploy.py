"""`make deploy`: `sam deploy` of what `make build` built, after a look at both sides.

A build for another architecture is refused before anything is uploaded. A deployment that changes
the data stack is made in two: first the data below the code that is deployed, then the code, so
that neither is rolled back because the other fails (docs/decisions/0010-data-in-a-nested-stack.md).
Run by SAM's own Python.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import yaml
from botocore.exceptions import ClientError

from local.template import ROOT

BUILD = ROOT / ".aws-sam" / "build"
# What SAM notes about its last build.
NOTES = ROOT / ".aws-sam" / "build.toml"
DATA_FIRST = ROOT / ".aws-sam" / "data-first"
SAM = ROOT / ".venv-sam" / "bin" / "sam"
_DATA = "Data"

Template = dict[str, Any]


class Target(NamedTuple):
    """Where samconfig.toml's environment deploys to; `overrides` are the template's parameters."""

    stack: str
    overrides: dict[str, str]
    region: str | None
    profile: str | None


class Deployed(NamedTuple):
    """The stack as it is; `data` is the template of its data stack, if there is one."""

    parameters: dict[str, str]
    template: Template
    data: Template | None


def main(environment: str, config: Path) -> None:
    if not BUILD.is_dir():
        raise SystemExit("There is no build. Run make build first.")
    target = read_target(config, environment)
    deployed = look_up(target)
    template = yaml.safe_load((BUILD / "template.yaml").read_text())
    current = deployed.parameters if deployed else {}
    check_architecture(environment, value_of("Architecture", target, current, template))
    options = ["--config-file", str(config.resolve()), "--config-env", environment]
    if deployed and changes_data(deployed, template, target):
        print("The data changes: it is deployed first, below the code that is deployed now.")
        overrides = " ".join(
            f"{name}={shlex.quote(value_of(name, target, current, template))}"
            for name in sorted(parameters_of_data(template))
        )
        first = write_data_first(deployed, template)
        _sam("-t", str(first), *options, "--parameter-overrides", overrides)
    write_revision(target.overrides)
    _sam(*options)


def read_target(config: Path, environment: str) -> Target:
    configured = tomllib.loads(config.read_text())
    if environment not in configured:
        known = ", ".join(name for name, of in configured.items() if isinstance(of, dict))
        raise SystemExit(f"{config.name} has no environment {environment!r}, but {known}.")
    commands = configured[environment]
    of = {
        **commands.get("global", {}).get("parameters", {}),
        **commands.get("deploy", {}).get("parameters", {}),
    }
    overrides = of.get("parameter_overrides", "")
    # SAM takes a list of them too.
    words = shlex.split(overrides) if isinstance(overrides, str) else overrides
    return Target(
        of["stack_name"],
        dict(word.split("=", 1) for word in words),
        of.get("region"),
        of.get("profile"),
    )


def look_up(target: Target) -> Deployed | None:
    """None where the stack is not there yet."""
    session = boto3.Session(region_name=target.region, profile_name=target.profile)
    cloudformation = session.client("cloudformation")
    try:
        [stack] = cloudformation.describe_stacks(StackName=target.stack)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    if stack["StackStatus"] == "REVIEW_IN_PROGRESS":
        return None

    def template_of(name: str) -> Template:
        body = cloudformation.get_template(StackName=name, TemplateStage="Original")["TemplateBody"]
        template: Template = yaml.safe_load(body) if isinstance(body, str) else body
        return template

    resources = cloudformation.describe_stack_resources(StackName=target.stack)["StackResources"]
    data = [of["PhysicalResourceId"] for of in resources if of["LogicalResourceId"] == _DATA]
    return Deployed(
        {of["ParameterKey"]: of["ParameterValue"] for of in stack.get("Parameters", [])},
        template_of(target.stack),
        template_of(data[0]) if data else None,
    )


def value_of(name: str, target: Target, current: dict[str, str], template: Template) -> str:
    """The value with which a parameter is deployed."""
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


def changes_data(deployed: Deployed, template: Template, target: Target) -> bool:
    if deployed.data is None or _DATA not in template["Resources"]:
        return False
    url = template["Resources"][_DATA]["Properties"]["TemplateURL"]
    return yaml.safe_load((BUILD / url).read_text()) != deployed.data or any(
        value_of(name, target, deployed.parameters, template) != deployed.parameters.get(name)
        for name in parameters_of_data(template)
    )


def write_data_first(deployed: Deployed, template: Template) -> Path:
    """The deployed template with the data stack of the new one."""
    names = _names(template["Resources"][_DATA], template["Conditions"])
    data = json.loads(json.dumps(template["Resources"][_DATA]))
    data["Properties"]["TemplateURL"] = str(BUILD / data["Properties"]["TemplateURL"])
    mixed = {**deployed.template, "Resources": {**deployed.template["Resources"], _DATA: data}}
    for section in ("Parameters", "Conditions"):
        new = {name: of for name, of in template[section].items() if name in names}
        mixed[section] = {**deployed.template[section], **new}
    shutil.rmtree(DATA_FIRST, ignore_errors=True)
    DATA_FIRST.mkdir(parents=True)
    path = DATA_FIRST / "template.json"
    path.write_text(json.dumps(mixed))
    return path


def parameters_of_data(template: Template) -> set[str]:
    names = _names(template["Resources"][_DATA], template["Conditions"])
    return names & set(template["Parameters"])


def write_revision(overrides: dict[str, str]) -> None:
    """Have versions of functions published for changed parameters, as for a changed template."""
    path = BUILD / "template.yaml"
    digest = hashlib.sha256(json.dumps(overrides, sort_keys=True).encode()).hexdigest()[:12]
    revision = rf"CONFIG_REVISION: '\g<1>-{digest}'"
    path.write_text(re.sub(r"CONFIG_REVISION: '?(\w+)(-\w+)?'?", revision, path.read_text()))


def _names(value: Any, conditions: Template) -> set[str]:
    """The parameters and conditions that a part of a template names, in its conditions too."""
    if isinstance(value, list):
        return set().union(*(_names(item, conditions) for item in value))
    if not isinstance(value, dict):
        return set()
    found = {of for key, of in value.items() if key in ("Ref", "Condition") and isinstance(of, str)}
    found |= {of[0] for key, of in value.items() if key == "Fn::If"}
    for name in found & conditions.keys():
        found |= _names(conditions[name], conditions)
    return found.union(*(_names(item, conditions) for item in value.values()))


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
