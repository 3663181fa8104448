"""One OpenAPI document of all functions, and a page to read it."""

import os
from http import HTTPStatus
from typing import Any

from local.servers import package_folder
from local.template import Template

ASSETS = {"swagger-ui-bundle.min.js": "text/javascript", "swagger-ui.min.css": "text/css"}
TITLE = "Synaxis Billing"
_ABOUT = (
    "All money is a decimal string. On AWS, API Gateway itself answers some of the statuses 401,"
    ' 404, 413, 429 and 503, with `{"message": ...}`.'
)
# What every route can refuse; then those with a token, with a name in the path, of organizations.
_OF_ALL = (400, 413, 503)
_OF_TOKENS = (401, 403)
_OF_NAMES = (404,)
_OF_ORGANIZATIONS = (421,)
_REPLAYED = {"Idempotency-Replayed": {"schema": {"const": "true"}}}
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}}}
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
    """The API as the functions' own routes and models declare it."""
    os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "local")
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": {},
        "components": {
            "schemas": {"Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    for function in template.functions.values():
        if not function.routes:
            continue
        api = function.load().api
        schema = api.get_openapi_schema(title=TITLE, version="1").model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
        document["components"]["schemas"] |= schema.get("components", {}).get("schemas", {})
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                route_key = f"{method.upper()} {path}"
                operation["tags"] = [function.name.removesuffix("Function")]
                _finish(operation, api.scopes[route_key])
                _refuse(operation, _refusals(api, route_key))
                document["paths"].setdefault(path, {})[method] = operation
    # Powertools' own, which no route answers.
    for name in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


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


def _finish(operation: dict[str, Any], scope: str | None) -> None:
    operation["summary"] = operation["operationId"].split("_v1_")[0].replace("_", " ").capitalize()
    if any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", ())):
        for response in operation["responses"].values():
            response["headers"] = _REPLAYED
    if scope is not None:
        operation["security"] = [{"token": []}]
        operation["description"] = f"Needs a token with the scope `{scope}`."


def _refusals(api: Any, route_key: str) -> list[int]:
    statuses = {*_OF_ALL, *api.refusals[route_key]}
    if api.scopes[route_key] is not None:
        statuses.update(_OF_TOKENS)
    if "{" in route_key:
        statuses.update(_OF_NAMES)
    if "{organization_id}" in route_key:
        statuses.update(_OF_ORGANIZATIONS)
    return sorted(statuses)


def _refuse(operation: dict[str, Any], statuses: list[int]) -> None:
    # Powertools' own, which no route answers.
    operation["responses"].pop("422", None)
    for status in statuses:
        response = operation["responses"].setdefault(
            str(status), {"description": HTTPStatus(status).phrase, "content": {}}
        )
        problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
        response["content"]["application/problem+json"] = problem
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            response["headers"] = _RETRY_AFTER
