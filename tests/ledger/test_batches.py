"""A batch does what its items would have done one by one."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaxis_billing.errors import BillingError
from synaxis_billing.ledger import charges
from synaxis_billing.ledger.transactions import Transaction
from tests.conftest import Database
from tests.support import steps

# Few keys, requests and amounts, so that they meet often.
items = st.fixed_dictionaries(
    {
        "organization": st.integers(0, 2),
        "amount_usd": st.sampled_from(["1", "2", "3.5"]),
        "idempotency_key": st.sampled_from("abcd"),
    },
    optional={"request_id": st.sampled_from("xyz"), "model": st.sampled_from(["m", "n"])},
)


def _outcome(result: Any) -> tuple[Any, ...]:
    match result:
        case charges.Charged(transaction=transaction, replayed=replayed):
            return (
                transaction.amount_usd,
                transaction.balance_after_usd,
                transaction.version,
                replayed,
            )
        case charges.Refused(error=error):
            return (error["code"], error.get("available_usd"))
        case BillingError():
            return (result.code, result.facts.get("available_usd"))
    raise AssertionError(result)


def _one_by_one(db: Any, organizations: list[Any], asked: list[dict[str, Any]]) -> list[Any]:
    results: list[Any] = []
    for one in asked:
        fields = dict(one)
        organization_id = organizations[fields.pop("organization")]
        key = fields.pop("idempotency_key")
        request = charges.ChargeRequest(description="chat completion", **fields)
        try:
            charged, replayed = charges.charge(db, steps.PLATFORM, organization_id, key, request)
            assert isinstance(charged, Transaction)
            results.append(charges.Charged(status=201, transaction=charged, replayed=replayed))
        except BillingError as error:
            results.append(error)
    return results


def test_a_batch_equals_its_charges_one_by_one(database: Database) -> None:
    @settings(max_examples=60)
    @given(before=st.lists(items, max_size=3), asked=st.lists(items, min_size=1, max_size=12))
    def equal(before: list[dict[str, Any]], asked: list[dict[str, Any]]) -> None:
        singly = [steps.new_organization(db, "7") for _ in range(3)]
        together = [steps.new_organization(db, "7") for _ in range(3)]
        for organizations in (singly, together):
            _one_by_one(db, organizations, before)
        expected = _one_by_one(db, singly, asked)
        got = steps.charge_batch(db, *(_addressed(one, together) for one in asked))
        assert [_outcome(result) for result in got] == [_outcome(result) for result in expected]

    with database.connect() as db:
        equal()
    assert database.audit().whole


def _addressed(one: dict[str, Any], organizations: list[Any]) -> dict[str, Any]:
    fields = dict(one)
    organization_id = organizations[fields.pop("organization")]
    return {**fields, "organization_id": str(organization_id)}


def test_an_item_that_fails_fails_alone(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        good = steps.item(organization_id, "1")
        results = steps.charge_batch(
            db,
            good,
            {**steps.item(organization_id, "1"), "amount_usd": 1.5},
            {**steps.item(organization_id, "1"), "colour": "red"},
            {
                name: of
                for name, of in steps.item(organization_id, "1").items()
                if name != "idempotency_key"
            },
            steps.item(organization_id, "100"),
            steps.item(UUID(int=1), "1"),
            steps.item(organization_id, "2"),
            good,
        )
    codes = [
        result.error["code"] if isinstance(result, charges.Refused) else result.status
        for result in results
    ]
    assert codes == [
        201,
        "invalid_request",
        "invalid_request",
        "idempotency_key_required",
        "insufficient_credits",
        "organization_not_found",
        201,
        201,
    ]
    refused = results[1]
    assert isinstance(refused, charges.Refused)
    assert refused.error["errors"][0]["pointer"] == "/charges/1/amount_usd"
    replayed = results[-1]
    assert isinstance(replayed, charges.Charged)
    assert replayed.replayed
    with database.connect() as db:
        assert steps.available(db, organization_id) == Decimal(7)


def test_a_batch_of_a_thousand_charges_every_item(database: Database) -> None:
    with database.connect() as db:
        organizations = [steps.new_organization(db, "100") for _ in range(3)]
        results = steps.charge_batch(
            db, *(steps.item(organizations[i % 3], "0.01", model=f"m{i % 7}") for i in range(1000))
        )
    assert all(isinstance(result, charges.Charged) for result in results)
    assert database.audit().whole


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_one_to_a_thousand_items(count: int) -> None:
    with pytest.raises(ValueError):
        charges.BatchRequest.model_validate({"charges": [{}] * count})
