"""From an API Gateway event (HTTP API, payload 2.0) to a call of the core and back."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http import HTTPStatus
from typing import Annotated, Any, NoReturn, get_args
from urllib.parse import unquote
from uuid import UUID

import psycopg
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Header, Query
from aws_lambda_powertools.event_handler.openapi.types import (
    OpenAPIResponse,
    OpenAPIResponseContentModel,
    OpenAPIResponseContentSchema,
)
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel
from pydantic_core import from_json

from synaxis_billing import homes
from synaxis_billing.edge import config, database
from synaxis_billing.errors import (
    BillingError,
    Forbidden,
    InvalidRequest,
    NotFound,
    TemporarilyUnavailable,
    Unauthenticated,
    invalid_field,
)
from synaxis_billing.fields import Key
from synaxis_billing.ledger import Caller
from synaxis_billing.validation import invalid_request

RETRY_AFTER_SECONDS = 1

IdempotencyKey = Annotated[Key, Header(alias="Idempotency-Key")]
OptionalIdempotencyKey = Annotated[Key | None, Header(alias="Idempotency-Key")]

# NUL and halves of surrogate pairs, which PostgreSQL's text does not hold.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")

_FILE = OpenAPIResponseContentSchema(schema={"type": "string"})

Event = dict[str, Any]
Handler = Callable[[Event, LambdaContext], dict[str, Any]]

logger = Logger()
metrics = Metrics()


class Api(APIGatewayHttpResolver):
    """The routes of one function, each with the scope that its caller's token must have."""

    def __init__(self) -> None:
        super().__init__(
            enable_validation=True,
            json_body_deserializer=_json_object,
        )
        self.scopes: dict[str, str | None] = {}
        self.refusals: dict[str, Sequence[int]] = {}
        self.patterns: dict[str, re.Pattern[str]] = {}
        self.parameters: dict[str, set[str]] = {}
        # Without a handler, Powertools would log each refusal as a crash.
        self.exception_handler([RequestValidationError, BillingError, psycopg.Error])(_let_through)
        self.not_found(_no_route)

    def endpoint(
        self,
        route_key: str,
        scope: str | None,
        *,
        status: int = 200,
        other: int | None = None,
        also: Sequence[str] = (),
        refuses: Sequence[int] = (),
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Serve `route_key`, which is written as in the template: "POST /v1/x/{x_id}". `other` is
        a second status with the same answer, `also` are the media types that it answers beside
        JSON, `refuses` the statuses of refusals that most routes do not have."""
        self.scopes[route_key] = scope
        self.refusals[route_key] = refuses
        method, path = route_key.split(" ")
        rule = path.replace("{", "<").replace("}", ">")
        named = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(route_key))
        self.patterns[route_key] = re.compile(named)

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            # Answers are made from the model that they are annotated with, so that Powertools need
            # not validate and serialize them again; the documentation still names it.
            [model] = get_args(function.__annotations__.pop("return"))
            self.parameters[route_key] = set(_query_parameters(function.__annotations__))
            responses = {
                one: OpenAPIResponse(
                    description=HTTPStatus(one).phrase,
                    content={
                        "application/json": OpenAPIResponseContentModel(model=model),
                        **dict.fromkeys(also, _FILE),
                    },
                )
                for one in (status, other)
                if one is not None
            }
            return self.route(rule, method, status_code=status, responses=responses)(function)

        return register

    @property
    def caller(self) -> Caller:
        claims = _claims(self.current_event.raw_event)
        return Caller(tenant=_tenant(claims), subject=claims.get("sub"))


def entry(api: Api, around: Callable[[], AbstractContextManager[None]] = nullcontext) -> Handler:
    """The Lambda handler of an API: every refusal is a problem, every request one metrics line.

    `around` is entered for each invocation.
    """

    def handler(event: Event, context: LambdaContext) -> dict[str, Any]:
        try:
            _require_request(event)
        except BillingError as error:
            return _problem(error, "")
        request_id = event["requestContext"]["requestId"]
        logger.set_correlation_id(request_id)
        with around():
            answer = resolve(event, context, request_id)
        _measure(event["routeKey"], request_id, answer)
        return answer

    def resolve(event: Event, context: LambdaContext, request_id: str) -> dict[str, Any]:
        try:
            _authorize(api, event)
            _refuse_unknown_parameters(api, event)
            _require_json(event)
            with _at_home(event):
                return api.resolve(event, context)
        except BillingError as error:
            return _problem(error, request_id)
        except psycopg.errors.NumericValueOutOfRange:
            return _problem(_beyond_the_column(), request_id)
        except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError) as error:
            database.discard()
            logger.warning("database failed", sqlstate=error.sqlstate, request_id=request_id)
            return _problem(_unavailable(), request_id)

    return handler


def answered(body: BaseModel, *, status: int = 200, replayed: bool = False) -> Response[Any]:
    """The answer, marked when it is an earlier one given again."""
    headers: dict[str, str | list[str]] = {"Idempotency-Replayed": "true"} if replayed else {}
    text = body.model_dump_json(by_alias=True)
    return Response(status, "application/json", text, headers=headers)


def created(answer: tuple[BaseModel, bool]) -> Response[Any]:
    body, replayed = answer
    return answered(body, status=201, replayed=replayed)


def _require_request(event: Event) -> None:
    """Whoever may invoke the function may send it anything: it goes on with a request alone."""
    match event:
        case {
            "routeKey": str(),
            "rawPath": str(),
            "requestContext": {"requestId": str(), "http": {"method": str()}},
        }:
            event["headers"] = event.get("headers") or {}
        case _:
            raise InvalidRequest("This is no request of an HTTP API, payload 2.0.")


def _require_route(api: Api, event: Event) -> None:
    """What the scope and the tenant are checked by is what will be served."""
    pattern = api.patterns.get(event["routeKey"])
    method = event["requestContext"]["http"]["method"]
    found = pattern.fullmatch(f"{method} {event['rawPath']}") if pattern else None
    given = event.get("pathParameters") or {}
    if found is None or {name: unquote(of) for name, of in found.groupdict().items()} != {
        name: unquote(str(of)) for name, of in given.items()
    }:
        _no_route()


def _authorize(api: Api, event: Event) -> None:
    """API Gateway has checked the token; the scope and the tenant are ours to check."""
    _require_route(api, event)
    scope = api.scopes[event["routeKey"]]
    if scope is None:
        return
    claims = _claims(event)
    if not claims:
        raise Unauthenticated("The request carries no token that was checked.")
    if scope not in _scopes(claims):
        raise Forbidden(f"This needs a token with the scope {scope}.")
    tenant = _tenant(claims)
    asked = _asked(event)
    if asked is not None and not _is_uuid(asked):
        raise invalid_request([{"type": "uuid_parsing", "loc": ("path", "organization_id")}])
    if tenant != "*" and asked is not None and UUID(asked) != UUID(tenant):
        raise NotFound("There is no such organization.", code="organization_not_found")


@contextmanager
def _at_home(event: Event) -> Iterator[None]:
    """What this region does not hold, another one may: then it is named."""
    try:
        yield
    except NotFound as error:
        endpoints, asked = config.other_regions(), _asked(event)
        if endpoints and asked and error.code == "organization_not_found":
            homes.check_home(database.connection(), _tenant(_claims(event)), UUID(asked), endpoints)
        raise


def _asked(event: Event) -> str | None:
    """The organization that the path names."""
    named: str | None = (event.get("pathParameters") or {}).get("organization_id")
    return named


def _no_route(_error: object = None) -> NoReturn:
    raise NotFound("There is no such route.")


def _claims(event: Event) -> dict[str, str]:
    """What API Gateway hands on, which is text; none if anything else is among it, or a subject
    that cannot be written down."""
    match event["requestContext"]:
        case {"authorizer": {"jwt": {"claims": dict(claims)}}} if all(
            isinstance(of, str) for of in claims.values()
        ) and not _UNWRITABLE.search(claims.get("sub", "")):
            return claims
    return {}


def _scopes(claims: dict[str, str]) -> list[str]:
    # Cognito writes a resource server's scope with a slash.
    return claims.get("scope", "").replace("billing/", "billing:").split()


def _tenant(claims: dict[str, str]) -> str:
    tenant = claims.get("organization_id")
    if tenant is None and "billing:platform" in _scopes(claims):
        return "*"
    if tenant is None or not _is_uuid(tenant):
        raise Forbidden("The token names no organization.")
    return str(UUID(tenant))


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _require_json(event: Event) -> None:
    """A body is JSON text in UTF-8; what Powertools would take for a form is refused by name."""
    body = event.get("body")
    if not body:
        return
    content_type = event["headers"].get("content-type", "application/json")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise _invalid_body("must be JSON, with Content-Type: application/json")
    if event.get("isBase64Encoded"):
        try:
            event["body"] = base64.b64decode(body).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise _invalid_body("must be UTF-8") from error
        event["isBase64Encoded"] = False
    # The media type has just been checked; its case and parameters are no longer of interest.
    event["headers"]["content-type"] = "application/json"


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise _invalid_body(f"must be JSON: {error}") from error
    if not isinstance(value, dict):
        raise _invalid_body("must be a JSON object")
    return value


def _invalid_body(detail: str) -> InvalidRequest:
    return invalid_field("body", "", detail)


def _beyond_the_column() -> InvalidRequest:
    return InvalidRequest(
        "The balance would be more than the ledger can hold.",
        errors=[{"in": "body", "pointer": "/amount_usd", "detail": "is too much for this balance"}],
    )


def _unavailable() -> TemporarilyUnavailable:
    return TemporarilyUnavailable(
        "The ledger cannot be reached now. Nothing was changed, or a retry with the same"
        " Idempotency-Key tells what was."
    )


def _query_parameters(annotations: dict[str, Any]) -> Iterator[str]:
    for name, annotation in annotations.items():
        for of in getattr(annotation, "__metadata__", ()):
            if isinstance(of, Query):
                yield of.alias or name


def _refuse_unknown_parameters(api: Api, event: Event) -> None:
    # A filter whose name is misspelt would otherwise be an answer to another question.
    for name in event.get("queryStringParameters") or ():
        if name not in api.parameters[event["routeKey"]]:
            raise invalid_field("query", f"/{name}", "is not a parameter here")


def _let_through(error: Exception) -> NoReturn:
    if isinstance(error, RequestValidationError):
        raise invalid_request(error.errors()) from None
    raise error


def _problem(error: BillingError, request_id: str) -> dict[str, Any]:
    headers = {"content-type": "application/problem+json"}
    if isinstance(error, TemporarilyUnavailable):
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    return {
        "statusCode": int(error.status),
        "headers": headers,
        "body": json.dumps({**error.problem(), "request_id": request_id}),
        "isBase64Encoded": False,
    }


def _measure(route_key: str, request_id: str, answer: dict[str, Any]) -> None:
    """One line per request, which CloudWatch reads as a log and as metrics."""
    status = answer["statusCode"]
    metrics.add_metric("Requests", MetricUnit.Count, 1)
    if status >= HTTPStatus.BAD_REQUEST:
        metrics.add_metric("Failed" if status >= 500 else "Refused", MetricUnit.Count, 1)
    if "Idempotency-Replayed" in answer.get("headers", {}):
        metrics.add_metric("Replayed", MetricUnit.Count, 1)
    metrics.add_metadata("route", route_key)
    metrics.add_metadata("status", status)
    metrics.add_metadata("request_id", request_id)
    metrics.flush_metrics()
