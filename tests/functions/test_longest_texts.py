"""Whatever text the contract allows can be stored: no length and no script is a failure."""

import copy
import itertools
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from local.template import ROOT
from tests.support.running import Client

DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text())
# Of one, two, three and four bytes in UTF-8.
LETTERS = {"one": "a", "two": "é", "three": "水", "four": "😀"}
NO_NUL = r"^[^\x00]*$"
_keys = itertools.count(1)


class Text(NamedTuple):
    """A text of a body by its path, and its greatest length."""

    path: tuple[str, ...]
    length: int


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, without references, and without null where there is something else."""
    while True:
        if "$ref" in schema:
            schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = next(one for one in schema["anyOf"] if one.get("type") != "null")
        else:
            return schema


def texts(schema: dict[str, Any], parents: tuple[str, ...] = ()) -> Iterator[Text]:
    """Every free text of a body."""
    for name, of in resolved(schema).get("properties", {}).items():
        field = resolved(of)
        if field.get("type") == "object":
            yield from texts(field, (*parents, name))
        elif field.get("pattern", NO_NUL) == NO_NUL and "maxLength" in field:
            yield Text((*parents, name), field["maxLength"])


def operations() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    for route, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody")
            # Events contain charges.
            if content := (body or {}).get("content", {}).get("application/json"):
                yield f"{method.upper()}", route, content["schema"], content["example"]


# Time zones and regions are names that exist.
NAMES = {"timezone", "region", "kind"}
# Its texts are those of a client that exists.
TOKENS = "/v1/tokens"
CASES = [
    pytest.param(method, route, schema, example, id=f"{method} {route}")
    for method, route, schema, example in operations()
    if route != TOKENS and any(text.path[-1] not in NAMES for text in texts(schema))
]


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
@pytest.mark.parametrize(("method", "route", "schema", "example"), CASES)
def test_the_longest_texts_are_taken(
    api: Client,
    method: str,
    route: str,
    schema: dict[str, Any],
    example: dict[str, Any],
    letter: str,
) -> None:
    organization = api.new_organization("1000")
    number = next(_keys)
    body = copy.deepcopy(example)
    body.pop("id", None)
    for text in texts(schema):
        *parents, name = text.path
        place = body
        for parent in parents:
            place = place.get(parent, {})
        if name in NAMES:
            place.pop(name, None)
        else:
            # Each is another one, where each must be.
            mark = f"{number} "
            place[name] = mark + letter * (text.length - len(mark))
    path = route.replace("/v1/organizations/{organization_id}", organization)
    if "{hold_id}" in path:
        held = api.post(f"{organization}/holds", {"amount_usd": "1"}, f"hold {number}").json()
        path = path.replace("{hold_id}", held["id"])
    path = re.sub(r"\{\w+\}", str(uuid.uuid4()), path)
    if "organization_id" in body:
        body["organization_id"] = organization.rpartition("/")[2]
    if "transaction_id" in body:
        charge = {"amount_usd": "1", "description": "chat"}
        charged = api.post(f"{organization}/charges", charge, f"charge {number}").json()
        body |= {"transaction_id": charged["id"], "amount_usd": "1"}
    headers = {"idempotency-key": f"long {number}"}
    answer = api.http.request(method, path, json=body, headers=headers)
    # What belongs to a document or an endpoint is read before it is looked for.
    unknown = re.search(r"\{(?!organization_id|hold_id)\w+\}", route)
    if route == "/v1/quotes":
        # No model of such a name has a price.
        assert answer.json()["code"] == "price_unknown"
    else:
        assert answer.status_code in ((404,) if unknown else (200, 201, 202)), answer.text


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_a_call_held_with_the_longest_texts_is_paid_for(api: Client, letter: str) -> None:
    organization = api.new_organization("10")
    names = dict.fromkeys(("model", "provider", "region", "request_id"), letter * 255)
    ids = dict.fromkeys(("team_id", "virtual_key_id", "end_user"), letter * 128)
    more = {"metadata": {"a": letter * (2000 // len(letter.encode()))}}
    usage = {**names, **ids, **more}
    held = api.post(f"{organization}/holds", {"amount_usd": "2", **usage}, "h")
    assert held.status_code == 201, held.text
    captured = api.post(
        f"{organization}/holds/{held.json()['id']}/capture", {"amount_usd": "1.5"}, "c"
    )
    assert captured.status_code == 201, captured.text
    assert {name: captured.json()[name] for name in usage} == usage
    spent = api.get(f"{organization}/spending", group_by="model,team_id").json()
    assert spent["items"][0]["model"] == letter * 255
