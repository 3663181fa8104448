"""Routes of a function: each event of an HTTP API becomes one call of the core and an answer."""

import functools
import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints
from urllib.parse import unquote
from uuid import UUID

import psycopg
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, TypeAdapter, ValidationError

from synaxis_billing.caller import Caller, OrganizationNotFound
from synaxis_billing.edge import database
from synaxis_billing.edge.http.answers import File, Reply, answer, answer_file, problem
from synaxis_billing.edge.http.authorization import authorize
from synaxis_billing.edge.http.parameters import Header, Query, format_parameter
from synaxis_billing.edge.http.requests import (
    JSON,
    Event,
    json_body,
    raw_request,
    require_request,
)
from synaxis_billing.edge.http.revocation import require_active
from synaxis_billing.edge.http.transfer import transfer
from synaxis_billing.edge.invocation import invocation, logger, metrics, write_metrics
from synaxis_billing.edge.settings import settings
from synaxis_billing.errors import (
    BillingError,
    InvalidRequest,
    NotFound,
    TemporarilyUnavailable,
    invalid_field,
)
from synaxis_billing.organizations import residency
from synaxis_billing.validation import invalid_request

Endpoint = Callable[..., Reply[Any] | File]


class Parameter(NamedTuple):
    """An argument of a route, or a field of one that groups the query's: where it comes from, by
    which name, and what may be sent."""

    argument: str
    group: type[BaseModel] | None
    place: str
    name: str
    required: bool
    values: TypeAdapter[Any]


class Route(NamedTuple):
    """`key` is written as in the template: "POST /v1/things/{thing_id}". `scope` is None for a
    route that needs no token; `settings`: billing:settings is enough for a token of the path's
    organization. `other` is a second status, of the same answer or the second of two.
    `takes` are the media types of its body, `also` those that it answers beside JSON, `refuses` the
    refusals that its key does not imply. `invalidates`: a success changes cached values, so what is
    pending is sent at once."""

    key: str
    scope: str | None
    settings: bool
    call: Endpoint
    status: int
    other: int | None
    takes: Sequence[str]
    also: Sequence[str]
    refuses: Sequence[type[BillingError]]
    invalidates: bool

    @property
    def parameters(self) -> list[Parameter]:
        return _parameters(self.key, self.call, (JSON, *self.also))

    @property
    def answers(self) -> dict[int, type[BaseModel]]:
        """The model of the body by status; empty for a route that answers files alone."""
        bodies = get_args(get_type_hints(self.call)["return"])
        if not bodies:
            return {}
        # Reply[One | Other] has two models.
        models: tuple[type[BaseModel], ...] = get_args(bodies[0]) or bodies
        others = {} if self.other is None else {self.other: models[-1]}
        return {self.status: models[0], **others}


class Api:
    """The Lambda handler of a function's routes."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        database.connect_at_start()

    def endpoint(
        self,
        key: str,
        scope: str | None,
        *,
        settings: bool = False,
        status: int = 200,
        other: int | None = None,
        takes: Sequence[str] = (JSON,),
        also: Sequence[str] = (),
        refuses: Sequence[type[BillingError]] = (),
        invalidates: bool = False,
    ) -> Callable[[Endpoint], Endpoint]:
        """Serve a route by the decorated function; see Route.

        The function's arguments are the path's parameters by name, `caller`, `body` or `raw`, and
        what is marked by Query or Header. Its docstring is the summary, and below it the
        description, in the API's document, which leaves out a route that answers a File.
        """

        def register(call: Endpoint) -> Endpoint:
            self.routes[key] = Route(
                key, scope, settings, call, status, other, takes, also, refuses, invalidates
            )
            return call

        return register

    def __call__(self, event: Event, _context: LambdaContext) -> dict[str, Any]:
        """Answer a request: every refusal is a problem, every request one line of metrics."""
        try:
            require_request(event)
        except BillingError as error:
            return problem(error, "")
        request_id = event["requestContext"]["requestId"]
        logger.set_correlation_id(request_id)
        with invocation():
            method = event["requestContext"]["http"]["method"]
            answered = transfer(method, event["headers"], self._answer(event, request_id))
        _measure(event["routeKey"], request_id, answered)
        return answered

    def _answer(self, event: Event, request_id: str) -> dict[str, Any]:
        try:
            route, path = self._match(event)
            caller = _authorize(route, event, path)
            reply = _serve(route, event, path, caller)
            if route.invalidates:
                _drain()
            return (
                answer_file(reply, {})
                if isinstance(reply, File)
                else answer(
                    reply,
                    route.status,
                    bool(route.also),
                    event.get("queryStringParameters") or {},
                )
            )
        except BillingError as error:
            if error.metric:
                metrics.add_metric(error.metric, MetricUnit.Count, 1)
            return problem(error, request_id)
        except psycopg.Error as error:
            return problem(_refusal_of(error, request_id), request_id)

    def _match(self, event: Event) -> tuple[Route, dict[str, str]]:
        """Return the route whose scope is checked and which is served, and its path's parameters:
        the event's key, path and parameters must agree. Raises NotFound."""
        route = self.routes.get(event["routeKey"])
        if route is None:
            raise NotFound
        method = event["requestContext"]["http"]["method"]
        found = _pattern(route.key).fullmatch(f"{method} {event['rawPath']}")
        given = event.get("pathParameters") or {}
        path = {name: unquote(str(value)) for name, value in given.items()}
        if found is None or path != {
            name: unquote(value) for name, value in found.groupdict().items()
        }:
            raise NotFound
        return route, path


@functools.cache
def _pattern(key: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(key)))


@functools.cache
def _parameters(key: str, call: Endpoint, media_types: tuple[str, ...]) -> list[Parameter]:
    hints = get_type_hints(call, include_extras=True)
    del hints["return"]
    defaults = len(call.__defaults__ or ())
    optional = set(list(hints)[len(hints) - defaults :]) if defaults else set()
    parameters = []
    for argument, hint in hints.items():
        place, name = _source(key, argument, hint)
        kind = get_args(hint)[0] if place == "query" else None
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            parameters += [
                Parameter(argument, kind, place, field, False, TypeAdapter(annotation))
                for field, annotation in get_type_hints(kind, include_extras=True).items()
                if field in kind.model_fields
            ]
        else:
            values = TypeAdapter(hint)
            parameters.append(
                Parameter(argument, None, place, name, argument not in optional, values)
            )
            if (place, name) == ("header", "accept"):
                # A link in a browser has no header: the query goes before it.
                values = format_parameter(media_types)
                parameters.append(Parameter(argument, None, "query", "format", False, values))
    return parameters


def _source(key: str, argument: str, hint: Any) -> tuple[str, str]:
    """Return where an argument comes from, and its name there."""
    if argument in ("caller", "body", "raw"):
        return argument, ""
    if f"{{{argument}}}" in key:
        return "path", argument
    marks = hint.__metadata__ if get_origin(hint) is Annotated else ()
    for mark in marks:
        if isinstance(mark, Query):
            return "query", mark.name or argument
        if isinstance(mark, Header):
            return "header", mark.name
    raise TypeError(f"{key}: the argument {argument} has no source")


def _authorize(route: Route, event: Event, path: dict[str, str]) -> Caller:
    if route.scope is None:
        return Caller(tenant="")
    organization_id = path.get("organization_id")
    caller = authorize(event, route.scope, organization_id, settings=route.settings)
    if caller.client is not None:
        require_active(caller)
    return caller


def _serve(route: Route, event: Event, path: dict[str, str], caller: Caller) -> Reply[Any] | File:
    try:
        return route.call(**_arguments(route, event, path, caller))
    except OrganizationNotFound:
        # Another region may hold it: then that region is named.
        others = settings().other_regions
        if others and "organization_id" in path:
            organization_id = UUID(path["organization_id"])
            residency.check_home(database.connection(), caller.tenant, organization_id, others)
        raise


def _arguments(route: Route, event: Event, path: dict[str, str], caller: Caller) -> dict[str, Any]:
    """Return a route's arguments, validated. Raises InvalidRequest."""
    given: dict[str, Any] = {
        "caller": {"": caller},
        "path": path,
        "query": _known_query(route, event),
        "header": event["headers"],
    }
    # Bytes whose signature has to be checked are not for us to parse.
    raw = any(of.place == "raw" for of in route.parameters)
    given |= (
        {"raw": {"": raw_request(event)}} if raw else {"body": {"": json_body(event, route.takes)}}
    )
    arguments: dict[str, Any] = {}
    # The fields of each group that are given; the group itself takes them when all are valid.
    groups: dict[str, tuple[type[BaseModel], dict[str, Any]]] = {
        of.argument: (of.group, {}) for of in route.parameters if of.group is not None
    }
    errors: list[dict[str, Any]] = []
    for parameter in route.parameters:
        value = given[parameter.place].get(parameter.name)
        if value is None:
            if parameter.required:
                errors.append({"type": "missing", "loc": _place(parameter)})
            continue
        try:
            valid = parameter.values.validate_python(value)
        except ValidationError as error:
            errors += _errors(parameter, error)
            continue
        if parameter.group is None:
            arguments[parameter.argument] = valid
        else:
            groups[parameter.argument][1][parameter.name] = valid
    if errors:
        raise invalid_request(errors)
    return arguments | {
        # Its fields are valid already.
        name: group.model_construct(**fields)
        for name, (group, fields) in groups.items()
    }


def _known_query(route: Route, event: Event) -> dict[str, str]:
    """Return the query. Raises InvalidRequest: a misspelt filter would be an answer to another
    question."""
    query: dict[str, str] = event.get("queryStringParameters") or {}
    if not query:
        return query
    known = {parameter.name for parameter in route.parameters if parameter.place == "query"}
    for name in query:
        if name not in known:
            raise invalid_field("query", f"/{name}", "is not a parameter here")
    return query


def _place(parameter: Parameter) -> tuple[str, ...]:
    return ("body",) if parameter.place == "body" else (parameter.place, parameter.name)


def _errors(parameter: Parameter, error: ValidationError) -> list[dict[str, Any]]:
    return [
        {**found, "loc": (*_place(parameter), *found["loc"])}
        for found in error.errors(include_url=False, include_input=False)
    ]


def _drain() -> None:
    # Not at the top: a function without cached values loads no cache.
    from synaxis_billing.edge.cache import drain

    drain()


# Classes of SQLSTATE (PostgreSQL, appendix A). What a retry can mend: a lost connection, a
# deadlock, no resources, a lock that was not had, an operator's intervention, a failing system.
_TEMPORARY = {"08", "40", "53", "55", "57", "58"}
# What no retry can mend: data that cannot be stored, a limit of the server's.
_NEVER = {"22", "54"}


def _refusal_of(error: psycopg.Error, request_id: str) -> BillingError:
    """Return what the database's error is to the client. Raises the error if it is our mistake."""
    state = error.sqlstate or ""
    if isinstance(error, psycopg.errors.NumericValueOutOfRange):
        return invalid_field("body", "/amount_usd", "is too much for this balance")
    # The driver's own have no state.
    if state[:2] in _NEVER or (not state and isinstance(error, psycopg.DataError)):
        return InvalidRequest("The request has a value that cannot be stored.")
    if state and state[:2] not in _TEMPORARY:
        raise error
    database.discard()
    logger.warning("database failed", sqlstate=error.sqlstate, request_id=request_id)
    return _unavailable()


def _unavailable() -> TemporarilyUnavailable:
    return TemporarilyUnavailable(
        "The ledger cannot be reached now. The request was applied once or not at all; the response"
        " to a retry with the same Idempotency-Key tells which."
    )


def _measure(route_key: str, request_id: str, answered: dict[str, Any]) -> None:
    status = answered["statusCode"]
    counts = {"Requests": 1}
    if status >= HTTPStatus.BAD_REQUEST:
        counts["Failed" if status >= 500 else "Refused"] = 1
    if "idempotency-replayed" in answered["headers"]:
        counts["Replayed"] = 1
    write_metrics(counts, route=route_key, status=status, request_id=request_id)
