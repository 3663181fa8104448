"""A call and its exchange: what is sent, when it is sent again, and what its answer means.

Nothing here does I/O. An exchange is a generator: it yields a request, and is sent the response or
the error of the transport; or it yields seconds to wait. `client` runs it, with threads or asyncio.
"""

import json
import os
import random
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from urllib.parse import quote
from uuid import UUID

import httpx
from pydantic import BaseModel, ValidationError

from synaxis_billing_client.errors import TooManyRequests, Unanswered, Unavailable, refusal
from synaxis_billing_client.money import to_json

type Sent = httpx.Request | float
type Received = httpx.Response | httpx.TransportError | None
type Steps[T] = Generator[Sent, Received, T]

LONGEST_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Call[T]:
    """One call of a route. `repeatable`: sent twice, it has the effect of once."""

    method: str
    path: str
    answers: Mapping[int, type[Any] | None]
    repeatable: bool
    query: Mapping[str, str] | None = None
    content: bytes | None = None
    key: str | None = None
    accept: str = "application/json"


@dataclass(frozen=True)
class Retries:
    """How often a call is sent: on 429, 5xx and no answer, after `Retry-After`, or after 1 second,
    then twice as long each time, with a random part."""

    attempts: int = 5
    first_wait_seconds: float = 1.0

    def wait_seconds(self, attempt: int, response: httpx.Response | None) -> float:
        told = response.headers.get("retry-after", "") if response is not None else ""
        if told.isdigit():
            return min(float(told), LONGEST_WAIT_SECONDS)
        longest = float(self.first_wait_seconds * 2**attempt)
        return min(longest, LONGEST_WAIT_SECONDS) * (0.5 + random.random() / 2)


def new_key() -> str:
    """A UUIDv7, which grows with time and so costs the database less than a random key."""
    milliseconds = time.time_ns() // 1_000_000
    number = milliseconds << 80 | int.from_bytes(os.urandom(10))
    number = number & ~(0xF << 76) | 7 << 76
    return str(UUID(int=number & ~(0x3 << 62) | 0x2 << 62))


def path_of(template: str, *values: object) -> str:
    """The path with each value quoted, in the order of its names."""
    for value in values:
        start, _, rest = template.partition("{")
        template = start + quote(str(value), safe="") + rest.partition("}")[2]
    return template


def new_call(
    method: str,
    path: str,
    answers: Mapping[int, type[Any] | None],
    *,
    query: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    keyed: bool = False,
    key: str | None = None,
    repeatable: bool = False,
) -> Call[Any]:
    """A call, with a key of its own where the route takes one and the caller gives none."""
    content = None if body is None else json.dumps(to_json(body)).encode()
    return Call(
        method,
        path,
        answers,
        repeatable=repeatable or keyed or method != "POST",
        query={name: _text(of) for name, of in (query or {}).items() if of is not None},
        content=content,
        key=key or new_key() if keyed else None,
    )


def document_of(call: Call[Any], media_type: str) -> Call[bytes]:
    """The call that answers its object as a document."""
    return Call(
        call.method, call.path, {200: bytes}, call.repeatable, call.query, accept=media_type
    )


def next_page[T](call: Call[T], cursor: str) -> Call[T]:
    return replace(call, query={**(call.query or {}), "cursor": cursor})


def exchange[T](base_url: str, call: Call[T], retries: Retries) -> Steps[T]:
    """Send a call until there is an answer that tells what happened. Raises Refused, Unanswered."""
    request = _request(base_url, call)
    for attempt in range(retries.attempts):
        received = yield request
        response = received if isinstance(received, httpx.Response) else None
        try:
            return _answer(call, received)
        except (Unanswered, Unavailable, TooManyRequests) as error:
            # What was refused by 429 was not applied, so it may always be sent again.
            again = call.repeatable or isinstance(error, TooManyRequests)
            if not again or attempt == retries.attempts - 1:
                raise
        yield retries.wait_seconds(attempt, response)
        request = _request(base_url, call)
    raise ValueError("a call needs at least one attempt")


def _request(base_url: str, call: Call[Any]) -> httpx.Request:
    headers = {"accept": call.accept}
    if call.content is not None:
        headers["content-type"] = "application/json"
    if call.key is not None:
        headers["idempotency-key"] = call.key
    return httpx.Request(
        call.method,
        base_url + call.path,
        params=call.query or None,
        headers=headers,
        content=call.content,
    )


def _answer[T](call: Call[T], received: Received) -> T:
    if not isinstance(received, httpx.Response):
        raise Unanswered(f"{call.method} {call.path}: {received!r}") from received
    if received.status_code not in call.answers:
        raise refusal(received)
    kind = call.answers[received.status_code]
    answer: Any = received.content
    if kind is None:
        answer = None
    elif issubclass(kind, BaseModel):
        try:
            answer = kind.model_validate_json(received.content)
        except ValidationError:
            if received.is_success:
                raise
            # A gateway in front of the API answered in place of it.
            raise refusal(received) from None
    return cast(T, answer)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return str(to_json(value, "a time"))
    return str(value)
