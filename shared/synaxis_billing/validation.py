"""Errors of pydantic in the product's own words."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from synaxis_billing.errors import MOST_ERRORS, InvalidRequest, invalid_fields
from synaxis_billing.idempotency import IdempotencyKeyRequired

# Of a member's name in a pointer: a client can send one of any length.
_LONGEST_NAME = 200
_KEY = ("/idempotency-key", "/idempotency_key")
# In place of messages of pydantic that name Python's types.
_RULES = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be a string",
    "string_pattern_mismatch": "has a character that is not allowed",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "list_type": "must be a JSON array",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "json_invalid": "must be JSON",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "timezone_aware": "must have an offset, such as Z",
    "datetime_from_date_parsing": "is not a valid date and time",
    "datetime_parsing": "is not a valid date and time",
}


def invalid_request(errors: Iterable[Mapping[str, Any]]) -> InvalidRequest:
    """Return the refusal that names each bad field by JSON pointer (RFC 6901) and the rule it
    breaks."""
    found = [_field_error(error) for error in errors]
    if any(error["pointer"].endswith(_KEY) and error["detail"] == "is required" for error in found):
        return IdempotencyKeyRequired(errors=found[:MOST_ERRORS])
    return invalid_fields(found)


def _field_error(error: Mapping[str, Any]) -> dict[str, str]:
    place, *path = error["loc"] or ("body",)
    return {"in": str(place), "pointer": pointer(path), "detail": rule(error)}


def rule(error: Mapping[str, Any]) -> str:
    """Return the rule that one of pydantic's errors found broken; it completes "<field> ..."."""
    said = str(error.get("msg")).removeprefix("Value error, ").partition(" after validation")[0]
    said = re.sub("^(Input|String|List|Tuple) should", "must", said)
    return _RULES.get(error["type"], said)


def pointer(path: Sequence[object]) -> str:
    """Return the JSON pointer (RFC 6901) of a path of names and positions; a very long name is
    cut."""
    return "".join("/" + _cut(str(part)).replace("~", "~0").replace("/", "~1") for part in path)


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
