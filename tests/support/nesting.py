"""Merges the stacks below the template into it, so that a test sees what they make together."""

from collections.abc import Callable
from typing import Any

Template = dict[str, Any]


def merge(template: Template, stack: str, inner: Template) -> Template:
    """Replace the resource `stack` by the resources of its template `inner`, its parameters by what
    is passed to it, and references to its outputs by their values."""
    template = {**template, "Resources": {**template["Resources"]}}
    outer = template["Resources"].pop(stack)
    passed = outer["Properties"]["Parameters"]
    # CloudFormation refuses a parameter that is missing, and one that is not declared.
    assert passed.keys() == inner["Parameters"].keys()
    inner = _inline(inner, passed, stack)
    resources = inner["Resources"]
    assert not resources.keys() & template["Resources"].keys()
    conditions = {**template["Conditions"], **inner["Conditions"]}
    if gate := outer.get("Condition"):
        for resource in resources.values():
            resource["Condition"] = _both(conditions, gate, resource.get("Condition"))
    values = {f"Outputs.{name}": output["Value"] for name, output in inner["Outputs"].items()}
    merged = {**template, "Resources": {**template["Resources"], **resources}}
    return {**_take_outputs(merged, stack, values), "Conditions": conditions}


def _both(conditions: Template, gate: str, condition: str | None) -> str:
    if condition is None:
        return gate
    both = f"{gate}And{condition}"
    conditions[both] = {"Fn::And": [{"Condition": gate}, {"Condition": condition}]}
    return both


def _inline(inner: Template, passed: dict[str, Any], stack: str) -> Template:
    """The template with its parameters replaced, and the stack's name before its conditions'."""

    def inline(value: Any) -> Any:
        if isinstance(value, list):
            return [inline(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {"Ref"}:
            return passed.get(value["Ref"], value)
        if value.keys() == {"Fn::Sub"}:
            return _substitute(value["Fn::Sub"], passed, inline)
        if value.keys() == {"Fn::If"}:
            condition, *ways = value["Fn::If"]
            return {"Fn::If": [stack + condition, *inline(ways)]}
        replaced = {key: inline(item) for key, item in value.items()}
        # Of a resource, of an output, or a reference; but not of a policy's statement.
        if isinstance(replaced.get("Condition"), str):
            replaced["Condition"] = stack + replaced["Condition"]
        return replaced

    conditions = {stack + name: inline(item) for name, item in inner["Conditions"].items()}
    sections = {name: inline(inner[name]) for name in ("Resources", "Outputs")}
    return {**sections, "Conditions": conditions}


def _substitute(of: Any, passed: dict[str, Any], inline: Callable[[Any], Any]) -> Template:
    """Fn::Sub, with the parameters that its text names among its values."""
    text, given = (of, {}) if isinstance(of, str) else (of[0], inline(of[1]))
    named = {name: value for name, value in passed.items() if f"${{{name}}}" in text}
    return {"Fn::Sub": [text, {**named, **given}] if named or given else text}


def _take_outputs(template: Template, stack: str, values: dict[str, Any]) -> Template:
    def take(value: Any) -> Any:
        if isinstance(value, list):
            return [take(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {"Fn::GetAtt"} and value["Fn::GetAtt"][0] == stack:
            return values[value["Fn::GetAtt"][1]]
        return {key: take(item) for key, item in value.items()}

    taken: Template = take(template)
    assert f"${{{stack}." not in str(taken), "Fn::Sub takes an output by Fn::GetAtt here."
    return taken
