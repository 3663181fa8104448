"""One OpenAPI document of all functions, and a page to read it."""

import os
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter

from local.servers import package_folder
from local.template import Template
from synaxis_billing.edge.http.api import Route

ASSETS = {"swagger-ui-bundle.min.js": "text/javascript", "swagger-ui.min.css": "text/css"}
TITLE = "Synaxis Billing"
_ABOUT = (
    "All money is a decimal string. On AWS, API Gateway itself answers some of the statuses 401,"
    ' 404, 413, 429 and 503, with `{"message": ...}`.'
)
# What every route can refuse; then those with a token, with a name in the path, of organizations.
_OF_ALL = (400, 413, 429, 503)
_OF_TOKENS = (401, 403)
_OF_NAMES = (404,)
_OF_ORGANIZATIONS = (421,)
_REPLAYED = {"Idempotency-Replayed": {"schema": {"const": "true"}}}
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}}}
_HEADERS = {"idempotency-key": "Idempotency-Key"}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457. Some codes come with members of their own, such as `deficit_usd`.",
    "additionalProperties": True,
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "in": {"type": "string"},
                    "pointer": {"type": "string"},
                    "detail": {"type": "string"},
                },
                "required": ["in", "pointer", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "code", "request_id"],
}


def document(template: Template) -> dict[str, Any]:
    """Return the OpenAPI document of the API, made from the functions' routes and their models."""
    os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "local")
    os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "local")
    routes = [
        (function.name.removesuffix("Function"), route)
        for function in template.functions.values()
        if function.routes
        for route in function.load().api.routes.values()
    ]
    references, schemas = _schemas([route for _, route in routes])
    paths: dict[str, Any] = {}
    for tag, route in routes:
        method, path = route.key.split(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(tag, route, references)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM, **schemas},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


type _References = dict[tuple[str, str, str], Any]


def _schemas(routes: list[Route]) -> tuple[_References, dict[str, Any]]:
    """Return the schema of each route's parameters and answer, and the models that they name."""
    inputs: list[tuple[Any, Any, TypeAdapter[Any]]] = []
    for route in routes:
        inputs += [
            ((route.key, parameter.place, parameter.name), "validation", parameter.values)
            for parameter in route.parameters
            if parameter.place != "caller"
        ]
        answers = TypeAdapter(route.answers)
        inputs.append(((route.key, "answer", ""), "serialization", answers))
    found, definitions = TypeAdapter.json_schemas(
        inputs, ref_template="#/components/schemas/{model}"
    )
    references = {key: schema for (key, _), schema in found.items()}
    return references, definitions.get("$defs", {})


def _operation(tag: str, route: Route, references: _References) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": [tag],
        "operationId": _camel_case(route.call.__name__),
        "summary": route.call.__name__.replace("_", " ").capitalize(),
        "responses": _answers(route, references),
    }
    for status, refusal in _refusals(route).items():
        response = operation["responses"].setdefault(status, refusal)
        # /health answers 503 in its own form too.
        response["content"] = response["content"] | refusal["content"]
        response.update({name: of for name, of in refusal.items() if name == "headers"})
    if route.scope is not None:
        operation["security"] = [{"token": []}]
        operation["description"] = f"Needs a token with the scope `{route.scope}`."
    for parameter in route.parameters:
        schema = references.get((route.key, parameter.place, parameter.name))
        if parameter.place == "body":
            content = {"application/json": {"schema": schema}}
            operation["requestBody"] = {"content": content, "required": parameter.required}
        elif parameter.place != "caller" and parameter.name != "accept":
            operation.setdefault("parameters", []).append(
                {
                    "name": _HEADERS.get(parameter.name, parameter.name),
                    "in": parameter.place,
                    "required": parameter.required,
                    "schema": schema,
                }
            )
    return operation


def _answers(route: Route, references: _References) -> dict[str, Any]:
    content = {"application/json": {"schema": references[route.key, "answer", ""]}}
    content |= {media_type: {"schema": {"type": "string"}} for media_type in route.also}
    replayable = any(parameter.name == "idempotency-key" for parameter in route.parameters)
    return {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": content,
            **({"headers": _REPLAYED} if replayable else {}),
        }
        for status in (route.status, route.other)
        if status is not None
    }


def _refusals(route: Route) -> dict[str, Any]:
    statuses = {*_OF_ALL, *route.refuses}
    if route.scope is not None:
        statuses.update(_OF_TOKENS)
    if "{" in route.key:
        statuses.update(_OF_NAMES)
    if "{organization_id}" in route.key:
        statuses.update(_OF_ORGANIZATIONS)
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": problem,
            **({"headers": _RETRY_AFTER} if status in (429, 503) else {}),
        }
        for status in sorted(statuses)
    }


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def page() -> str:
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{TITLE}</title>"
        "<link rel=stylesheet href=/docs/swagger-ui.min.css><div id=docs></div>"
        "<script src=/docs/swagger-ui-bundle.min.js></script><script>"
        "SwaggerUIBundle({url: '/openapi.json', dom_id: '#docs', persistAuthorization: true,"
        " tryItOutEnabled: true})</script></html>"
    )


def asset(name: str) -> tuple[list[tuple[str, str]], bytes]:
    """The headers and the content of one of ASSETS; Powertools brings them along."""
    folder = package_folder("aws_lambda_powertools") / "event_handler" / "openapi" / "swagger_ui"
    return [("content-type", ASSETS[name])], (folder / name).read_bytes()
