"""Who may do what: every route refuses every token but the right one, and every half request."""

import base64
import functools
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.conftest import Database
from tests.support.events import FUNCTIONS, TEMPLATE, Invoke, event
from tests.support.running import Client

SCOPES = [f"billing:{name}" for name in ("admin", "read", "charge", "topup", "pay", "settings")]


class Route(NamedTuple):
    method: str
    path: str
    scope: str
    settings: bool

    def of(self, organization_id: str) -> str:
        path = self.path.replace("{organization_id}", organization_id)
        path = path.replace("{currency}", "EUR").replace("{month}", "2026-02")
        return re.sub(r"\{\w+\}", lambda _: str(uuid.uuid4()), path)


@pytest.fixture(scope="module")
def routes() -> list[Route]:
    """All that need a token."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "test")
        for function in TEMPLATE.functions.values():
            if function.routes:
                for key, route in function.load().api.routes.items():
                    if route.scope is not None:
                        method, path = key.split(" ")
                        found.append(Route(method, path, route.scope, route.settings))
    # All but health, the document, its page, its files, tokens, payment links, links to documents,
    # and webhooks of payment providers.
    assert len(found) == len(FUNCTIONS) - 9
    return found


@pytest.fixture(scope="module")
def key(product: tuple[str, Database], state: Path) -> bytes:
    """The issuer's own."""
    assert product
    return (state / "product" / "issuer.pem").read_bytes()


def seconds_from_now(seconds: int) -> int:
    return int(time.time()) + seconds


def claims(api: Client, **changes: Any) -> dict[str, Any]:
    known = {
        "iss": f"{api.url}/_local",
        "aud": "synaxis-billing",
        "sub": "tests",
        "exp": seconds_from_now(3600),
        "scope": " ".join(["billing:platform", *SCOPES]),
    }
    return {name: of for name, of in (known | changes).items() if of is not None}


def asked(api: Client, route: Route, token: str | None, path: str = "") -> httpx.Response:
    headers = {"authorization": "" if token is None else f"Bearer {token}"}
    target = path or route.of(str(uuid.uuid4()))
    return api.http.request(route.method, target, json={}, headers=headers)


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.request.url
    assert answer.headers["content-type"] == "application/problem+json"
    return problem


def unsigned(body: dict[str, Any], header: dict[str, str], signature: str = "") -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=")
        for one in (header, body)
    ]
    return ".".join([*parts, signature])


def other_key() -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def public(key: bytes) -> bytes:
    loaded = serialization.load_pem_private_key(key, password=None)
    return loaded.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def hs256(body: dict[str, Any], secret: bytes) -> str:
    """What libraries that were told of no algorithm have taken for signed by the public key."""
    head = unsigned(body, {"alg": "HS256", "typ": "JWT", "kid": "local"}).rstrip(".")
    digest = hmac.digest(secret, head.encode(), hashlib.sha256)
    return f"{head}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


BAD_TOKENS: dict[str, Callable[[Client, bytes], str | None]] = {
    "none at all": lambda _api, _key: None,
    "malformed": lambda _api, _key: "x.y.z",
    "expired": lambda api, key: jwt.encode(claims(api, exp=seconds_from_now(-1)), key, "RS256"),
    "without an end": lambda api, key: jwt.encode(claims(api, exp=None), key, "RS256"),
    "not yet good": lambda api, key: jwt.encode(
        claims(api, nbf=seconds_from_now(3600)), key, "RS256"
    ),
    "cut": lambda api, key: jwt.encode(claims(api), key, "RS256")[:-8],
    "of another key": lambda api, _key: jwt.encode(
        claims(api), other_key(), "RS256", headers={"kid": "local"}
    ),
    "alg none": lambda api, _key: unsigned(claims(api), {"alg": "none", "kid": "local"}),
    "alg none, signed": lambda api, key: unsigned(
        claims(api), {"alg": "none"}, jwt.encode(claims(api), key, "RS256").rpartition(".")[2]
    ),
    "HS256 by the public key": lambda api, key: hs256(claims(api), public(key)),
    "of another issuer": lambda api, key: jwt.encode(
        claims(api, iss="https://evil.example"), key, "RS256"
    ),
    "for another audience": lambda api, key: jwt.encode(claims(api, aud="other"), key, "RS256"),
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_every_route_refuses_a_bad_token(
    kind: str, api: Client, key: bytes, routes: list[Route]
) -> None:
    token = BAD_TOKENS[kind](api, key)
    for route in routes:
        answer = asked(api, route, token)
        refused(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_every_route_takes_a_good_token_and_no_other_scope(
    api: Client, key: bytes, routes: list[Route]
) -> None:
    own = api.new_organization("1").rpartition("/")[2]

    # A signature takes longer than a request.
    @functools.cache
    def token(*scopes: str) -> str:
        scope = " ".join(["billing:platform", *scopes])
        return jwt.encode(claims(api, scope=scope), key, "RS256")

    for route in routes:
        without = token(*(one for one in SCOPES if one != route.scope))
        refused(asked(api, route, without, route.of(own)), 403, "forbidden")
        answer = asked(api, route, token(route.scope), route.of(own))
        assert answer.status_code in (200, 201, 400, 404), (route, answer.text)


def test_settings_are_enough_for_a_token_of_the_organization_alone(
    api: Client, key: bytes, routes: list[Route]
) -> None:
    own = api.new_organization("1").rpartition("/")[2]
    people = claims(api, scope="billing:read billing:pay billing:settings", organization_id=own)
    platforms = claims(api, scope="billing:platform billing:settings")
    of_people, of_platform = (jwt.encode(of, key, "RS256") for of in (people, platforms))
    opened = set()
    for route in routes:
        answer = asked(api, route, of_people, route.of(own))
        if answer.status_code != 403 and route.scope not in ("billing:read", "billing:pay"):
            opened.add((route.method, route.path.rpartition("{organization_id}")[2]))
            refused(asked(api, route, of_platform, route.of(own)), 403, "forbidden")
    endpoint = "/webhook-endpoints/{endpoint_id}"
    assert opened == {
        ("PATCH", ""),
        ("PUT", "/labels"),
        ("DELETE", "/labels"),
        ("POST", "/budgets"),
        ("PATCH", "/budgets/{budget_id}"),
        ("DELETE", "/budgets/{budget_id}"),
        ("POST", "/webhook-endpoints"),
        ("PATCH", endpoint),
        ("DELETE", endpoint),
        ("POST", f"{endpoint}/rotate-secret"),
        ("POST", f"{endpoint}/replay"),
    }


ADDRESS = {
    "line1": "Main Street 1",
    "line2": None,
    "postal_code": None,
    "city": "Dublin",
    "state": None,
    "country": "IE",
}
VAT = {"label": "VAT", "rate_percent": "19", "tax_id": "DE1"}
OWN_SETTINGS: list[dict[str, Any]] = [
    {"address": ADDRESS, "buyer_reference": "PO-7"},
    {"email": "finance@example.com", "address": None},
    {"low_balance_threshold_usd": "5.00", "runs_out_alert_days": 7},
    {"tax": VAT | {"tax_id": "DE811128135", "category": "standard"}},
    {"tax": VAT | {"tax_id": None, "category": "standard"}},
]
PLATFORMS: list[dict[str, Any]] = [
    {"name": "Other"},
    {"external_id": "other"},
    {"status": "closed"},
    {"billing_currency": "BRL"},
    {"credit_limit_usd": "1000"},
    {"price_multiplier": "0"},
    {"timezone": "Asia/Tokyo"},
    {"payment_terms_days": 365},
    {"tax": None},
    {"tax": VAT | {"rate_percent": "0"}},
    {"tax": VAT | {"category": "reverse_charge"}},
    {"address": ADDRESS, "credit_limit_usd": "0.00000001"},
]


def test_settings_change_only_what_is_the_organizations_own(api: Client) -> None:
    path = api.new_organization("1", tax=VAT)
    people = api.other("billing:read billing:settings", path.rpartition("/")[2])
    for change in OWN_SETTINGS:
        shown = people.http.patch(path, json=change).raise_for_status().json()
        assert {name: shown[name] for name in change} == change
    before = api.get(path).raise_for_status().json()
    for change in PLATFORMS:
        answer = people.http.patch(path, json=change)
        assert "needs billing:admin" in refused(answer, 403, "forbidden")["detail"], change
    assert api.get(path).json() == before


def test_every_route_refuses_a_token_that_names_no_organization(
    api: Client, key: bytes, routes: list[Route]
) -> None:
    for organization_id in (None, "", "*", "not-a-uuid"):
        nobody = claims(api, scope=" ".join(SCOPES), organization_id=organization_id)
        token = jwt.encode(nobody, key, "RS256")
        for route in routes:
            if "{organization_id}" in route.path:
                refused(asked(api, route, token), 403, "forbidden")


def test_another_tenants_organization_is_as_if_it_were_not_there(
    api: Client, key: bytes, routes: list[Route]
) -> None:
    own, other = (api.new_organization("1").rpartition("/")[2] for _ in range(2))
    mine = claims(api, scope=" ".join(SCOPES), organization_id=own)
    token = jwt.encode(mine, key, "RS256")
    for route in routes:
        if "{organization_id}" not in route.path:
            continue
        told = [
            refused(asked(api, route, token, route.of(of)), 404, "organization_not_found")
            for of in (other, str(uuid.uuid4()))
        ]
        assert {**told[0], "request_id": ""} == {**told[1], "request_id": ""}


def changed(name: str, *path: str, to: Any) -> Any:
    """The event with what is at the path changed; None takes it away."""
    found = event(name)
    inner = found
    for step in path[:-1]:
        inner = inner[step]
    if to is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return found


JWT = ("requestContext", "authorizer", "jwt")
FORGED: dict[str, tuple[Any, int]] = {
    "nothing": ({}, 400),
    "no context": (changed("charge", "requestContext", to=None), 400),
    "context of another kind": (changed("charge", "requestContext", to="x"), 400),
    "no request id": (changed("charge", "requestContext", "requestId", to=None), 400),
    "no method": (changed("charge", "requestContext", "http", to=None), 400),
    "no path": (changed("charge", "rawPath", to=None), 400),
    "payload 1.0": ({"httpMethod": "POST", "path": "/v1/charges/batch", "resource": "/"}, 400),
    "another function's route": (event("topup"), 404),
    "route and path that differ": (
        changed("charge", "routeKey", to="POST /v1/charges/batch"),
        404,
    ),
    "parameters that are not the path's": (
        changed("charge", "pathParameters", "organization_id", to=str(uuid.uuid4())),
        404,
    ),
    "no parameters": (changed("charge", "pathParameters", to=None), 404),
    "no authorizer": (changed("charge", "requestContext", "authorizer", to=None), 401),
    "no claims": (changed("charge", *JWT, "claims", to={}), 401),
    "claims of another kind": (changed("charge", *JWT, "claims", to="platform"), 401),
    "an authorizer of another kind": (
        changed("charge", "requestContext", "authorizer", to={"lambda": {"scope": "x"}}),
        401,
    ),
    "scope as a list": (changed("charge", *JWT, "claims", "scope", to=["billing:charge"]), 401),
    "no scope": (changed("charge", *JWT, "claims", "scope", to=None), 403),
    "an organization of another kind": (
        changed("charge", *JWT, "claims", "organization_id", to=7),
        401,
    ),
    "a subject with a NUL": (changed("charge", *JWT, "claims", "sub", to="a\0b"), 401),
    "a subject with half a letter": (changed("charge", *JWT, "claims", "sub", to="\ud800"), 401),
    "no headers": (changed("charge", "headers", to=None), 400),
    "base64 that is none": (changed("charge", "isBase64Encoded", to=True), 400),
    "no body": (changed("charge", "body", to=None), 400),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_or_half_event_is_refused(kind: str, invoke: Invoke, database: Database) -> None:
    for name in ("create_organization", "topup"):
        asked = event(name)
        assert invoke(FUNCTIONS[asked["routeKey"]], asked)["statusCode"] == 201
    asked, status = FORGED[kind]
    answer = invoke("ChargeFunction", json.loads(json.dumps(asked)))
    assert answer["statusCode"] == status, answer
    assert answer["headers"]["content-type"] == "application/problem+json"
    with database.admin() as admin:
        charges = admin.execute(
            "SELECT count(*) FROM billing.credit_transactions WHERE transaction_type = 'charge'"
        ).fetchone()
    assert charges == (0,)


def test_a_token_whose_claims_hold_unusual_letters_is_good(invoke: Invoke) -> None:
    asked = event("create_organization")
    claims = asked["requestContext"]["authorizer"]["jwt"]["claims"]
    claims |= {"sub": "Zoë 🙂 \u0001", "name": "a\0b \ud800"}
    assert invoke("AccountFunction", asked)["statusCode"] == 201


def test_a_user_pools_scopes_are_those_of_the_contract(invoke: Invoke) -> None:
    asked = event("create_organization")
    scope = "billing/platform billing/admin"
    asked["requestContext"]["authorizer"]["jwt"]["claims"]["scope"] = scope
    assert invoke("AccountFunction", asked)["statusCode"] == 201
