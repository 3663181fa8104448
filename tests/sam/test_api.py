"""The running product's API in containers, by `sam local start-api`: `make sam-api`."""

import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from local.servers import free_port
from local.template import ROOT
from local.tokens import ALGORITHM, Issuer
from tests.conftest import Database
from tests.support.running import EVERYTHING, Client, serving

pytestmark = pytest.mark.sam

Product = tuple[str, Database]


@pytest.fixture(scope="module")
def url(product: Product, state: Path) -> Iterator[str]:
    """Where the containers are."""
    assert product
    port = free_port()
    command = [sys.executable, "-m", "local", "start-api"]
    environment = {
        "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}",
        "STATE": str(state / "product"),
        "PORT": str(port),
    }
    with serving(command, port, state / "sam-api.log", **environment) as where:
        yield where


def calling(url: str, product: Product, scope: str = EVERYTHING, of: object = None) -> Client:
    """A client of the containers, with a token of the product's issuer."""
    client = Client(product[0], scope, of)
    client.http.base_url = url
    return client


@pytest.fixture
def client(url: str, product: Product) -> Iterator[Client]:
    client = calling(url, product)
    yield client
    client.close()


def test_a_topup_a_charge_and_a_balance_are_served(client: Client, product: Product) -> None:
    organization = client.new_organization()
    credited = client.post(f"{organization}/topups", {"amount_usd": "25.50"}, f"1 {organization}")
    assert (credited.status_code, credited.json()["balance_after_usd"]) == (201, "25.50")
    charge = {"amount_usd": "0.0123", "description": "chat", "model": "gpt-4o", "tokens": 418}
    charged, again = (
        client.post(f"{organization}/charges", charge, f"2 {organization}") for _ in range(2)
    )
    assert (charged.status_code, charged.json()["amount_usd"]) == (201, "-0.0123")
    assert charged.json()["balance_after_usd"] == "25.4877"
    assert "idempotency-replayed" not in charged.headers
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert again.json() == charged.json()
    dear = {"amount_usd": "100", "description": "chat"}
    refused = client.post(f"{organization}/charges", dear, f"3 {organization}")
    assert (refused.status_code, refused.json()["code"]) == (402, "insufficient_credits")
    assert refused.json()["deficit_usd"] == "74.5123"
    balance = client.get(f"{organization}/balance")
    assert (balance.status_code, balance.json()["balance_usd"]) == (200, "25.4877")
    assert kept(product, organization) == (Decimal("25.4877"), 2)


def kept(product: Product, organization: str) -> Any:
    """An organization's balance in the database, and how often it changed."""
    with product[1].admin() as connection:
        return connection.execute(
            "SELECT balance_usd, version FROM billing.organizations WHERE id = %s",
            [organization.rpartition("/")[2]],
        ).fetchone()


def test_no_token_or_one_that_the_issuer_does_not_believe_is_401(
    client: Client, url: str, product: Product, state: Path, tmp_path: Path
) -> None:
    organization = client.new_organization("10")
    key = (state / "product" / "issuer.pem").read_bytes()
    issuer = f"{product[0]}/_local"
    claims = {
        "iss": issuer,
        "aud": "synaxis-billing",
        "scope": EVERYTHING,
        "exp": int(time.time()) + 60,
    }
    charge = {"amount_usd": "1", "description": "chat"}

    def answer(authorization: str | None) -> httpx.Response:
        headers = {"idempotency-key": f"first {authorization}"[:255]}
        if authorization is not None:
            headers["authorization"] = authorization
        return httpx.post(f"{url}{organization}/charges", json=charge, headers=headers, timeout=30)

    good = jwt.encode(claims, key, ALGORITHM)
    expired = jwt.encode({**claims, "exp": int(time.time()) - 1}, key, ALGORITHM)
    elsewhere = Issuer(issuer, "synaxis-billing", tmp_path / "another.pem")
    forged = elsewhere.issue(EVERYTHING, None, "me")
    unsigned = jwt.encode(claims, "", "none")
    for token in (None, good, *(f"Bearer {one}" for one in (expired, forged, unsigned))):
        refused = answer(token)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated"), token
    assert kept(product, organization) == (Decimal(10), 1)
    assert answer(f"Bearer {good}").status_code == 201


def test_another_tenants_token_finds_nothing_and_a_readers_charges_nothing(
    client: Client, url: str, product: Product
) -> None:
    organization = client.new_organization("10")
    other = client.new_organization().rpartition("/")[2]
    stranger = calling(url, product, "billing:read billing:charge", other)
    reader = calling(url, product, "billing:read", organization.rpartition("/")[2])
    charge = {"amount_usd": "1", "description": "chat"}
    assert stranger.get(f"{organization}/balance").status_code == 404
    assert stranger.post(f"{organization}/charges", charge, "theirs").status_code == 404
    assert reader.get(f"{organization}/balance").json()["balance_usd"] == "10.00"
    assert reader.post(f"{organization}/charges", charge, "theirs").status_code == 403
    assert kept(product, organization) == (Decimal(10), 1)
    stranger.close()
    reader.close()


def test_health_is_told_to_anybody(url: str) -> None:
    assert httpx.get(f"{url}/health", timeout=30).json()["database"] == "ok"
