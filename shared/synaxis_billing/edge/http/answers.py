"""Answers of routes, and problems (RFC 9457), as API Gateway takes them."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel

from synaxis_billing.errors import (
    BillingError,
    InvalidRequest,
    TemporarilyUnavailable,
    TooManyRequests,
)

RETRY_AFTER_SECONDS = 1
# Lambda returns 6 MB, the headers with it.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LARGEST_ANSWER_BYTES = 6 * 1024 * 1024 - 16 * 1024


class File(NamedTuple):
    """A document in place of JSON; one with a name is for a folder of the reader's."""

    content: str | bytes
    media_type: str
    name: str = ""
    headers: Mapping[str, str] = MappingProxyType({})


class Reply[Body: BaseModel](NamedTuple):
    """A route's answer. `replayed` marks an earlier answer given again; `status` is that of the
    route unless set; `file` is sent in place of the body."""

    body: Body
    replayed: bool = False
    status: int = 0
    file: File | None = None


def answer(
    reply: Reply[Any], status: int, varies: bool, query: Mapping[str, str]
) -> dict[str, Any]:
    """Return a route's answer in payload format 2.0; `varies` by the Accept header.

    `query` is that of the request, for the link to the next page of a list. Raises InvalidRequest
    for an answer that Lambda cannot return.
    """
    headers: dict[str, str] = {}
    if varies:
        headers["vary"] = "Accept"
        if cursor := getattr(reply.body, "next_cursor", None):
            headers["link"] = _next_page(query, cursor)
    if reply.file is not None:
        return _fitting(answer_file(reply.file, headers))
    headers["content-type"] = "application/json"
    if reply.replayed:
        headers["idempotency-replayed"] = "true"
    return _fitting(
        {
            "statusCode": reply.status or status,
            "headers": headers,
            "body": reply.body.model_dump_json(by_alias=True),
            "isBase64Encoded": False,
        }
    )


def _next_page(query: Mapping[str, str], cursor: str) -> str:
    """Return the header Link (RFC 8288), relative to the request's URL."""
    # Not at the top: most functions have no such list.
    from urllib.parse import urlencode

    return f'<?{urlencode({**query, "cursor": cursor})}>; rel="next"'


def _fitting(answered: dict[str, Any]) -> dict[str, Any]:
    """Refuse an answer that is too large as the JSON that Lambda returns."""
    body = answered["body"]
    # Few bodies are near the limit: those are counted as they will be sent, with every escape.
    if len(body) > LARGEST_ANSWER_BYTES // 6 and (
        len(json.dumps(body, ensure_ascii=False).encode()) > LARGEST_ANSWER_BYTES
    ):
        raise InvalidRequest(
            "The answer would be larger than 6 MB: ask for a shorter period, a smaller limit or"
            " fewer dimensions."
        )
    return answered


def problem(error: BillingError, request_id: str) -> dict[str, Any]:
    """Return a refusal in payload format 2.0."""
    headers = {"content-type": "application/problem+json"}
    if isinstance(error, (TemporarilyUnavailable, TooManyRequests)):
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    return {
        "statusCode": int(error.status),
        "headers": headers,
        "body": json.dumps({**error.problem(), "request_id": request_id}),
        "isBase64Encoded": False,
    }


def answer_file(file: File, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return a file in payload format 2.0."""
    # Not at the top: most functions send no files.
    import base64

    disposition = {"content-disposition": f'attachment; filename="{file.name}"'}
    return {
        "statusCode": 200,
        "headers": {
            "content-type": file.media_type,
            **(disposition if file.name else {}),
            **file.headers,
            **headers,
        },
        "body": (
            file.content
            if isinstance(file.content, str)
            else base64.b64encode(file.content).decode()
        ),
        "isBase64Encoded": isinstance(file.content, bytes),
    }
