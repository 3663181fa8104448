"""An organization's rows are in one region; the others say where, and hold none of them."""

import json
from typing import Any

import pytest

from tests.conftest import Database
from tests.support.events import Invoke, event

ENDPOINTS = {"eu-central-1": "https://eu.example.com", "sa-east-1": "https://sa.example.com"}


@pytest.fixture
def invoke(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Functions of the region eu-central-1."""
    monkeypatch.setenv("REGION_ENDPOINTS", json.dumps(ENDPOINTS))
    return invoke


def body(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer["body"])
    return found


def made_in(region: str, invoke: Invoke) -> dict[str, Any]:
    asked = event("create_organization")
    asked["body"] = json.dumps({**json.loads(asked["body"]), "region": region})
    answer: dict[str, Any] = invoke("AccountFunction", asked)
    return answer


def rows(database: Database) -> int:
    with database.admin() as admin:
        row = admin.execute("SELECT count(*) FROM billing.organizations").fetchone()
    assert row
    return int(row[0])


def test_an_organization_is_made_in_its_own_region_alone(
    invoke: Invoke, database: Database
) -> None:
    refused = made_in("sa-east-1", invoke)
    assert refused["statusCode"] == 421
    problem = body(refused)
    assert (problem["code"], problem["home_region"], problem["home_endpoint"]) == (
        *("misdirected_request", "sa-east-1", "https://sa.example.com"),
    )
    assert rows(database) == 0
    assert made_in("eu-central-1", invoke)["statusCode"] == 201


def test_another_region_names_the_home_and_holds_no_row(invoke: Invoke, database: Database) -> None:
    asked = {
        "ChargeFunction": ["charge", "hold"],
        "TopupFunction": ["topup"],
        "AccountFunction": ["get_organization", "balance", "update_organization"],
        "ActivityFunction": ["list_transactions", "spending"],
        "InvoiceFunction": ["draft_invoice", "list_invoices"],
        "WebhooksFunction": ["list_webhook_endpoints"],
    }
    names = [(function, name) for function, some in asked.items() for name in some]
    for function, name in names:
        assert invoke(function, event(name))["statusCode"] == 404, name
    home = invoke("AccountFunction", event("set_home"))
    assert (home["statusCode"], body(home)["endpoint"]) == (200, "https://sa.example.com")
    for function, name in names:
        answer = invoke(function, event(name))
        assert (answer["statusCode"], body(answer)["home_endpoint"]) == (
            *(421, "https://sa.example.com"),
        ), name
    assert rows(database) == 0
    # What names no organization in its path is as it was.
    assert invoke("AccountFunction", event("invalidate_cache"))["statusCode"] in (200, 404)
    # Another tenant is told nothing of it.
    stranger = event("balance")
    stranger["requestContext"]["authorizer"]["jwt"]["claims"] |= {
        "organization_id": "0190b8a2-7c11-7d3e-9a51-3f2b6c8d9e99"
    }
    assert invoke("AccountFunction", stranger)["statusCode"] == 404


def test_a_home_is_set_by_the_platform_for_what_is_elsewhere(invoke: Invoke) -> None:
    tenant = event("set_home")
    path = tenant["pathParameters"]["organization_id"]
    tenant["requestContext"]["authorizer"]["jwt"]["claims"] |= {"organization_id": path}
    assert invoke("AccountFunction", tenant)["statusCode"] == 403
    for region in ("eu-central-1", "mars-1"):
        wrong = event("set_home")
        wrong["body"] = json.dumps({"region": region})
        answer = invoke("AccountFunction", wrong)
        assert (answer["statusCode"], body(answer)["errors"][0]["pointer"]) == (400, "/region")
    made_in("eu-central-1", invoke)
    held = invoke("AccountFunction", event("set_home"))
    assert (held["statusCode"], body(held)["code"]) == (409, "invalid_state")
