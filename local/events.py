"""Conversion of HTTP to the events of an API Gateway HTTP API (payload 2.0), and of a function's
answer back.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import binascii
import json
import re
import time
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from local.template import Route

Event = dict[str, Any]
_HOST = "127.0.0.1"
_TEXT = re.compile(r"text/|application/(json|xml|javascript)\b|application/[\w.-]+\+(json|xml)\b")


class HttpRequest(NamedTuple):
    """A request. `path` is still percent-encoded; header names are lower-case."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    source_ip: str


class HttpResponse(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Routes:
    """The routes of an API. A request takes the most specific that matches, as at API Gateway."""

    def __init__(self, routes: dict[Route, str]) -> None:
        self._ranked = sorted(
            ((_pattern(route.key), route, name) for route, name in routes.items()),
            key=lambda one: one[1].key.count("{"),
        )

    def find(self, method: str, path: str) -> tuple[Route, str, dict[str, str]] | None:
        """Return the route, its function's name and the decoded parameters of the path."""
        for pattern, route, name in self._ranked:
            if found := pattern.fullmatch(f"{method} {path}"):
                return route, name, {key: unquote(of) for key, of in found.groupdict().items()}
        return None


def _pattern(route_key: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", route_key)
    return re.compile(
        "".join(f"(?P<{part}>[^/]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    )


def to_event(
    request: HttpRequest,
    route_key: str,
    path_parameters: dict[str, str],
    claims: dict[str, str] | None,
    request_id: str,
) -> Event:
    """Return the event that API Gateway would send for the request; empty fields are left out."""
    headers, cookies = _event_headers(request, request_id)
    path = unquote(request.path)
    context: Event = {
        "accountId": "000000000000",
        "apiId": "local",
        "domainName": headers.get("host", _HOST),
        "domainPrefix": "local",
        "http": {
            "method": request.method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.source_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": route_key,
        "stage": "$default",
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
        "timeEpoch": int(time.time() * 1000),
    }
    if claims is not None:
        context["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    body, encoded = _event_body(request.body, headers.get("content-type", ""))
    event: Event = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": encoded,
    }
    optional = {
        "cookies": cookies,
        "queryStringParameters": _query(request.query),
        "pathParameters": path_parameters,
        "body": body,
    }
    return event | {name: value for name, value in optional.items() if value}


def _event_headers(request: HttpRequest, request_id: str) -> tuple[dict[str, str], list[str]]:
    """Return the headers, those that API Gateway adds among them, and the cookies."""
    headers: dict[str, str] = {}
    cookies = []
    for name, value in request.headers:
        if name == "cookie":
            cookies += [cookie.strip() for cookie in value.split(";")]
        else:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    host = headers.get("host", _HOST)
    headers |= {
        "x-forwarded-for": request.source_ip,
        "x-forwarded-port": host.rpartition(":")[2] if ":" in host else "80",
        "x-forwarded-proto": "http",
        "x-amzn-trace-id": f"Root=1-{int(time.time()):08x}-{request_id.replace('-', '')[:24]}",
    }
    return headers, cookies


def _query(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        values[name] = f"{values[name]},{value}" if name in values else value
    return values


def _event_body(body: bytes, content_type: str) -> tuple[str, bool]:
    if _TEXT.match(content_type.lower()):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), bool(body)


def from_answer(answer: Any) -> HttpResponse:
    """Return the response that API Gateway sends for a function's answer. Raises ValueError for a
    malformed one."""
    if not isinstance(answer, dict) or "statusCode" not in answer:
        # Payload 2.0: anything else is the body of a 200.
        whole = answer if isinstance(answer, str) else json.dumps(answer)
        return HttpResponse(200, [("content-type", "application/json")], whole.encode())
    headers = {
        str(name).lower(): str(value) for name, value in (answer.get("headers") or {}).items()
    }
    headers.setdefault("content-type", "text/plain;charset=UTF-8")
    text = answer.get("body") or ""
    try:
        encoded = answer.get("isBase64Encoded")
        body = base64.b64decode(text, validate=True) if encoded else text.encode()
        status = int(answer["statusCode"])
    except (AttributeError, TypeError, UnicodeEncodeError, binascii.Error) as error:
        raise ValueError("the function's answer is malformed") from error
    cookies = [("set-cookie", str(cookie)) for cookie in answer.get("cookies") or []]
    return HttpResponse(status, [*headers.items(), *cookies], body)
