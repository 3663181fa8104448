"""Requests: from an event of an HTTP API (payload format 2.0) to a route's arguments."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from pydantic_core import from_json

from synaxis_billing.errors import InvalidRequest, UnsupportedMediaType, invalid_field

Event = dict[str, Any]

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
# A media type whose document is an array; that of any other is an object.
BATCH = "-batch+json"


class Raw(NamedTuple):
    """A request as it came: the bytes of its body, and its headers by their names in lower case."""

    body: bytes
    headers: dict[str, str]


def require_request(event: Event) -> None:
    """Refuse an event that is not a request, since anything may be sent to a function."""
    match event:
        case {
            "routeKey": str(),
            "rawPath": str(),
            "requestContext": {"requestId": str(), "http": {"method": str()}},
        }:
            # API Gateway sends the names in lower case; `sam local` does not.
            headers = event.get("headers") or {}
            event["headers"] = {name.lower(): value for name, value in headers.items()}
        case _:
            raise InvalidRequest(
                "The event is not an API Gateway HTTP API request (payload version 2.0)."
            )


def json_body(event: Event, takes: Sequence[str] = (JSON,)) -> Any:
    """Return the body, a JSON object in UTF-8 (or a form), or an array where the media type is that
    of a batch; None where there is none. `takes` are the media types that the route takes.

    Raises InvalidRequest, UnsupportedMediaType.
    """
    body = event.get("body")
    if not body:
        return None
    if event["headers"].get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType
    media_type = event["headers"].get("content-type", takes[0]).partition(";")[0].strip().lower()
    if media_type not in takes:
        forms = "JSON or a form" if FORM in takes else "JSON"
        raise _invalid_body(f"must be {forms}, with Content-Type: {' or '.join(takes)}")
    body = _text(event, body)
    if media_type == FORM:
        return _unique(parse_qsl(body))
    value = parse_json(body)
    kind, named = (list, "array") if media_type.endswith(BATCH) else (dict, "object")
    if not isinstance(value, kind):
        raise _invalid_body(f"must be a JSON {named}")
    return value


def parse_json(body: str) -> Any:
    """Return the value of a JSON text that names each member once. Raises InvalidRequest."""
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise _invalid_body(f"must be JSON: {error}") from error
    # The parser above keeps the last of two members of one name.
    _EACH_MEMBER_ONCE.decode(body)
    return value


def raw_request(event: Event) -> Raw:
    """Return the request as it came. API Gateway writes some bodies in Base64. Raises
    InvalidRequest."""
    body = event.get("body") or ""
    try:
        encoded = event.get("isBase64Encoded")
        decoded = base64.b64decode(body, validate=True) if encoded else body.encode()
    except (binascii.Error, UnicodeEncodeError) as error:
        raise _invalid_body("must be the bytes that were sent") from error
    return Raw(decoded, event["headers"])


def _text(event: Event, body: str) -> str:
    if not event.get("isBase64Encoded"):
        return body
    try:
        return base64.b64decode(body).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _invalid_body("must be UTF-8") from error


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in found if names.count(name) > 1)
        raise _invalid_body(
            f"must name each member once, and names {json.dumps(twice[:200])} again"
        )
    return found


_EACH_MEMBER_ONCE = json.JSONDecoder(object_pairs_hook=_unique)


def _invalid_body(rule: str) -> InvalidRequest:
    return invalid_field("body", "", rule)
