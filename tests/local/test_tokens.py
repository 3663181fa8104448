"""Tokens are checked as the HTTP API's JWT authorizer checks them."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from local.gateway import CLAIMS
from local.tokens import InvalidToken, Issuer
from tests.support.running import Client

URL = "http://127.0.0.1:3000/_local"


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(URL, "synaxis-billing", tmp_path / "key.pem")


def test_a_token_says_who_may_do_what(issuer: Issuer) -> None:
    token = issuer.issue("billing:read", "1f0f6b9e-8c1f-4c5e-a2c5-0d4f7f1b2a11", "me")
    claims = issuer.claims(f"Bearer {token}")
    assert claims["scope"] == "billing:read"
    assert claims["organization_id"] == "1f0f6b9e-8c1f-4c5e-a2c5-0d4f7f1b2a11"
    assert claims["sub"] == "me"
    assert all(isinstance(value, str) for value in claims.values())


def test_anybody_can_check_it_with_the_published_keys(issuer: Issuer) -> None:
    token = issuer.issue("billing:read", None, "me")
    [key] = jwt.PyJWKSet.from_dict(issuer.key_set()).keys
    assert jwt.decode(token, key.key, ["RS256"], audience="synaxis-billing", issuer=URL)
    assert issuer.discovery()["issuer"] == URL


@pytest.mark.usefixtures("issuer")
def test_the_key_is_for_this_account_alone(tmp_path: Path) -> None:
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0


def _signed(tmp_path: Path, **changes: Any) -> str:
    """A token with changed claims: None removes a claim, a timedelta is a time from now."""
    now = int(time.time())
    claims = {"iss": URL, "aud": "synaxis-billing", "exp": now + 3600, "scope": "x", **changes}
    claims = {
        name: now + int(value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in claims.items()
        if value is not None
    }
    return jwt.encode(claims, (tmp_path / "key.pem").read_bytes(), "RS256")


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": timedelta(seconds=-1)},
        {"exp": None},
        {"nbf": timedelta(hours=1)},
        {"iat": timedelta(hours=1)},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
    ],
)
def test_a_token_of_another_time_issuer_or_audience_is_refused(
    issuer: Issuer, tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert issuer.claims(f"Bearer {_signed(tmp_path)}")
    with pytest.raises(InvalidToken):
        issuer.claims(f"Bearer {_signed(tmp_path, **changes)}")


def test_a_token_signed_otherwise_is_refused(issuer: Issuer, tmp_path: Path) -> None:
    good = _signed(tmp_path)
    header, payload, _ = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    forged = [
        jwt.encode(claims, "a secret that is long enough for it", "HS256"),
        jwt.encode(claims, "", "none"),
        f"{header}.{payload}.",
        Issuer(URL, "synaxis-billing", tmp_path / "other.pem").issue("x", None, "me"),
    ]
    for token in forged:
        with pytest.raises(InvalidToken):
            issuer.claims(f"Bearer {token}")
    for authorization in (None, "", "Bearer", "Basic abc", good):
        with pytest.raises(InvalidToken):
            issuer.claims(authorization)


def test_the_running_product_tells_what_a_good_token_claims(api: Client) -> None:
    claims = api.get(CLAIMS).json()
    assert (claims["sub"], claims["iss"]) == ("local", f"{api.url}/_local")
    for headers in ({}, {"authorization": "Bearer x.y.z"}):
        assert httpx.get(f"{api.url}{CLAIMS}", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "origin", ["http://evil.example:3000", "http://127.0.0.1.evil.example", "null"]
)
def test_no_page_of_another_site_gets_tokens_or_invokes_functions(origin: str, api: Client) -> None:
    asked = {"scope": "billing:platform"}
    for path in ("/_local/token", "/_local/invoke/UpkeepFunction"):
        refused = httpx.post(f"{api.url}{path}", json=asked, headers={"origin": origin})
        assert refused.status_code == 403
    own = httpx.post(f"{api.url}/_local/token", json=asked, headers={"origin": api.url})
    assert own.status_code == 200


def test_an_event_that_is_no_json_is_refused(api: Client) -> None:
    assert api.http.post("/_local/invoke/UpkeepFunction", content=b"?").status_code == 400


FORM = {"grant_type": "client_credentials", "scope": "billing:read billing:charge"}


def _claims_of(token: dict[str, Any]) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token["access_token"], options={"verify_signature": False})
    return claims


@pytest.mark.parametrize("named_by", ["basic", "form"])
def test_the_form_of_client_credentials_gets_a_token_as_from_cognito(
    named_by: str, api: Client
) -> None:
    client = {"client_id": "gateway", "client_secret": "any"}
    asked: dict[str, Any] = {"data": FORM | client}
    if named_by == "basic":
        asked = {"data": FORM, "auth": ("gateway", "any")}
    issued = httpx.post(f"{api.url}/_local/token", **asked)
    assert (issued.status_code, issued.headers["cache-control"]) == (200, "no-store")
    token = issued.json()
    assert set(token) == {"access_token", "token_type", "expires_in"}
    assert token["token_type"] == "Bearer"
    claims = _claims_of(token)
    assert (claims["sub"], claims["scope"]) == ("gateway", FORM["scope"])
    assert claims["exp"] - claims["iat"] == token["expires_in"]


def test_a_scope_that_is_written_as_cognito_writes_it_opens_a_route(api: Client) -> None:
    form = FORM | {"scope": "billing/platform billing/read"}
    issued = httpx.post(f"{api.url}/_local/token", data=form, auth=("gateway", "any")).json()
    rates = httpx.get(
        f"{api.url}/v1/exchange-rates",
        headers={"authorization": f"Bearer {issued['access_token']}"},
    )
    assert rates.status_code == 200


def test_a_form_without_scopes_gets_every_scope(api: Client) -> None:
    form = {"grant_type": "client_credentials"}
    issued = httpx.post(f"{api.url}/_local/token", data=form, auth=("gateway", "any"))
    assert set(_claims_of(issued.json())["scope"].split()) == {
        "billing:platform",
        "billing:charge",
        "billing:topup",
        "billing:admin",
        "billing:pay",
        "billing:settings",
        "billing:read",
    }


@pytest.mark.parametrize("sent", ["json", "data"])
def test_an_unknown_scope_is_refused_and_named(sent: str, api: Client) -> None:
    asked: dict[str, Any] = {sent: FORM | {"scope": "billing:read billing:raed"}}
    refused = httpx.post(f"{api.url}/_local/token", auth=("gateway", "any"), **asked)
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_scope"
    assert "`billing:raed`" in refused.json()["error_description"]


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type", 400),
        ({"grant_type": ""}, "invalid_request", 400),
        ({"client_id": ""}, "invalid_client", 401),
    ],
)
def test_a_form_that_oauth_refuses_is_refused_by_its_code(
    changes: dict[str, str], code: str, status: int, api: Client
) -> None:
    form = {**FORM, "client_id": "gateway", "client_secret": "any", **changes}
    refused = httpx.post(f"{api.url}/_local/token", data=form)
    assert (refused.status_code, refused.json()["error"]) == (status, code)


def test_the_address_of_the_product_leads_to_its_documents(api: Client) -> None:
    led = httpx.get(api.url)
    assert (led.status_code, led.headers["location"]) == (307, "/docs")
    assert httpx.get(api.url, follow_redirects=True).status_code == 200
