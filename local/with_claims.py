"""In front of an API's function in a container of `sam local start-api`, which checks no token: the
local issuer does, and the function is told the claims as the JWT authorizer tells it.

There it lies beside the function's app.py; it is no part of what `sam build` packs.
"""

import importlib
import json
import os
import urllib.error
import urllib.request
from typing import Any

_function = importlib.import_module("app").handler


def handler(event: dict[str, Any], context: object) -> Any:
    claims = _claims(event["headers"].get("Authorization", ""))
    # Without them the function serves what is open, and refuses the rest by 401.
    if claims:
        event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    return _function(event, context)


def _claims(authorization: str) -> dict[str, str]:
    """None, if the issuer does not believe the token."""
    asked = urllib.request.Request(
        os.environ["CLAIMS_URL"], headers={"authorization": authorization}
    )
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            claims: dict[str, str] = json.load(answer)
            return claims
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
        return {}
