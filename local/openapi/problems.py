"""What an operation answers when it refuses, from the classes of its refusals."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

from local.openapi.problem_examples import MEMBERS, PROBLEMS
from local.openapi.story import REQUEST_ID
from synaxis_billing.caller import OrganizationNotFound
from synaxis_billing.edge.http.api import Route
from synaxis_billing.errors import (
    BillingError,
    Forbidden,
    InvalidRequest,
    Misdirected,
    NotFound,
    PayloadTooLarge,
    TemporarilyUnavailable,
    TooManyRequests,
    Unauthenticated,
    UnsupportedMediaType,
)
from synaxis_billing.events.usage_events import EventTooLate
from synaxis_billing.idempotency import IdempotencyKeyRequired, IdempotencyKeyReused

type Schemas = dict[str, Any]
type Kind = type[BillingError]

PROBLEM = "Problem"
# API Gateway answers these by itself too, with a body of its own.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html
_GATEWAY = {
    HTTPStatus.BAD_REQUEST: "Bad Request",
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "Not Found",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request Entity Too Large",
    HTTPStatus.TOO_MANY_REQUESTS: "Too Many Requests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal Server Error",
    HTTPStatus.SERVICE_UNAVAILABLE: "Service Unavailable",
    HTTPStatus.GATEWAY_TIMEOUT: "Endpoint request timed out",
}
# A client sends the request again, whatever the body is. So these come without a schema, and a
# generated client does not parse the body: a proxy may answer HTML or nothing.
_RETRIED = {
    HTTPStatus.TOO_MANY_REQUESTS: "More requests come than the API takes, or this organization"
    " alone has too much under way (`too_many_requests`); nothing was changed. Send the request"
    " again with the same Idempotency-Key after the seconds that `Retry-After` names, if it is"
    " there.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A function crashed. The request was applied once or not at"
    " all; send it again with the same Idempotency-Key.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The service cannot answer now (`temporarily_unavailable`). The"
    " request was applied once or not at all; send it again with the same Idempotency-Key.",
    HTTPStatus.GATEWAY_TIMEOUT: "No function answered in time. The request was applied once or not"
    " at all; send it again with the same Idempotency-Key.",
}
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to send the request again.",
        "schema": {"type": "integer"},
    }
}
_PLACES = ["body", "query", "path", "header"]
_FIELD_ERROR = {
    "type": "object",
    "title": "FieldError",
    "description": "A field of the request that breaks a rule.",
    "properties": {
        "in": {"type": "string", "enum": _PLACES, "description": "The field's place."},
        "pointer": {"type": "string", "description": "JSON pointer (RFC 6901) to the field."},
        "detail": {"type": "string", "description": "The rule, which completes a sentence."},
    },
    "required": ["in", "pointer", "detail"],
}
_COMMON: Schemas = {
    "type": {"type": "string", "description": "A URN that names the kind of problem."},
    "title": {"type": "string", "description": "The kind of problem in words."},
    "status": {"type": "integer", "description": "The HTTP status."},
    "detail": {"type": "string", "description": "What is wrong, for people."},
    "code": {},
    "request_id": {"type": "string", "description": "Id of the request in the logs."},
}
_MESSAGE = {
    "type": ["string", "null"],
    "description": "The only member of a body that API Gateway itself answers.",
}


def kinds_of(route: Route) -> list[Kind]:
    """Return the refusals of a route: those that its key implies, and its own."""
    kinds: list[Kind] = [InvalidRequest]
    keys = [parameter for parameter in route.parameters if parameter.name == "idempotency-key"]
    if any(parameter.required for parameter in keys):
        kinds.append(IdempotencyKeyRequired)
    if route.scope is not None:
        kinds += [Unauthenticated, Forbidden]
    if "{" in route.key or any(issubclass(kind, NotFound) for kind in route.refuses):
        kinds.append(NotFound)
    if "{organization_id}" in route.key:
        kinds += [OrganizationNotFound, Misdirected]
    kinds += route.refuses
    if keys:
        kinds.append(IdempotencyKeyReused)
    if any(parameter.place == "body" for parameter in route.parameters):
        kinds.append(UnsupportedMediaType)
    return [*kinds, PayloadTooLarge, TemporarilyUnavailable]


class Problems:
    """The components of all refusals of the routes."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.schemas: Schemas = {"FieldError": _FIELD_ERROR}
        self.responses: Schemas = {}
        kinds = {kind for route in routes for kind in kinds_of(route)}
        # With which the gateway, or an item of a batch alone, is refused.
        kinds |= {TooManyRequests, EventTooLate}
        ordered = sorted(kinds, key=lambda kind: (kind.status, kind.code))
        self._define(PROBLEM, ordered, "A refusal (RFC 9457), of any kind.")

    def responses_of(self, route: Route) -> dict[str, Any]:
        """Return a route's refusals by status, as references to components."""
        by_status: dict[HTTPStatus, list[Kind]] = {}
        for kind in kinds_of(route):
            by_status.setdefault(kind.status, []).append(kind)
        found = {
            status: self._refusal(kinds)
            for status, kinds in by_status.items()
            if status not in _RETRIED
        }
        for status, description in _RETRIED.items():
            content = {"application/json": {"example": {"message": _GATEWAY[status]}}}
            response: Schemas = {"description": description, "content": content}
            for kind in (TooManyRequests, TemporarilyUnavailable):
                if kind.status == status:
                    content["application/problem+json"] = {"examples": _examples([kind])}
                    response["headers"] = _RETRY_AFTER
            found[status] = self._response(status.phrase.replace(" ", ""), response)
        return {str(int(status)): reference for status, reference in found.items()}

    def _refusal(self, kinds: Sequence[Kind]) -> Schemas:
        [status] = {kind.status for kind in kinds}
        name = _name(kinds)
        description = " ".join(_sentence(kind) for kind in kinds)
        schema = self._define(f"{name}Problem", kinds, description)
        content = {"application/problem+json": {"schema": schema, "examples": _examples(kinds)}}
        if status in _GATEWAY:
            message = {"message": _GATEWAY[status]}
            content["application/json"] = {"schema": schema, "example": message}
        lines = [f"`{kind.code}`: {_sentence(kind)}" for kind in kinds]
        return self._response(name, {"description": "\n\n".join(lines), "content": content})

    def _response(self, name: str, response: Schemas) -> Schemas:
        assert self.responses.setdefault(name, response) == response, name
        return {"$ref": f"#/components/responses/{name}"}

    def _define(self, name: str, kinds: Sequence[Kind], description: str) -> Schemas:
        codes = f"{name}Code"
        self.schemas[codes] = {
            "type": "string",
            "title": codes,
            "description": "The kind of problem, for programs.",
            "enum": [kind.code for kind in kinds],
        }
        code = {"$ref": f"#/components/schemas/{codes}"}
        self.schemas[name] = _schema(name, kinds, description, code)
        return {"$ref": f"#/components/schemas/{name}"}


def _name(kinds: Sequence[Kind]) -> str:
    """Return a name such as OrganizationOrHoldNotFound."""
    own = [kind.__name__ for kind in kinds if kind is not NotFound] or [NotFound.__name__]
    if all(name.endswith("NotFound") for name in own):
        own = [*(name.removesuffix("NotFound") for name in own[:-1]), own[-1]]
    return "Or".join(own)


def _schema(name: str, kinds: Sequence[Kind], description: str, code: Schemas) -> Schemas:
    properties = {**_COMMON, "code": code, **_members(kinds)}
    found: Schemas = {
        "type": "object",
        "title": name,
        "description": description,
        "properties": properties,
    }
    # A body of API Gateway's own has none of the other members.
    if any(kind.status in _GATEWAY for kind in kinds):
        properties["message"] = _MESSAGE
    else:
        always = kinds[0].members if len(kinds) == 1 else {}
        found["required"] = [*_COMMON, *always]
    return found


# Of a budget: the organization has no id of its own here, and a lifetime no end.
_NULLABLE = {"subject_id", "resets_at"}


def _members(kinds: Iterable[Kind]) -> Schemas:
    found: Schemas = {}
    for kind in kinds:
        for name, description in kind.members.items():
            shape: Schemas = {"type": ["string", "null"] if name in _NULLABLE else "string"}
            if name == "errors":
                shape = {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}}
            found.setdefault(name, {**shape, "description": description})
    return found


def _sentence(kind: Kind) -> str:
    return " ".join(str(kind.__doc__).split())


def _examples(kinds: Iterable[Kind]) -> Schemas:
    return {kind.code: {"value": _example(kind)} for kind in kinds}


def _example(kind: Kind) -> dict[str, Any]:
    facts = PROBLEMS.get(kind.code) or {name: MEMBERS[name] for name in kind.members}
    return {**kind(**facts).problem(), "request_id": REQUEST_ID}
