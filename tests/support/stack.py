"""What `sam deploy` makes of the template, for the tests of it."""

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from local.template import ROOT
from tests.support.nesting import Template, merge

Resources = dict[str, dict[str, Any]]
_NOTHING = {"Ref": "AWS::NoValue"}
TEMPLATE = (ROOT / "template.yaml").read_text()


@functools.cache
def separate(*uploaded: str, text: str = TEMPLATE) -> tuple[Template, dict[str, Template]]:
    """The template as CloudFormation gets it, and those of the stacks below it by the name of their
    resource; the resources named were uploaded anew."""
    made = subprocess.run(
        [sys.executable, ROOT / "tests/support/transform.py", *uploaded],
        input=text,
        cwd=ROOT,
        env={**os.environ, "AWS_DEFAULT_REGION": "eu-central-1", "PYTHONPATH": ""},
        capture_output=True,
        check=True,
        text=True,
    )
    template, nested = json.loads(made.stdout)
    return template, nested


@functools.cache
def transformed(*uploaded: str, text: str = TEMPLATE) -> Template:
    """The template with the stacks below it merged into it."""
    template, nested = separate(*uploaded, text=text)
    for name, inner in nested.items():
        template = merge(template, name, inner)
    return template


def stack(*uploaded: str) -> Resources:
    resources: Resources = transformed(*uploaded)["Resources"]
    return resources


def of_type(kind: str) -> Resources:
    return {name: of for name, of in stack().items() if of["Type"] == kind}


def properties(name: str) -> dict[str, Any]:
    found: dict[str, Any] = stack()[name]["Properties"]
    return found


def decided(**parameters: str) -> Template:
    """The template with these parameters, its conditions decided: without what they leave out."""
    template = transformed()
    conditions = conditions_of(**parameters)

    def of(value: Any) -> Any:
        if isinstance(value, list):
            return [kept for one in value if (kept := of(one)) != _NOTHING]
        if not isinstance(value, dict):
            return value
        if "Fn::If" in value:
            condition, if_true, if_false = value["Fn::If"]
            return of(if_true if conditions[condition] else if_false)
        return {key: kept for key, one in value.items() if (kept := of(one)) != _NOTHING}

    def made(section: str) -> dict[str, Any]:
        return {
            name: of({key: one for key, one in value.items() if key != "Condition"})
            for name, value in template[section].items()
            if "Condition" not in value or conditions[value["Condition"]]
        }

    values = {
        name: {**one, "Default": parameters.get(name, one.get("Default"))}
        for name, one in template["Parameters"].items()
    }
    return {"Parameters": values, "Resources": made("Resources"), "Outputs": made("Outputs")}


def conditions_of(**parameters: str) -> dict[str, bool]:
    """Whether each condition holds."""
    template = transformed()
    conditions = template["Conditions"]

    values = {name: of.get("Default") for name, of in template["Parameters"].items()} | parameters

    def holds(of: dict[str, Any]) -> bool:
        [(kind, operands)] = of.items()
        if kind == "Condition":
            return holds(conditions[operands])
        if kind == "Fn::Equals":
            first, second = (_operand(one, values, holds) for one in operands)
            return bool(first == second)
        both = [holds(one) for one in operands]
        return {"Fn::Not": not both[0], "Fn::And": all(both), "Fn::Or": any(both)}[kind]

    return {name: holds(of) for name, of in conditions.items()}


def _operand(of: Any, values: dict[str, str], holds: Callable[[dict[str, Any]], bool]) -> Any:
    """The value of what a condition compares."""

    def value(of: Any) -> Any:
        return _operand(of, values, holds)

    if not isinstance(of, dict):
        return of
    match of:
        case {"Fn::If": [condition, if_true, if_false]}:
            return value(if_true if holds({"Condition": condition}) else if_false)
        case {"Fn::Select": [position, several]}:
            return value(several)[int(position)]
        case {"Fn::Split": [separator, text]}:
            return value(text).split(separator)
        case {"Fn::Sub": text}:
            return re.sub(r"\${(\w+)}", lambda match: values[match[1]], text)
    # The name of a resource is not empty, whatever it is.
    return values.get(of.get("Ref", ""), of)
