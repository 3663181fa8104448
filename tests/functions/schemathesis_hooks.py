"""What schemathesis sends otherwise than it would."""

import itertools
import os
import re
from datetime import datetime
from typing import Any
from uuid import UUID

import schemathesis
from hypothesis import strategies as st

EVERYTHING = "FUZZ" in os.environ
# Usage is one model, whose parts this operation is asked for.
TAKES_USAGE = "POST /v1/organizations/{organization_id}/charges"
WITHIN_USAGE = re.compile("'usage' value: Object|usage -> ")
ZONES = ("UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu")
_numbers = itertools.count(1)
_kept: set[tuple[str, ...]] = set()
# No schema can say that an offset must not lead out of the years 1 to 9999.
schemathesis.openapi.format(
    "date-time",
    st.builds(
        "{}{}".format,
        st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)).map(datetime.isoformat),  # noqa: DTZ001
        st.sampled_from(["Z", "z", "+05:30", "-11:00"]),
    ),
)


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """418.0 is a whole number to a schema, but the API takes nothing that looks like a float."""
    match body:
        case float() if body.is_integer():
            return int(body)
        case list():
            return [map_body(context, of) for of in body]
        case dict():
            return {name: map_body(context, of) for name, of in body.items()}
    return body


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Of the cases that cover the schema, keep the first of those that differ only by the value at
    one place, such as by one wrong type from another; and good ones for an organization only where
    it is not made up. `make fuzz` keeps all."""
    if EVERYTHING or case.meta is None or case.meta.phase.name.value != "coverage":
        return True
    operation, data = context.operation.label, case.meta.phase.data
    if WITHIN_USAGE.search(data.description) and operation != TAKES_USAGE:
        return False
    made_up = "{organization_id}" in operation and os.environ["WHO"] == "platform"
    if made_up and case.meta.generation.mode.is_positive:
        return False
    what = data.description
    if data.scenario.value == "unspecified_http_method":
        what = ""
    place = (str(data.parameter_location), str(data.parameter), str(data.location))
    kind = (operation, case.meta.generation.mode.value, data.scenario.value, what, *place)
    if kind in _kept:
        return False
    _kept.add(kind)
    return True


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Good requests name a time zone that there is, and no cursor, which would be of another list;
    nine of ten have a key and ids of their own, of which schemathesis knows few."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    number = next(_numbers)
    body = case.body if isinstance(case.body, dict) else {}
    if "timezone" in body:
        body["timezone"] = ZONES[number % len(ZONES)]
    case.query.pop("cursor", None)
    for name, value in case.path_parameters.items():
        # It follows an id of an earlier answer that may be null, such as that of a refused event.
        if value in (None, "None"):
            case.path_parameters[name] = str(UUID(int=number))
    if number % 10 == 0:
        return
    for place, name in (
        (case.headers, "Idempotency-Key"),
        (body, "request_id"),
        (body, "reference_id"),
    ):
        if place.get(name):
            place[name] = f"{place[name]} {number}"[-255:]
