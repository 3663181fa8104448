"""API Gateway's HTTP API in front of the functions, one for each region."""

import asyncio
import contextlib
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local import console, sign_in
from local.events import HttpRequest, HttpResponse, Routes, from_answer, to_event
from local.pool import EventTooLarge, FunctionError, Pool, Throttled
from local.sqs import Sqs
from local.template import Template
from local.tokens import (
    LIFETIME_SECONDS,
    InvalidToken,
    Issuer,
    TokenError,
    TokenRequest,
    read_token_request,
)
from local.triggers import Triggers
from synaxis_billing.errors import (
    BillingError,
    Forbidden,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    TemporarilyUnavailable,
    Unauthenticated,
)

DRAIN_SECONDS = 5
LARGEST_REQUEST_BYTES = 10 * 1024 * 1024
# The request line and the values of the headers.
LARGEST_HEAD_BYTES = 10 * 1024
INTEGRATION_SECONDS = 30
BODY_SECONDS = 30
# What API Gateway itself says, which some clients look for.
_MESSAGES = {
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.NOT_FOUND: "Not Found",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request Entity Too Large",
    HTTPStatus.SERVICE_UNAVAILABLE: "Service Unavailable",
}
# Below it, what a template's queue is to boto3.
QUEUES = "/_local/sqs"
# What the request's token claims, for functions that no authorizer is in front of.
CLAIMS = "/_local/claims"
logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Gateway:
    """The template's routes and functions, and below /_local what only a local gateway has."""

    def __init__(
        self, template: Template, issuer: Issuer, logs: Path, region: str = "local"
    ) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._issuer = issuer
        self._scopes = template.scopes
        self._pools = {name: Pool(of, logs, region) for name, of in template.functions.items()}
        self._people = sign_in.People(template.scopes)
        self._triggers = Triggers(template, self._invoke, region)
        self._sqs = Sqs(template.queue_routes, self._triggers)
        self._late: set[asyncio.Future[Any]] = set()
        self._routes = Routes(
            {route: name for name, of in template.functions.items() for route in of.routes}
        )

    def start(self) -> None:
        self._triggers.start()

    async def stop(self, drain_seconds: float = 0) -> None:
        """Stop, and give the requests that are being served so much time to end."""
        await self._triggers.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_seconds):
                for pool in self._pools.values():
                    await pool.drain()
        for pool in self._pools.values():
            await pool.close()

    async def answer(self, scope: dict[str, Any], receive: Receive) -> HttpResponse:
        request_id = str(uuid.uuid4())
        try:
            request = await _read(scope, receive)
            if _is_local(request.path):
                response = await self._local(request)
            else:
                response = await self._api(request, request_id)
        except BillingError as error:
            response = _refusal(error, request_id)
        except _Unread as error:
            response = _json({"message": error.status.phrase}, error.status)
            response.headers.append(("connection", "close"))
        except EventTooLarge as error:
            response = _refusal(PayloadTooLarge(f"The request is too large: {error}."), request_id)
        except Throttled:
            response = _refusal(
                TemporarilyUnavailable("Too many requests wait already."), request_id
            )
        except (FunctionError, OSError) as error:
            # What happened is in the function's log; API Gateway tells its clients nothing.
            logger.error("%s %s: %s", scope["method"], scope["path"], error)
            response = _json({"message": "Internal Server Error"}, 500)
        return response._replace(headers=[*response.headers, ("apigw-requestid", request_id)])

    async def _api(self, request: HttpRequest, request_id: str) -> HttpResponse:
        if (queued := self._sqs.find(request)) is not None:
            return self._sqs.send(*queued, request, self._claims(request))
        found = self._routes.find(request.method, request.path)
        if found is None:
            raise NotFound("There is no such route.")
        route, name, path_parameters = found
        claims = None if route.open else self._claims(request)
        event = to_event(request, route.key, path_parameters, claims, request_id)
        answer = await self._within_limit(self._pools[name].invoke(event, request_id))
        try:
            return from_answer(answer)
        except ValueError as error:
            raise FunctionError(str(error)) from error

    async def _within_limit(self, invocation: Coroutine[Any, Any, Any]) -> Any:
        """As at API Gateway, the function works on when the client has got its 503."""
        invoked = asyncio.ensure_future(invocation)
        self._late.add(invoked)
        invoked.add_done_callback(self._forget)
        done, _ = await asyncio.wait([invoked], timeout=INTEGRATION_SECONDS)
        if not done:
            raise TemporarilyUnavailable(f"No answer within {INTEGRATION_SECONDS} seconds.")
        return invoked.result()

    def _forget(self, invoked: asyncio.Future[Any]) -> None:
        self._late.discard(invoked)
        # asyncio complains about an error that nobody asks for.
        _ = invoked.cancelled() or invoked.exception()

    async def _local(self, request: HttpRequest) -> HttpResponse:
        # What needs no token is not for the pages of others that this machine's browser shows.
        origin = dict(request.headers).get("origin")
        if origin is not None and urlsplit(origin).hostname not in ("127.0.0.1", "localhost"):
            raise Forbidden("This is for no page of another site.")
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["_local", "claims"]:
                return _json(self._claims(request))
            case "GET", _:
                return await self._page(parts, request)
            case "POST", ["_local", "token"]:
                return await self._token(request)
            case "POST", ["_local", "invoke", name] if name in self._pools:
                return _json(await self._invoke(name, _event(request.body)))
            case "POST", ["_local", "sqs"]:
                return self._sqs.answer(request)
        raise NotFound("There is no such route.")

    async def _page(self, parts: list[str], request: HttpRequest) -> HttpResponse:
        match parts:
            case ["console", *_]:
                return console.answer(request, sign_in.SIGN_IN)
            case ["_local", "authorize"]:
                return await self._people.authorize(request, self._organizations)
            case ["_local", "logout"]:
                return sign_in.end_session()
            case [""]:
                return HttpResponse(307, [("location", "/docs")], b"")
            case ["_local", ".well-known", "openid-configuration"]:
                return _json(self._issuer.discovery())
            case ["_local", ".well-known", "jwks.json"]:
                return _json(self._issuer.key_set())
        raise NotFound("There is no such route.")

    async def _organizations(self, source_ip: str) -> list[dict[str, Any]]:
        token = self._issuer.issue("billing:platform billing:read", None, "sign-in")
        bearer = [("authorization", f"Bearer {token}")]
        request = HttpRequest("GET", "/v1/organizations", "limit=100", bearer, b"", source_ip)
        answered = await self._api(request, str(uuid.uuid4()))
        items: list[dict[str, Any]] = json.loads(answered.body).get("items", [])
        return items

    async def _invoke(self, name: str, event: Any) -> Any:
        return await self._pools[name].invoke(event, str(uuid.uuid4()))

    def _claims(self, request: HttpRequest) -> dict[str, str]:
        try:
            return self._issuer.claims(dict(request.headers).get("authorization"))
        except InvalidToken as error:
            raise Unauthenticated(str(error)) from error

    async def _claimed(self, asked: TokenRequest) -> tuple[str, dict[str, str]]:
        """Return the scopes and further claims of a token: of a client of an organization, what the
        trigger says, as Cognito asks it. Raises TokenError."""
        if asked.metadata is None:
            return asked.scope, {}
        event = {
            "version": "3",
            "triggerSource": "TokenGeneration_ClientCredentials",
            "region": "local",
            "userPoolId": "local",
            "userName": asked.subject,
            "callerContext": {"awsSdkVersion": "none", "clientId": asked.subject},
            "request": {
                "userAttributes": {},
                "groupConfiguration": {},
                "scopes": asked.scope.replace(":", "/").split(),
                "clientMetadata": asked.metadata,
            },
            "response": {},
        }
        try:
            answer = await self._invoke("TokenClaimsFunction", event)
        except FunctionError as error:
            reason = f"PreTokenGeneration failed with error {error}."
            raise TokenError("invalid_request", reason) from error
        said = answer["response"]["claimsAndScopeOverrideDetails"]["accessTokenGeneration"]
        return (
            _without(asked.scope.replace("/", ":"), said["scopesToSuppress"]),
            said["claimsToAddOrOverride"],
        )

    async def _token(self, request: HttpRequest) -> HttpResponse:
        try:
            asked, seconds = self._asked_token(request)
            scope, claims = await self._claimed(asked)
        except TokenError as error:
            response = _json(
                {"error": error.code, "error_description": str(error)}, status=error.status
            )
            if error.status == HTTPStatus.UNAUTHORIZED:
                response.headers.append(("www-authenticate", "Basic"))
        else:
            response = _json(
                {
                    "access_token": self._issuer.issue(
                        scope, asked.organization_id, asked.subject, claims, seconds
                    ),
                    "token_type": "Bearer",
                    "expires_in": seconds,
                }
            )
        response.headers.append(("cache-control", "no-store"))
        return response

    def _asked_token(self, request: HttpRequest) -> tuple[TokenRequest, int]:
        """Return what a token is asked for, and its lifetime."""
        form = dict(parse_qsl(request.body.decode(errors="replace")))
        if form.get("grant_type") == "authorization_code":
            return self._people.redeem(form), sign_in.TOKEN_SECONDS
        authorization = dict(request.headers).get("authorization")
        return read_token_request(request.body, authorization, self._scopes), LIFETIME_SECONDS


def _without(scopes: str, suppressed: list[str]) -> str:
    kept = [one for one in scopes.split() if one.replace(":", "/") not in suppressed]
    return " ".join(kept)


def _event(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError as error:
        raise InvalidRequest("An event is JSON.") from error


class Regions:
    """The gateways of regions, by their ports, as one ASGI application."""

    def __init__(self, gateways: dict[int, Gateway]) -> None:
        self._gateways = gateways

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            gateway = self._gateways[scope["server"][1]]
            await _send(send, await gateway.answer(scope, receive))

    async def replace(self, gateways: dict[int, Gateway]) -> None:
        """Serve by other gateways; the replaced ones end what they serve, if they can soon."""
        replaced, self._gateways = self._gateways, gateways
        for gateway in gateways.values():
            gateway.start()
        for gateway in replaced.values():
            await gateway.stop(DRAIN_SECONDS)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        for gateway in self._gateways.values():
            gateway.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for gateway in self._gateways.values():
            await gateway.stop()
        await send({"type": "lifespan.shutdown.complete"})


def _is_local(path: str) -> bool:
    return path in ("/", "/console") or path.startswith(("/_local/", "/console/"))


class _Unread(Exception):
    """The request is not read to its end, because of its `status`."""

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status


async def _read(scope: dict[str, Any], receive: Receive) -> HttpRequest:
    line = b"%b %b?%b HTTP/1.1" % (
        scope["method"].encode(),
        scope["raw_path"],
        scope["query_string"],
    )
    if len(line) + sum(len(value) for _, value in scope["headers"]) > LARGEST_HEAD_BYTES:
        raise _Unread(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _body(receive)
    except TimeoutError:
        raise _Unread(HTTPStatus.REQUEST_TIMEOUT) from None
    return HttpRequest(
        scope["method"],
        scope["raw_path"].decode("latin-1"),
        scope["query_string"].decode("latin-1"),
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        body,
        scope["client"][0] if scope["client"] else "127.0.0.1",
    )


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Unread(HTTPStatus.BAD_REQUEST)
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_REQUEST_BYTES:
            raise PayloadTooLarge("The body is larger than 10 MB.")
    return bytes(body)


async def _send(send: Send, response: HttpResponse) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in response.headers]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _refusal(error: BillingError, request_id: str) -> HttpResponse:
    body = {**error.problem(), "request_id": request_id}
    if error.status in _MESSAGES:
        body["message"] = _MESSAGES[error.status]
    response = _json(body, int(error.status), "application/problem+json")
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers.append(("www-authenticate", "Bearer"))
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers.append(("retry-after", "1"))
    return response


def _json(body: Any, status: int = 200, content_type: str = "application/json") -> HttpResponse:
    return HttpResponse(status, [("content-type", content_type)], json.dumps(body).encode())
