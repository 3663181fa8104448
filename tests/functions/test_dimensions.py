"""Every field of usage reaches every place that shows usage, and every dimension groups spend.

A field that is added in one place and forgotten in another fails here by its name.
"""

from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from synaxis_billing.usage.dimensions import Group, Usage
from tests.conftest import Database
from tests.support.running import Client

DIMENSIONS = sorted(Group.model_fields.keys() - {"day", "month"})


def value_of(name: str) -> Any:
    """Return a value that the field takes, another one each time where it is a name."""
    for value in (f"{name} {uuid4()}", str(uuid4()), {"a": "b"}, 7):
        try:
            Usage.model_validate({name: value})
        except ValidationError:
            continue
        return value
    raise AssertionError(name)


def usage() -> dict[str, Any]:
    return {name: value_of(name) for name in Usage.model_fields}


def shown(used: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer.get(name, "is not shown") for name in used}


def test_a_charge_a_capture_and_logged_spend_show_all_their_usage(
    api: Client, product: tuple[str, Database]
) -> None:
    path = api.new_organization("10")
    charged, captured, logged = usage(), usage(), usage()
    amount = {"amount_usd": "1", "description": "chat"}
    api.post(f"{path}/charges", {**amount, **charged}, "charge")
    # In a batch the same fields take another way.
    batched = usage()
    item = {"organization_id": path.rpartition("/")[2], "idempotency_key": "batch"}
    api.post("/v1/charges/batch", {"charges": [{**amount, **item, **batched}]})
    held = api.post(f"{path}/holds", {**amount, **captured}, "hold").json()
    assert shown(captured, held) == captured
    # The capture names none of them, and takes them from the hold.
    taken = api.post(f"{path}/holds/{held['id']}/capture", {"amount_usd": "1"}, "capture")
    assert taken.status_code == 201
    api.post(f"{path}/spend-logs", {"amount_usd": "1", **logged})

    logs = api.get(f"{path}/spend-logs").json()["items"]
    expected = [logged, captured, batched, charged]
    # A spend log has no reference: the transaction has it.
    for of in expected:
        del of["reference_id"]
    assert [shown(of, log) for of, log in zip(expected, logs, strict=True)] == expected
    assert product[1].audit().whole


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_charges_that_differ_in_one_dimension_are_counted_apart(
    api: Client, product: tuple[str, Database], dimension: str
) -> None:
    path = api.new_organization("10")
    common = {name: value_of(name) for name in DIMENSIONS}
    values = sorted([value_of(dimension), value_of(dimension)])
    for value in values:
        charge = {"amount_usd": "1", "description": "chat", **common, dimension: value}
        assert api.post(f"{path}/charges", charge, value).status_code == 201
    spent = api.get(f"{path}/spending", group_by=dimension).json()
    assert sorted(item[dimension] for item in spent["items"]) == values
    assert [item["requests"] for item in spent["items"]] == [1, 1]
    everything = api.get(f"{path}/spending", group_by=",".join(DIMENSIONS)).json()["items"]
    assert {frozenset(item.items()) for item in everything} == {
        frozenset({**common, dimension: value, **_SUMS, **_UNNAMED}.items()) for value in values
    }
    assert product[1].audit().whole


# Nobody has named them.
_UNNAMED = {"team_name": None, "virtual_key_name": None}
_SUMS = {
    "amount_usd": "1.00",
    "tokens": 0,
    "requests": 1,
    "input_tokens": 0,
    "cached_tokens": 0,
    "output_tokens": 0,
    "cost_usd": "0.00",
    "margin_usd": "0.00",
}
