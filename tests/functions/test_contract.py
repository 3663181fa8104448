"""Every route through HTTP, as a client sees it."""

import contextlib
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from synaxis_billing.edge.http import health
from synaxis_billing.organizations.profile import NewOrganization, OrganizationChange
from tests.conftest import Database
from tests.support.running import Client

ADDRESS = {
    "line1": "Hauptplatz 1",
    "line2": None,
    "postal_code": "4020",
    "city": "Linz",
    "state": None,
    "country": "AT",
}
CHARGE = {"amount_usd": "1.25", "description": "chat completion", "model": "gpt-4o", "tokens": 418}


def test_a_customers_month(api: Client, product: tuple[str, Database]) -> None:
    organization = api.new_organization(billing_currency="EUR", timezone="Europe/Berlin")

    credited = api.post(
        f"{organization}/topups", {"amount_usd": "25.50", "reference_id": "pi_1"}, "t"
    )
    assert credited.status_code == 201
    assert credited.json()["balance_after_usd"] == "25.50"

    charged = api.post(f"{organization}/charges", {**CHARGE, "request_id": "req-1"}, "c")
    assert charged.status_code == 201
    transaction = charged.json()
    assert (transaction["amount_usd"], transaction["balance_before_usd"]) == ("-1.25", "25.50")

    again = api.post(f"{organization}/charges", {**CHARGE, "request_id": "req-1"}, "c")
    assert (again.status_code, again.json()) == (201, transaction)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in charged.headers

    held = api.post(f"{organization}/holds", {"amount_usd": "5", "model": "gpt-4o"}, "h").json()
    assert held["status"] == "held"
    balance = api.get(f"{organization}/balance").json()
    rate = Decimal(balance["exchange_rate"])
    assert balance == {
        "balance_usd": "24.25",
        "held_usd": "5.00",
        "frozen_usd": "0.00",
        "available_usd": "19.25",
        "credit_limit_usd": "0.00",
        "debt_usd": "0.00",
        "expiring": [],
        "billing_currency": "EUR",
        "balance": str((Decimal("24.25") * rate).quantize(Decimal("0.01"), ROUND_HALF_UP)),
        "exchange_rate": str(rate),
        "rate_as_of": balance["rate_as_of"],
        "rate_source": "simulated",
        "rate_stale": False,
    }
    captured = api.post(f"{organization}/holds/{held['id']}/capture", {"amount_usd": "4"}, "hc")
    assert captured.status_code == 201
    other = api.post(f"{organization}/holds", {"amount_usd": "5"}, "h2").json()
    released = api.post(f"{organization}/holds/{other['id']}/release", key="hr")
    assert (released.status_code, released.json()["status"]) == (200, "released")

    refund = api.post(f"{organization}/refunds", {"transaction_id": transaction["id"]}, "r")
    assert refund.status_code == 201
    assert refund.json()["refunded_transaction_id"] == transaction["id"]
    adjusted = api.post(
        f"{organization}/adjustments", {"amount_usd": "-0.50", "description": "goodwill"}, "a"
    )
    assert adjusted.json()["balance_after_usd"] == "21.00"
    logged = api.post(f"{organization}/spend-logs", {"amount_usd": "0.10", "model": "gpt-4o-mini"})
    assert (logged.status_code, logged.json()["transaction_id"]) == (201, None)

    spent = api.get(f"{organization}/spending", group_by="model").json()
    # Nothing is known but the amounts and the tokens that the requests gave.
    unknown: dict[str, Any] = {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0}
    unknown |= {"cost_usd": "0.00", "margin_usd": "0.00"}
    assert spent["items"] == [
        {"model": "gpt-4o", "amount_usd": "5.25", "tokens": 418, "requests": 2, **unknown},
        {"model": "gpt-4o-mini", "amount_usd": "0.10", "tokens": 0, "requests": 1, **unknown},
    ]
    assert spent["total"] == {"amount_usd": "5.35", "tokens": 418, "requests": 3, **unknown}
    assert product[1].audit().whole


def test_a_profile_is_made_read_and_changed(api: Client) -> None:
    organization_id = str(uuid.uuid4())
    tax = {"label": "VAT", "rate_percent": "19", "tax_id": "DE1", "category": "standard"}
    asked = {
        "id": organization_id,
        "name": "Ünïcode GmbH",
        "billing_currency": "BRL",
        "timezone": "America/Sao_Paulo",
        "region": "sa-east-1",
        "low_balance_threshold_usd": "5",
        "tax": tax,
    }
    made = api.post("/v1/organizations", asked)
    assert made.status_code == 201
    path = f"/v1/organizations/{organization_id}"
    assert api.get(path).json() == made.json() | {"low_balance_threshold_usd": "5.00"}
    changed = api.http.patch(path, json={"billing_currency": "GBP", "tax": None})
    assert changed.json() == made.json() | {"billing_currency": "GBP", "tax": None}
    twice = api.post("/v1/organizations", asked)
    assert (twice.status_code, twice.json()["code"]) == (409, "organization_exists")


@pytest.mark.parametrize("field", sorted(OrganizationChange.model_fields))
def test_every_field_of_a_profile_is_stored_shown_and_changed(api: Client, field: str) -> None:
    values = profile_values(field)
    # What only a change takes has a value from the beginning.
    given = {field: values[0]} if field in NewOrganization.model_fields else {}
    path = api.new_organization(**given)
    before = api.get(path).json()
    assert before[field] == given.get(field, before[field])
    for value in values:
        changed = api.http.patch(path, json={field: value})
        assert changed.status_code == 200, changed.text
        assert changed.json() == before | {field: value}


def profile_values(field: str) -> list[Any]:
    """Return two values that the field takes, the way the API shows them."""
    candidates = [
        *("Europe/Berlin", "Asia/Tokyo", "EUR", "GBP", "pt-BR", "de", "5.00", "6.00", 7, 8),
        *({"label": "VAT", "rate_percent": "19", "tax_id": "DE1", "category": "standard"}, None),
        *("me@example.com", "you@example.com", "suspended", "active"),
        *(ADDRESS, ADDRESS | {"line2": "2nd floor", "state": "OÖ"}),
    ]
    taken = []
    for value in candidates:
        with contextlib.suppress(ValidationError):
            OrganizationChange.model_validate({field: value})
            taken.append(value)
    assert len(taken) >= 2, field
    return taken[:2]


def test_a_list_is_paged_newest_first_and_each_entry_comes_once(api: Client) -> None:
    organization = api.new_organization("10")
    for i in range(7):
        api.post(f"{organization}/charges", {**CHARGE, "amount_usd": f"0.0{i + 1}"}, f"p{i}")
    for listed in ("transactions", "spend-logs"):
        seen: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = api.get(f"{organization}/{listed}", limit=3, **cursor).json()
            seen += page["items"]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert len({one["id"] for one in seen}) == len(seen) == {"transactions": 8}.get(listed, 7)
        times = [one["created_at"] for one in seen]
        assert times == sorted(times, reverse=True)
    charges = api.get(f"{organization}/transactions", type="charge", limit=100).json()["items"]
    assert {one["transaction_type"] for one in charges} == {"charge"}
    first, last = charges[-1]["created_at"], charges[0]["created_at"]
    half_open = api.get(
        f"{organization}/transactions", **{"type": "charge", "from": first, "to": last}
    )
    assert len(half_open.json()["items"]) == 6


def test_a_batch_answers_each_item_in_order(api: Client) -> None:
    rich, poor = api.new_organization("10"), api.new_organization("1")
    items = [
        {"organization_id": path.split("/")[-1], "idempotency_key": f"b{i}", **CHARGE}
        for i, path in enumerate([rich, poor, rich])
    ]
    answer = api.post("/v1/charges/batch", {"charges": items})
    assert answer.status_code == 200
    first, refused, third = answer.json()["results"]
    assert (first["status"], third["status"]) == (201, 201)
    assert third["transaction"]["balance_after_usd"] == "7.50"
    assert (refused["status"], refused["error"]["code"]) == (402, "insufficient_credits")
    again = api.post("/v1/charges/batch", {"charges": items}).json()["results"]
    assert [one.get("replayed") for one in again] == [True, None, True]


def test_a_refused_charge_says_what_is_missing(api: Client) -> None:
    organization = api.new_organization("1")
    refused = api.post(f"{organization}/charges", CHARGE, "x")
    problem = refused.json()
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.status_code == problem["status"] == 402
    assert problem["code"] == "insufficient_credits"
    assert (problem["available_usd"], problem["required_usd"], problem["deficit_usd"]) == (
        "1.00",
        "1.25",
        "0.25",
    )
    assert problem["request_id"] == refused.headers["apigw-requestid"]


def test_many_clients_at_once_spend_what_there_is(
    api: Client, product: tuple[str, Database]
) -> None:
    organization = api.new_organization("10")
    with ThreadPoolExecutor(16) as pool:
        statuses = list(
            pool.map(
                lambda i: api.post(f"{organization}/charges", CHARGE, f"m{i}").status_code,
                range(60),
            )
        )
    assert (statuses.count(201), statuses.count(402)) == (8, 52)
    assert api.get(f"{organization}/balance").json()["available_usd"] == "0.00"
    assert product[1].audit().whole


ALL = {"billing:admin", "billing:read", "billing:charge", "billing:topup"}


def test_a_tenant_batch_touches_its_own_organization_alone(api: Client) -> None:
    own, others = api.new_organization("5"), api.new_organization("5")
    tenant = api.other(" ".join(ALL), own.split("/")[-1])
    items = [
        {"organization_id": path.split("/")[-1], "idempotency_key": "k", **CHARGE}
        for path in (own, others)
    ]
    first, second = tenant.post("/v1/charges/batch", {"charges": items}).json()["results"]
    assert (first["status"], second["error"]["code"]) == (201, "organization_not_found")
    assert api.get(f"{others}/balance").json()["balance_usd"] == "5.00"


def test_a_token_that_names_no_organization_and_is_not_the_platforms_may_do_nothing(
    api: Client,
) -> None:
    nobody = api.other(" ".join(ALL))
    assert nobody.get(api.new_organization()).status_code == 403


def test_a_tenant_creates_itself_alone(api: Client) -> None:
    own = str(uuid.uuid4())
    tenant = api.other("billing:admin", own)
    body = {"name": "Acme", "billing_currency": "USD"}
    assert tenant.post("/v1/organizations", {**body, "id": str(uuid.uuid4())}).status_code == 403
    assert tenant.post("/v1/organizations", body).json()["id"] == own


def test_health_needs_no_token(api: Client) -> None:
    answer = api.http.get("/health", headers={"authorization": ""})
    assert answer.status_code == 200
    assert answer.json() == {"database": "ok", "cache": "ok", "rates": "ok"}


def test_health_asks_the_database_once_in_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[float] = []
    monkeypatch.setattr(health, "_known", None)
    monkeypatch.setattr(health, "_check", lambda: checks.append(1))
    clock = [1000.0]
    monkeypatch.setattr("time.time", lambda: clock[0])
    for _ in range(100):
        health.get_health()
    assert len(checks) == 1
    clock[0] += health.KEEP_SECONDS
    health.get_health()
    assert len(checks) == 2
    # A clock that was set back does not keep an answer for ever.
    clock[0] -= 3600
    health.get_health()
    assert len(checks) == 3


def test_a_key_in_quotes_is_the_key_without_them(api: Client) -> None:
    organization = api.new_organization("10")
    first = api.post(f"{organization}/charges", CHARGE, "same")
    again = api.post(f"{organization}/charges", CHARGE, '"same"')
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    item = {
        **CHARGE,
        "organization_id": organization.rpartition("/")[2],
        "idempotency_key": '"same"',
    }
    [result] = api.post("/v1/charges/batch", {"charges": [item]}).json()["results"]
    assert result["transaction"]["id"] == first.json()["id"]


def test_an_invoice_varies_by_the_form_that_is_asked_for(api: Client) -> None:
    organization = api.new_organization("10")
    period = {"period_start": "2026-01-01T00:00:00Z", "period_end": "2026-02-01T00:00:00Z"}
    made = api.post(f"{organization}/invoices", period).json()
    path = f"{organization}/invoices/{made['id']}"
    for accept, form in (
        ("application/pdf;q=0, */*", "application/json"),
        ("application/json;q=0.5, text/csv", "text/csv; charset=utf-8"),
    ):
        answer = api.http.get(path, headers={"accept": accept})
        assert (answer.headers["content-type"], answer.headers["vary"]) == (
            form,
            "Accept" if form.endswith("pdf") else "Accept, Accept-Encoding",
        )
