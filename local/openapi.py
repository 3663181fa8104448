"""One OpenAPI document of all functions, and a page to read it."""

import os
from typing import Any

from local.servers import package_folder
from local.template import Template

ASSETS = {"swagger-ui-bundle.min.js": "text/javascript", "swagger-ui.min.css": "text/css"}
TITLE = "Synaxis Billing"
_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
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
        "info": {"title": TITLE, "version": "1", "description": "All money is a decimal string."},
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
                scope = api.scopes[f"{method.upper()} {path}"]
                _finish(operation, scope)
                document["paths"].setdefault(path, {})[method] = operation
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
    operation["responses"].pop("422", None)
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    operation["responses"]["default"] = {"description": "A refusal", "content": problem}
    if scope is not None:
        operation["security"] = [{"token": []}]
        operation["description"] = f"Needs a token with the scope `{scope}`."
