"""Budgets over HTTP, from their creation to what they refuse and tell."""

import uuid
from datetime import datetime

import pytest

from tests.functions.test_webhooks import assert_documented
from tests.support.receiver import receiving
from tests.support.running import Client, wait_until

CHARGE = {"amount_usd": "4", "description": "chat", "virtual_key_id": "key-7"}
BUDGET = {"subject": "virtual_key", "subject_id": "key-7", "window": "month", "limit_usd": "5"}


def test_a_budget_is_made_read_changed_and_deleted(api: Client) -> None:
    path = api.new_organization("10", timezone="Europe/Berlin")
    made = api.post(f"{path}/budgets", BUDGET)
    assert made.status_code == 201
    budget = made.json()
    assert {name: budget[name] for name in BUDGET} == BUDGET | {"limit_usd": "5.00"}
    assert (budget["spent_usd"], budget["remaining_usd"]) == ("0.00", "5.00")
    assert (budget["mode"], budget["alert_percents"]) == ("hard", [80, 100])
    one = f"{path}/budgets/{budget['id']}"
    assert api.get(one).json() == budget
    again = api.post(f"{path}/budgets", BUDGET)
    assert (again.status_code, again.json()["code"]) == (409, "budget_exists")
    api.post(f"{path}/charges", CHARGE, "a").raise_for_status()
    changed = api.http.patch(one, json={"limit_usd": "8", "alert_percents": [90, 50]})
    assert changed.json() == budget | {
        "limit_usd": "8.00",
        "alert_percents": [50, 90],
        "spent_usd": "4.00",
        "remaining_usd": "4.00",
    }
    others = [
        api.post(f"{path}/budgets", {**BUDGET, "window": window}).json()["id"]
        for window in ("day", "lifetime")
    ]
    first = api.get(f"{path}/budgets", limit=2).json()
    assert [of["id"] for of in first["items"]] == others[::-1]
    rest = api.get(f"{path}/budgets", cursor=first["next_cursor"]).json()
    assert (rest["items"], rest["next_cursor"]) == ([changed.json()], None)
    assert api.get(f"{path}/budgets", cursor=rest["previous_cursor"]).json() == first
    assert api.http.delete(one).json() == changed.json()
    for gone in (api.get(one), api.http.delete(one), api.http.patch(one, json={})):
        assert (gone.status_code, gone.json()["code"]) == (404, "budget_not_found")


def test_a_refusal_says_which_budget_and_when_there_is_room(api: Client) -> None:
    path = api.new_organization("100")
    with receiving() as receiver:
        endpoint = {"url": receiver.url, "types": ["budget.alert", "budget.exceeded"]}
        secret = api.post(f"{path}/webhook-endpoints", endpoint).json()["secret"]
        budget = api.post(f"{path}/budgets", BUDGET).json()
        api.post(f"{path}/charges", CHARGE, "a").raise_for_status()
        refused = api.post(f"{path}/charges", CHARGE, "b")
        assert refused.status_code == 402
        assert refused.headers["content-type"] == "application/problem+json"
        problem = refused.json()
        assert problem["code"] == "budget_exceeded"
        expected = {
            "budget_id": budget["id"],
            "subject": "virtual_key",
            "subject_id": "key-7",
            "limit_usd": "5.00",
            "spent_usd": "4.00",
            "held_usd": "0.00",
            "required_usd": "4.00",
        }
        resets = datetime.fromisoformat(problem["resets_at"])
        assert resets == datetime.fromisoformat(budget["resets_at"])
        assert {name: problem[name] for name in expected} == expected
        assert api.post(f"{path}/holds", {"amount_usd": "4"}, "h").status_code == 201
        # The key of what was refused is free.
        assert api.post(f"{path}/charges", {**CHARGE, "amount_usd": "1"}, "b").status_code == 201
        api.post("/_local/invoke/WebhookDispatchFunction").raise_for_status()
        wait_until(lambda: len(receiver.received) == 3)
        told = sorted(
            (got.verified(secret) for got in receiver.received), key=lambda body: body["timestamp"]
        )
        for body in told:
            assert_documented(body)
            assert body["data"]["budget_id"] == budget["id"]
    assert [body["type"] for body in told] == ["budget.alert", "budget.exceeded", "budget.alert"]
    assert [body["data"].get("percent") for body in told] == [80, None, 100]


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("subject_id", None, "must name the subject"),
        ("subject", "organization", "must name the subject"),
        ("burst_usd", "5", "is for a rate alone"),
        ("limit_usd", "-1", "must not be negative"),
        ("alert_percents", [0], "greater than or equal to 1"),
        ("window", "hour", "must be"),
    ],
)
def test_what_is_wrong_with_a_budget_is_named(
    api: Client, field: str, value: object, rule: str
) -> None:
    path = api.new_organization()
    refused = api.post(f"{path}/budgets", {**BUDGET, field: value})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    [error] = refused.json()["errors"]
    assert rule in error["detail"]
    assert api.get(f"{path}/budgets").json()["items"] == []


def test_a_budget_belongs_to_its_organization(api: Client) -> None:
    path = api.new_organization()
    budget = api.post(f"{path}/budgets", BUDGET).json()
    other = api.new_organization()
    assert api.get(f"{other}/budgets/{budget['id']}").json()["code"] == "budget_not_found"
    unknown = f"/v1/organizations/{uuid.uuid4()}/budgets"
    assert api.post(unknown, BUDGET).json()["code"] == "organization_not_found"
    reader = api.other("billing:read", path.rpartition("/")[2])
    assert reader.post(f"{path}/budgets", BUDGET).status_code == 403
    assert reader.get(f"{path}/budgets").json()["items"] == [budget]
