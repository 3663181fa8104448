"""Credit grants over HTTP."""

import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from tests.conftest import Database
from tests.support import steps
from tests.support.clock import move_clock
from tests.support.events import Invoke, event
from tests.support.running import Client


@pytest.fixture
def organization(api: Client) -> str:
    created = api.post("/v1/organizations", {"name": "Acme", "billing_currency": "EUR"})
    return f"/v1/organizations/{created.json()['id']}"


def soon(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


WELCOME = {"amount_usd": "5", "kind": "promotional", "description": "Welcome credit"}


def test_credit_is_given_used_and_voided(api: Client, organization: str) -> None:
    asked = {**WELCOME, "expires_at": soon(10), "priority": 10}
    given = api.post(f"{organization}/grants", asked, "g")
    assert given.status_code == 201
    grant = given.json()
    assert (grant["status"], grant["remaining_usd"], grant["cost_basis_usd"]) == (
        "active",
        "5.00",
        "0.00",
    )
    assert api.post(f"{organization}/topups", {"amount_usd": "3"}, "t").status_code == 201
    charge = {"amount_usd": "2", "description": "chat"}
    assert api.post(f"{organization}/charges", charge, "c").json()["drawn_usd"] == "0.00"
    assert api.post(f"{organization}/charges", charge, "d").json()["drawn_usd"] == "2.00"

    again = api.post(f"{organization}/grants", asked, "g")
    assert (again.status_code, again.json()) == (201, grant)
    assert again.headers["idempotency-replayed"] == "true"
    reused = api.post(f"{organization}/grants", {**asked, "amount_usd": "6"}, "g")
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")

    balance = api.get(f"{organization}/balance").json()
    assert balance["expiring"] == [
        {"grant_id": grant["id"], "amount_usd": "1.00", "expires_at": grant["expires_at"]}
    ]
    voided = api.post(f"{organization}/grants/{grant['id']}/void", key="v")
    assert voided.status_code == 201
    transaction = voided.json()
    assert (transaction["transaction_type"], transaction["amount_usd"]) == ("void", "-1.00")
    assert transaction["grant_id"] == grant["id"]
    twice = api.post(f"{organization}/grants/{grant['id']}/void", key="w")
    assert (twice.status_code, twice.json()["code"]) == (409, "invalid_state")
    listed = api.get(f"{organization}/grants").json()["items"]
    assert [(item["kind"], item["status"], item["remaining_usd"]) for item in listed] == [
        ("paid", "active", "3.00"),
        ("promotional", "voided", "0.00"),
    ]
    assert api.get(f"{organization}/grants", status="voided").json()["items"] == listed[1:]


def test_a_payment_in_another_currency_sets_the_cost_of_the_credit(
    api: Client, organization: str
) -> None:
    rate = Decimal(api.get("/v1/exchange-rates/EUR").json()["rate"])
    asked = {"amount_usd": "100", "paid": {"amount": "46.00", "currency": "eur"}}
    assert api.post(f"{organization}/topups", asked, "t").status_code == 201
    [grant] = api.get(f"{organization}/grants").json()["items"]
    assert grant["paid"] == {"amount": "46.00", "currency": "EUR"}
    expected = (46 / rate).quantize(Decimal("1e-8"), ROUND_HALF_UP)
    assert Decimal(grant["cost_basis_usd"]) == expected


@pytest.mark.parametrize(
    ("change", "pointer", "rule"),
    [
        ({"kind": "paid"}, "/kind", "promotional"),
        ({"priority": 101}, "/priority", "less than or equal to 100"),
        ({"priority": "5"}, "/priority", "must be a whole number"),
        ({"every": "week"}, "/every", "month"),
        ({"every": "month", "expires_at": soon(5)}, "", "exclude each other"),
        ({"expires_at": soon(-1)}, "/expires_at", "must be later than the grant starts"),
        ({"amount_usd": "0"}, "/amount_usd", "greater than zero"),
    ],
)
def test_a_grant_that_cannot_be_is_refused(
    api: Client, organization: str, change: dict[str, Any], pointer: str, rule: str
) -> None:
    answer = api.post(f"{organization}/grants", {**WELCOME, **change}, "g")
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert rule in error["detail"]
    assert api.get(f"{organization}/grants").json()["items"] == []


def test_a_negative_adjustment_does_not_expire(api: Client, organization: str) -> None:
    asked = {"amount_usd": "-1", "description": "x", "expires_at": soon(5)}
    answer = api.post(f"{organization}/adjustments", asked, "a")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "")


def test_a_grant_of_another_organization_is_not_found(api: Client, organization: str) -> None:
    other = api.post("/v1/organizations", {"name": "Other", "billing_currency": "EUR"}).json()
    given = api.post(f"/v1/organizations/{other['id']}/grants", WELCOME, "g").json()
    answer = api.post(f"{organization}/grants/{given['id']}/void", key="v")
    assert (answer.status_code, answer.json()["code"]) == (404, "grant_not_found")


def test_the_setting_says_how_long_refunded_credit_of_an_ended_grant_lives(
    invoke: Invoke, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFUND_GRACE_DAYS", "7")
    with database.connect() as db, database.admin() as admin:
        acme = steps.new_organization(db)
        steps.top_up(db, acme, "5", expires_at=soon(1))
        charged = steps.charge(db, acme, "2")
        move_clock(admin, timedelta(days=1))
        asked = event("refund")
        asked["rawPath"] = f"/v1/organizations/{acme}/refunds"
        asked["pathParameters"] = {"organization_id": str(acme)}
        asked["body"] = json.dumps({"transaction_id": str(charged.id)})
        answer = invoke("TopupFunction", asked)
        assert answer["statusCode"] == 201
        back = steps.list_grants(db, acme)[0]
        refunded_at = datetime.fromisoformat(json.loads(answer["body"])["created_at"])
        assert (back.kind, back.expires_at) == ("refund", refunded_at + timedelta(days=7))
