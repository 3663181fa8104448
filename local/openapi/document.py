"""The document: info, tags, tokens, paths and webhooks."""

import json
import os
import tomllib
from http import HTTPStatus
from typing import Any, cast

from pydantic import TypeAdapter

from local.openapi import examples, webhook_examples
from local.openapi.examples import Example
from local.openapi.problems import PROBLEM, Problems
from local.openapi.schemas import models_and_names, paragraphs, without_null
from local.template import ROOT, Template, read
from synaxis_billing.edge.http.api import Parameter, Route
from synaxis_billing.edge.http.authorization import SETTINGS
from synaxis_billing.edge.http.requests import BATCH
from synaxis_billing.webhooks import events

PATH = ROOT / "docs/openapi.json"
TITLE = "Synaxis Billing"
_ABOUT = """
    The guide for clients is [docs/integrate.md](docs/integrate.md).

    All money is a string that holds a decimal, `"25.50"`; a JSON number is refused. Times are
    RFC 3339 with an offset. Periods are half-open: `from` is inclusive, `to` exclusive.

    A refusal is a problem (RFC 9457): `code` is for programs, `detail` for people. API Gateway
    itself can answer 400, 401, 403, 404, 413, 429, 500, 503 and 504, with `{"message": ...}`. After
    a 429 or any 5xx, send the request again with the same `Idempotency-Key`.
    """
# The nouns: the description of each, and the parts of paths that are about it.
_TAGS = {
    "Charges": (
        "Credit that calls take when their cost is known.",
        {"charges", "batch", "usage-events", "refused", "traces"},
    ),
    "Holds": ("Credit that is reserved until the cost is known.", {"holds"}),
    "Credit": (
        "Credit that comes in or is put right: top-ups, grants, refunds and adjustments.",
        {"topups", "grants", "refunds", "adjustments"},
    ),
    "Payments": (
        "Money by card and PayPal: buying credit, paying invoices, refunds to payers.",
        {"payments", "payment-events", "payment-link", "payment-links"},
    ),
    "Transactions": ("The changes of credit, each immutable.", {"transactions"}),
    "Usage": ("What calls used, and sums of it.", {"spend-logs", "spending", "forecast", "labels"}),
    "Prices": (
        "The price book: prices of models, quotes, and corrections by later prices.",
        {"prices", "quotes", "reratings", "unpriced-usage"},
    ),
    "Organizations": (
        "Who is billed: profiles, homes and balances.",
        {"organizations", "home", "balance"},
    ),
    "Invoices": (
        "Invoices, from draft to paid, the month end, and revenue.",
        {"invoices", "invoice", "month-end", "revenue"},
    ),
    "Credit notes": ("Credit notes, which reverse invoices.", {"credit-notes"}),
    "Budgets": ("How much a subject may spend in a window.", {"budgets"}),
    "Exchange rates": (
        "Units of each billing currency per US dollar.",
        {"exchange-rates"},
    ),
    "Webhooks": (
        "Endpoints that are told of changes, and what they are told.",
        {"webhook-endpoints", "webhook-events"},
    ),
    "Clients": ("Programs of an organization, and their tokens.", {"clients", "tokens"}),
    "Personal data": ("Export and erasure of personal data.", {"personal-data", "erasures"}),
    "Cache": ("Statistics and invalidation of the cache.", {"cache"}),
    "Health": ("The state of the product itself.", {"health"}),
}
_SCOPES = {
    "billing:charge": "Charges, batches, holds, usage events, spend logs.",
    "billing:topup": "Top-ups, grants and refunds.",
    "billing:admin": "Organizations, prices, adjustments, invoices, credit notes, budgets,"
    " webhook endpoints, personal data, the cache.",
    "billing:pay": "Payments and automatic top-ups of the organization.",
    "billing:settings": "The organization's own addresses, tax id, alerts, budgets and webhook"
    " endpoints; only for a token that names the organization.",
    "billing:read": "All reads but payments, prices, unpriced usage, revenue, clients, personal"
    " data and the cache's statistics.",
    "billing:platform": "All organizations; without it, a token names the one that it may touch.",
}
_SECURITY = {
    "oauth2": {
        "type": "oauth2",
        "description": "A token of the client's own, from the issuer of this deployment.",
        # The document that a stack serves names the stack's own.
        "flows": {"clientCredentials": {"tokenUrl": "/_local/token", "scopes": _SCOPES}},
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token that was issued already.",
    },
}
_REPLAYED = {
    "Idempotency-Replayed": {
        "description": "`true` on an earlier answer to the same key, given again.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
_LINK = {
    "Link": {
        "description": 'The next page, if there is one: `<?...>; rel="next"`, a reference that is'
        " relative to the URL of this one (RFC 8288).",
        "schema": {"type": "string"},
    }
}
_STATUSES = {
    HTTPStatus.OK: "Done.",
    HTTPStatus.CREATED: "Created.",
    HTTPStatus.ACCEPTED: "Kept, to be charged when the model has a price.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database is down; no charges can be taken.",
}
_WEBHOOK_HEADERS = {
    "webhook-id": "Id of the event, the same for each attempt.",
    "webhook-timestamp": "Time of the attempt, in seconds since 1970.",
    "webhook-signature": "Signatures of the id, the timestamp and the body (Standard Webhooks).",
}


def text() -> str:
    """Return docs/openapi.json as it is to be."""
    return json.dumps(document(read({})), indent=2, ensure_ascii=False) + "\n"


def document(template: Template) -> dict[str, Any]:
    """Return the OpenAPI document of the API."""
    os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "local")
    os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "local")
    apis = [function.load().api for function in template.functions.values() if function.routes]
    served = [route for api in apis for route in api.routes.values()]
    routes = [route for route in served if route.answers]
    references, schemas = _schemas(routes)
    refused = Problems(served)
    error = schemas["Refused"]["properties"]["error"]
    schemas["Refused"]["properties"]["error"] = {
        "$ref": f"#/components/schemas/{PROBLEM}",
        "description": error["description"],
    }
    paths: dict[str, Any] = {}
    for route in sorted(routes, key=lambda route: route.key.split(" ")[::-1]):
        method, path = route.key.split(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(route, references, refused)
    webhooks = {name: {"post": _webhook(name, references[name])} for name in events.BODIES}
    return {
        "openapi": "3.1.0",
        "info": _info(),
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": of} for name, (of, _) in _TAGS.items()],
        "paths": paths,
        "webhooks": webhooks,
        "components": {
            "schemas": dict(sorted((schemas | refused.schemas).items())),
            "responses": dict(sorted(refused.responses.items())),
            "securitySchemes": _SECURITY,
        },
    }


def _info() -> dict[str, Any]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        "title": TITLE,
        "version": project["version"],
        "summary": project["description"],
        "description": paragraphs(_ABOUT),
        "contact": {"name": "The maintainers of Synaxis Billing"},
        "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
    }


type _References = dict[Any, dict[str, Any]]


def _schemas(routes: list[Route]) -> tuple[_References, dict[str, Any]]:
    """Return the schema of each route's parameters and answer and of each webhook, and the models
    that they name."""
    inputs: list[tuple[Any, Any, Any]] = []
    for route in routes:
        inputs += [
            ((route.key, parameter.place, parameter.name), "validation", parameter.values)
            for parameter in route.parameters
            if parameter.place != "caller"
        ]
        inputs += [
            ((route.key, "answer", str(status)), "serialization", TypeAdapter(cast(Any, model)))
            for status, model in route.answers.items()
        ]
    inputs += [(name, "serialization", TypeAdapter(of)) for name, of in events.BODIES.items()]
    references, models = models_and_names([(key, mode, of.core_schema) for key, mode, of in inputs])
    for schema in references.values():
        # What is alone in one media type and in a list in another is one model.
        if (item := schema.get("items", {})).get("title"):
            models[item["title"]] = item
            schema["items"] = {"$ref": f"#/components/schemas/{item['title']}"}
    return references, models


def _operation(route: Route, references: _References, refused: Problems) -> dict[str, Any]:
    summary, _, description = paragraphs(str(route.call.__doc__)).partition("\n\n")
    identifier = operation_id(route.call.__name__)
    example = examples.OPERATIONS[identifier]
    operation: dict[str, Any] = {
        "operationId": identifier,
        "tags": [_tag(route)],
        "summary": summary.removesuffix("."),
        "description": description,
    }
    if route.scope is not None:
        scopes = [route.scope, SETTINGS] if route.settings else [route.scope]
        operation["security"] = [*({"oauth2": [scope]} for scope in scopes), {"token": []}]
    parameters = [
        _parameter(parameter, references[route.key, parameter.place, parameter.name])
        for parameter in route.parameters
        if parameter.place in ("path", "query", "header")
        and parameter.name not in ("accept", "authorization")
    ]
    if parameters:
        operation["parameters"] = parameters
    for parameter in route.parameters:
        if parameter.place == "body":
            schema = references[route.key, "body", ""]
            operation["requestBody"] = {
                "content": _bodies(route, schema, example),
                "required": parameter.required,
            }
    refusals = refused.responses_of(route)
    answers = _answers(route, references, example)
    for status in answers.keys() & refusals.keys():
        # /health answers 503 in its own form, or as every route does, also by what is no JSON: with
        # a schema, generated clients would raise for all but the first.
        for content in answers[status]["content"].values():
            del content["schema"]
        answers[status]["content"] |= {"application/problem+json": {}}
    operation["responses"] = dict(sorted((refusals | answers).items()))
    return operation


def _bodies(route: Route, schema: dict[str, Any], example: Example) -> dict[str, Any]:
    """Return the body by media type: that of a batch is an array, of which another is one item."""
    if schema.get("type") != "array":
        return {name: {"schema": schema, "example": example.request} for name in route.takes}
    one = {"schema": schema["items"], "example": example.request}
    many = {"schema": schema, "example": [example.request]}
    return {name: many if name.endswith(BATCH) else one for name in route.takes}


def _answers(route: Route, references: _References, example: Example) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status, model in route.answers.items():
        schema = references[route.key, "answer", str(status)]
        shown = example.other if status == route.other and example.other else example.answer
        content: dict[str, Any] = {"application/json": {"schema": schema, "example": shown}}
        for media_type in route.also:
            binary = {"format": "binary"} if media_type == "application/pdf" else {}
            content[media_type] = {"schema": {"type": "string", **binary}}
        answers[str(status)] = {"description": _STATUSES[HTTPStatus(status)], "content": content}
        if any(parameter.name == "idempotency-key" for parameter in route.parameters):
            answers[str(status)]["headers"] = _REPLAYED
        elif route.also and "next_cursor" in model.model_fields:
            answers[str(status)]["headers"] = _LINK
    return answers


def _parameter(parameter: Parameter, schema: dict[str, Any]) -> dict[str, Any]:
    name = "Idempotency-Key" if parameter.name == "idempotency-key" else parameter.name
    shown = without_null(schema)
    description = shown.pop("description", None) or f"Id of the {_words(name)}."
    found = {
        "name": name,
        "in": parameter.place,
        "required": parameter.required,
        "description": description,
        "schema": shown,
    }
    if name in examples.PARAMETERS:
        found["example"] = examples.PARAMETERS[name]
    return found


def _webhook(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    data = webhook_examples.WEBHOOKS[name]
    body = {"type": name, "timestamp": "2026-03-01T13:00:00Z", "data": data}
    return {
        "operationId": f"on{events.BODIES[name].__name__}",
        "tags": ["Webhooks"],
        "summary": paragraphs(str(events.BODIES[name].__doc__)).removesuffix("."),
        "description": "Signed as Standard Webhooks says; check it by the endpoint's secret. It"
        " comes at least once, and not always in order.",
        "parameters": [
            {
                "name": header,
                "in": "header",
                "required": True,
                "description": description,
                "schema": {"type": "string"},
            }
            for header, description in _WEBHOOK_HEADERS.items()
        ],
        "requestBody": {
            "content": {"application/json": {"schema": schema, "example": body}},
            "required": True,
        },
        "responses": {
            "2XX": {"description": "Taken. Anything else is tried again, after growing delays."}
        },
    }


def _tag(route: Route) -> str:
    for part in reversed(route.key.split("/")):
        for name, (_, parts) in _TAGS.items():
            if part in parts:
                return name
    raise LookupError(f"no tag is about {route.key}: add one to _TAGS")


def _words(name: str) -> str:
    return name.removesuffix("_id").replace("_", " ")


def operation_id(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
