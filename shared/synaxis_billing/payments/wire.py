"""Calls of a provider's HTTP API."""

import json
from decimal import Decimal
from typing import Any

from synaxis_billing import web
from synaxis_billing.payments.providers import NoAnswer

MOST_BYTES = 4_000_000


def send(method: str, url: str, headers: dict[str, str], body: bytes = b"") -> web.Response:
    """Send a request to a provider. Raises NoAnswer."""
    try:
        return web.request(method, url, headers=headers, body=body, most_bytes=MOST_BYTES)
    except web.NoResponse as error:
        raise NoAnswer(str(error)) from error


def read_json(response: web.Response) -> dict[str, Any]:
    """Return the JSON of a response. Raises NoAnswer."""
    try:
        answer = json.loads(response.body or b"{}", parse_float=Decimal)
    except ValueError:
        raise NoAnswer(f"the answer {response.status} is not JSON") from None
    if not isinstance(answer, dict):
        raise NoAnswer(f"the answer {response.status} is not a JSON object")
    return answer
