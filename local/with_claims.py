"""The handler in front of an API's function in a container of `sam local start-api`, which verifies
no token: the local issuer does, and the function gets the claims as from the JWT authorizer.

local/sam.py puts it beside the function's app.py; `sam build` does not pack it.
"""

import importlib
import json
import os
from typing import Any

from synaxis_billing import web

_function = importlib.import_module("app").handler


def handler(event: dict[str, Any], context: object) -> Any:
    claims = _claims(event["headers"].get("Authorization", ""))
    # Without them the function serves what is open, and refuses the rest by 401.
    if claims:
        event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    return _function(event, context)


def _claims(authorization: str) -> dict[str, str]:
    """Return the claims that the issuer verified; none, if it refuses the token."""
    headers = {"Authorization": authorization}
    status, body = web.request(
        "GET", os.environ["CLAIMS_URL"], headers=headers, most_bytes=64 * 1024
    )
    if status == 401:
        return {}
    if status != 200:
        raise web.NoResponse(f"the issuer answered {status}")
    claims: dict[str, str] = json.loads(body)
    return claims
