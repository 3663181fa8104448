"""docs/openapi.json says all that a reader and a generated client need, and nothing untrue."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter

from local.openapi import document, examples, problem_examples, webhook_examples
from local.openapi.problems import kinds_of
from local.template import ROOT, read
from synaxis_billing.edge.http.api import Route
from synaxis_billing.errors import BillingError, refusals
from synaxis_billing.webhooks import endpoints, events

DOCUMENT: dict[str, Any] = json.loads(document.PATH.read_text())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation
    for path in DOCUMENT["paths"].values()
    for operation in path.values()
}
# What API Gateway answers by itself.
OF_AWS = {"400", "401", "403", "404", "413", "429", "500", "503", "504"}
# What a client answers by sending the request again.
RETRIED = {"429", "500", "503", "504"}


def routes() -> Iterator[tuple[str, Route]]:
    for function in read({}).functions.values():
        if function.routes:
            for route in function.load().api.routes.values():
                if route.answers:
                    yield document.operation_id(route.call.__name__), route


ROUTES = dict(routes())


def resolved(of: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in of:
        _, *parts = of["$ref"].split("/")
        of = DOCUMENT
        for part in parts:
            of = of[part]
    return of


def test_the_committed_document_is_that_of_the_routes() -> None:
    assert document.PATH.read_text() == document.text(), "run `make openapi`"


def test_an_operation_is_there_for_each_route() -> None:
    assert OPERATIONS.keys() == ROUTES.keys()


def test_the_document_names_its_version_license_and_contact() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = DOCUMENT["info"]
    assert info["version"] == project["version"]
    assert info["license"]["identifier"] == "Apache-2.0"
    assert info["contact"]["name"]
    assert DOCUMENT["openapi"].startswith("3.1")


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_described(name: str) -> None:
    operation = OPERATIONS[name]
    [tag] = operation["tags"]
    assert tag in [of["name"] for of in DOCUMENT["tags"] if of["description"]]
    assert not operation["summary"].endswith(".")
    assert operation["description"].endswith(".")
    for parameter in operation.get("parameters", ()):
        assert parameter["description"].endswith("."), parameter["name"]
    scope = ROUTES[name].scope
    scopes = [scope, "billing:settings"] if ROUTES[name].settings else [scope]
    named = [of["oauth2"] for of in operation.get("security", ()) if "oauth2" in of]
    assert named == ([[of] for of in scopes] if scope else [])
    flow = DOCUMENT["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert scope is None or all(flow["scopes"][of] for of in scopes)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_and_each_of_its_properties_are_described(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema["title"] == name
    # The property that has an enum says what it is.
    assert "enum" in schema or schema["description"], name
    for property_name, of in schema.get("properties", {}).items():
        described = of if "description" in of else resolved(of)
        assert described.get("description"), f"{name}.{property_name}: write a docstring below it"


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_example_is_what_the_operation_takes_and_answers(name: str) -> None:
    route, operation, example = ROUTES[name], OPERATIONS[name], examples.OPERATIONS[name]
    bodies = [parameter for parameter in route.parameters if parameter.place == "body"]
    assert len(bodies) == (example.request is not None)
    for body in bodies:
        body.values.validate_python(example.request)
    shown = operation["responses"][str(route.status)]["content"]["application/json"]
    assert shown["example"] == example.answer
    matches(shown["schema"], example.answer)


def matches(schema: dict[str, Any], value: Any) -> None:
    """Check a value by a JSON schema of the document, as a strict client would."""
    whole = {**schema, "components": DOCUMENT["components"]}
    checker = jsonschema.Draft202012Validator(
        whole, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    checker.validate(value)
    if isinstance(value, dict):
        known = resolved(schema).get("properties", {})
        assert value.keys() <= known.keys()


def test_nothing_has_an_example_that_no_operation_has() -> None:
    assert examples.OPERATIONS.keys() == OPERATIONS.keys()
    assert webhook_examples.WEBHOOKS.keys() == DOCUMENT["webhooks"].keys()


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_problem_has_the_codes_that_are_possible_at_its_status(name: str) -> None:
    possible: dict[str, set[str]] = {}
    for kind in kinds_of(ROUTES[name]):
        possible.setdefault(str(int(kind.status)), set()).add(kind.code)
    for status, codes in possible.items():
        if status in RETRIED:
            continue
        content = resolved(OPERATIONS[name]["responses"][status])["content"]
        problem = content["application/problem+json"]
        schema = resolved(problem["schema"])
        assert set(resolved(schema["properties"]["code"])["enum"]) == codes
        assert problem["examples"].keys() == codes
        for example in problem["examples"].values():
            matches(problem["schema"], example["value"])
        if status in OF_AWS:
            assert content["application/json"]["schema"] == problem["schema"]
            matches(problem["schema"], content["application/json"]["example"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_body_keeps_a_client_from_sending_a_request_again(name: str) -> None:
    for status in RETRIED:
        content = resolved(OPERATIONS[name]["responses"][status])["content"]
        # A generated client parses the body that has a schema, and a proxy may answer anything.
        assert [kind for kind, of in content.items() if "schema" in of] == []
        if (name, status) == ("getHealth", "503"):
            matches({"$ref": "#/components/schemas/Health"}, content["application/json"]["example"])
            continue
        assert content["application/json"]["example"].keys() == {"message"}
        [problem] = content.get("application/problem+json", {}).get("examples", {"": {}}).values()
        assert problem or status in {"500", "504"}
        matches({"$ref": "#/components/schemas/Problem"}, problem.get("value", {}))


@pytest.mark.parametrize("kind", list(refusals()), ids=lambda kind: kind.code)
def test_a_problem_of_any_kind_fits_the_one_that_batches_answer(kind: type[BillingError]) -> None:
    facts: dict[str, Any] = {name: problem_examples.MEMBERS.get(name, []) for name in kind.members}
    matches({"$ref": "#/components/schemas/Problem"}, kind(**facts).problem())


def test_each_type_of_event_is_a_webhook() -> None:
    types = set(TypeAdapter[Any](endpoints.WebhookEventType).json_schema()["enum"])
    assert DOCUMENT["webhooks"].keys() == types == events.BODIES.keys()
    for webhook in DOCUMENT["webhooks"].values():
        content = webhook["post"]["requestBody"]["content"]["application/json"]
        matches(content["schema"], content["example"])
