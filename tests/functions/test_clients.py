"""A customer's own program acts for that customer alone, by a secret that can be renewed and
revoked."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from synaxis_billing import web
from synaxis_billing.caller import Caller
from synaxis_billing.clients import clients
from synaxis_billing.clients.clients import InvalidClient
from synaxis_billing.edge import database as connections
from synaxis_billing.edge.aws import issuer
from synaxis_billing.edge.http import authorization, revocation
from synaxis_billing.errors import (
    BillingError,
    Conflict,
    Forbidden,
    InvalidRequest,
    TemporarilyUnavailable,
    Unauthenticated,
)
from tests.conftest import Database
from tests.support.clock import move_clock
from tests.support.events import Invoke, event
from tests.support.running import Client
from tests.support.steps import PLATFORM, new_organization

SOMEBODY = "0190163d-8694-739b-aea5-966c26f8ad91"
READER = clients.NewClient(name="billing page", scopes=("billing:read",))


@pytest.fixture
def db(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


def form(api: Client, created: dict[str, Any], **more: str) -> httpx.Response:
    """The answer to a request for a token, as OAuth libraries send it."""
    return httpx.post(
        f"{api.url}/v1/tokens",
        data={"grant_type": "client_credentials", **more},
        auth=(created["id"], created["secret"]),
    )


def bearer(api: Client, created: dict[str, Any]) -> httpx.Client:
    token = form(api, created).raise_for_status().json()["access_token"]
    return httpx.Client(base_url=api.url, headers={"authorization": f"Bearer {token}"})


def test_a_client_reads_its_own_organization_and_no_more(api: Client) -> None:
    ours, other = api.new_organization("10"), api.new_organization()
    created = api.post(f"{ours}/clients", {"name": "page", "scopes": ["billing:read"]})
    assert created.status_code == 201
    with bearer(api, created.json()) as client:
        assert client.get(f"{ours}/balance").json()["available_usd"] == "10.00"
        assert client.get(f"{other}/balance").status_code == 404
        assert client.get("/v1/organizations").status_code in (200, 403)
        body = {"amount_usd": "1", "description": "x"}
        headers = {"idempotency-key": str(uuid4())}
        charged = client.post(f"{ours}/charges", json=body, headers=headers)
        assert charged.status_code == 403
    listed = api.get(f"{ours}/clients").json()["items"]
    assert [one["id"] for one in listed] == [created.json()["id"]]
    assert "secret" not in json.dumps(listed)


def test_a_client_may_ask_in_json_and_for_less(api: Client) -> None:
    ours = api.new_organization("10")
    scopes = ["billing:read", "billing:charge"]
    created = api.post(f"{ours}/clients", {"name": "gateway", "scopes": scopes}).json()
    asked = {
        "grant_type": "client_credentials",
        "client_id": created["id"],
        "client_secret": created["secret"],
        "scope": "billing:read",
    }
    answer = httpx.post(f"{api.url}/v1/tokens", json=asked)
    token = answer.raise_for_status().json()["access_token"]
    headers = {"authorization": f"Bearer {token}", "idempotency-key": str(uuid4())}
    assert httpx.get(f"{api.url}{ours}/balance", headers=headers).status_code == 200
    body = {"amount_usd": "1", "description": "x"}
    assert httpx.post(f"{api.url}{ours}/charges", json=body, headers=headers).status_code == 403
    # What it does not have, it does not get.
    assert form(api, created, scope="billing:admin").status_code == 401
    assert form(api, created, scope="billing:nothing").status_code == 400


@pytest.mark.parametrize("wrong", ["secret", "id", "neither"])
def test_a_wrong_secret_gets_no_token(api: Client, wrong: str) -> None:
    ours = api.new_organization()
    created = api.post(f"{ours}/clients", {"name": "page", "scopes": ["billing:read"]}).json()
    if wrong == "neither":
        answer = httpx.post(f"{api.url}/v1/tokens", data={"grant_type": "client_credentials"})
    else:
        answer = form(api, {**created, wrong: str(uuid4())})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_revoked_client_gets_no_token_and_its_token_is_refused(api: Client) -> None:
    ours = api.new_organization()
    created = api.post(f"{ours}/clients", {"name": "page", "scopes": ["billing:read"]}).json()
    with bearer(api, created) as client:
        revoked = api.http.delete(f"{ours}/clients/{created['id']}")
        assert revoked.json()["revoked_at"] is not None
        assert client.get(f"{ours}/balance").status_code == 401
    assert form(api, created).status_code == 401
    # A second time, as after a lost reply, changes nothing.
    again = api.http.delete(f"{ours}/clients/{created['id']}")
    assert again.json() == revoked.json()
    # Its name is free.
    assert api.post(f"{ours}/clients", {"name": "page", "scopes": ["billing:read"]}).is_success


def test_a_token_in_use_is_refused_within_a_minute_of_the_revocation(
    database: Database, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.app_url)
    connections.discard()
    revocation._active_at.clear()
    ours = new_organization(db)
    created = clients.create_client(db, PLATFORM, ours, READER)
    caller = Caller(tenant=str(ours), client=str(created.id))
    revocation.require_active(caller)
    clients.revoke_client(db, PLATFORM, ours, created.id)
    now = time.time()
    monkeypatch.setattr(revocation, "time", _Clock(now + 59))
    with pytest.raises(Unauthenticated):
        revocation.require_active(caller)
    # A clock that was set back remembers nothing.
    monkeypatch.setattr(revocation, "time", _Clock(now - 3600))
    with pytest.raises(Unauthenticated):
        revocation.require_active(caller)
    with pytest.raises(Unauthenticated):
        revocation.require_active(Caller(tenant=str(ours), client="no id"))
    connections.discard()


class _Clock:
    def __init__(self, now: float) -> None:
        self._now = now

    def time(self) -> float:
        return self._now


def test_a_renewed_secret_and_for_a_day_the_old_one_are_good(
    database: Database, db: psycopg.Connection
) -> None:
    ours = new_organization(db)
    first = clients.create_client(db, PLATFORM, ours, READER)
    second = clients.rotate_secret(db, PLATFORM, ours, first.id)
    assert verified(db, first.id, first.secret)
    assert verified(db, first.id, second.secret)
    with database.admin() as admin:
        move_clock(admin, timedelta(hours=25))
    assert not verified(db, first.id, first.secret)
    assert verified(db, first.id, second.secret)
    # Renewed twice, the first is not good any more.
    third = clients.rotate_secret(db, PLATFORM, ours, first.id)
    fourth = clients.rotate_secret(db, PLATFORM, ours, first.id)
    assert [verified(db, first.id, one.secret) for one in (second, third, fourth)] == [
        *(False, True, True)
    ]


def verified(db: psycopg.Connection, client_id: UUID, secret: str) -> bool:
    now = int(time.time())
    try:
        clients.verify(db, clients.prove(client_id, secret, now), now)
    except InvalidClient:
        return False
    return True


def test_a_proof_is_of_one_client_and_one_minute(db: psycopg.Connection) -> None:
    ours = new_organization(db)
    one = clients.create_client(db, PLATFORM, ours, READER)
    other = clients.create_client(
        db, PLATFORM, ours, clients.NewClient(name="other", scopes=("billing:admin",))
    )
    proof = clients.prove(one.id, one.secret, 1000)
    assert clients.verify(db, proof, 1050) == (ours, ["billing:read"])
    for bad, now in ((proof, 1100), (proof, 900), (proof._replace(client_id=other.id), 1000)):
        with pytest.raises(InvalidClient):
            clients.verify(db, bad, now)
    with pytest.raises(InvalidClient):
        clients.verify(db, proof._replace(time=1001), 1001)


def test_only_the_platform_makes_clients_and_each_name_is_there_once(
    db: psycopg.Connection,
) -> None:
    ours = new_organization(db)
    with pytest.raises(Forbidden):
        clients.create_client(db, Caller(tenant=str(ours)), ours, READER)
    clients.create_client(db, PLATFORM, ours, READER)
    with pytest.raises(clients.ClientExists):
        clients.create_client(db, PLATFORM, ours, READER)
    for number in range(1, clients.MOST_CLIENTS):
        more = clients.NewClient(name=str(number), scopes=("billing:read",))
        clients.create_client(db, PLATFORM, ours, more)
    with pytest.raises(Conflict, match="20 clients already"):
        clients.create_client(
            db, PLATFORM, ours, clients.NewClient(name="x", scopes=("billing:read",))
        )


def test_no_secret_is_in_the_database(database: Database, db: psycopg.Connection) -> None:
    created = clients.create_client(db, PLATFORM, new_organization(db), READER)
    with database.admin() as admin:
        [(row,)] = admin.execute("SELECT c::text FROM billing.clients AS c").fetchall()
    assert created.secret not in row
    assert created.secret.encode().hex() not in row


def asked(**request: Any) -> dict[str, Any]:
    """What Cognito asks before it gives a token."""
    found: dict[str, Any] = event("token_claims")
    return {**found, "request": {**found["request"], **request}}


def metadata_of(created: clients.OrganizationClientWithSecret) -> dict[str, str]:
    proof = clients.prove(created.id, created.secret, int(time.time()))
    return {
        "client_id": str(proof.client_id),
        "time": str(proof.time),
        "signature": proof.signature,
    }


def test_cognito_is_told_the_organization_by_our_table_and_never_by_the_caller(
    invoke: Invoke, database: Database
) -> None:
    with database.connect() as db:
        ours, other = new_organization(db), new_organization(db)
        created = clients.create_client(db, PLATFORM, ours, READER)
    metadata = metadata_of(created) | {"organization_id": str(other)}
    scopes = ["billing/read", "billing/admin"]
    answered = invoke("TokenClaimsFunction", asked(scopes=scopes, clientMetadata=metadata))
    assert answered["response"]["claimsAndScopeOverrideDetails"] == {
        "accessTokenGeneration": {
            "claimsToAddOrOverride": {
                "organization_id": str(ours),
                authorization.CLIENT: str(created.id),
            },
            "scopesToSuppress": ["billing/admin"],
        }
    }
    # The shared client gets nothing by itself, nor a client what it does not have.
    for request in (
        {"scopes": scopes},
        {"scopes": scopes, "clientMetadata": {"client_id": str(created.id)}},
        {"scopes": ["billing/admin"], "clientMetadata": metadata_of(created)},
    ):
        with pytest.raises(InvalidClient):
            invoke("TokenClaimsFunction", asked(**request))


def of_person(*groups: str) -> dict[str, Any]:
    """What Cognito asks when somebody of these groups signs in."""
    configuration = {"groupsToOverride": list(groups)}
    question = asked(scopes=["openid"], groupConfiguration=configuration)
    return {**question, "triggerSource": "TokenGeneration_HostedAuth"}


def test_a_person_gets_the_scopes_of_the_groups_role_in_its_organization_alone(
    invoke: Invoke,
) -> None:
    organization = str(uuid4())

    def given(*groups: str) -> dict[str, Any]:
        answered = invoke("TokenClaimsFunction", of_person(*groups))
        details = answered["response"]["claimsAndScopeOverrideDetails"]
        found: dict[str, Any] = details["accessTokenGeneration"]
        return found

    assert given("newsletter", f"finance:{organization}") == {
        "claimsToAddOrOverride": {"organization_id": organization},
        "scopesToAdd": ["billing/read", "billing/pay", "billing/settings"],
    }
    assert given(f"engineer:{organization}") == {
        "claimsToAddOrOverride": {"organization_id": organization},
        "scopesToAdd": ["billing/read"],
    }
    operator = given("operator")
    assert operator["claimsToAddOrOverride"] == {}
    assert "billing/platform" in operator["scopesToAdd"]
    # Whose credit it would show is not ours to guess.
    for second in (f"engineer:{organization}", "operator", f"finance:{uuid4()}"):
        with pytest.raises(InvalidRequest):
            invoke("TokenClaimsFunction", of_person(f"finance:{organization}", second))


@pytest.mark.parametrize(
    "group", ["finance", "finance:", "operator:x", f"operator:{SOMEBODY}", f"owner:{SOMEBODY}"]
)
def test_a_group_of_another_name_gives_nothing(invoke: Invoke, group: str) -> None:
    assert invoke("TokenClaimsFunction", of_person(group)) == of_person(group)


@pytest.mark.parametrize("kind", ["machine of the platform", "person"])
def test_other_tokens_are_left_as_they_are(invoke: Invoke, kind: str) -> None:
    question = asked()
    if kind == "person":
        question |= {"triggerSource": "TokenGeneration_HostedAuth"}
        question["request"]["scopes"] = ["openid"]
    assert invoke("TokenClaimsFunction", question) == question


@pytest.mark.parametrize(
    ("status", "answered", "refusal"),
    [
        (400, {"error": "invalid_scope"}, InvalidRequest),
        (
            400,
            {
                "error": "x",
                "error_description": "PreTokenGeneration failed with error InvalidClient",
            },
            InvalidClient,
        ),
        # Whatever else it says is no fault of the client's.
        (400, {"error": "x", "error_description": "OperationalError"}, TemporarilyUnavailable),
        (500, {}, TemporarilyUnavailable),
        (None, {}, TemporarilyUnavailable),
    ],
)
def test_what_the_issuer_refuses_is_told_to_the_client(
    status: int | None,
    answered: dict[str, str],
    refusal: type[BillingError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def respond(*_: Any, **__: Any) -> web.Response:
        if status is None:
            raise web.NoResponse("it did not answer")
        return web.Response(status, json.dumps(answered).encode())

    monkeypatch.setenv("USER_POOL_ENDPOINT", "https://pool.example.com/oauth2/token")
    monkeypatch.setattr(web, "request", respond)
    request = issuer.TokenRequest.model_validate(
        {"grant_type": "client_credentials", "client_id": str(uuid4()), "client_secret": "x"}
    )
    with pytest.raises(refusal):
        issuer.token(request, "")


def test_a_deployment_with_an_issuer_of_its_own_gives_no_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("USER_POOL_ENDPOINT", "")
    with pytest.raises(Conflict, match="another issuer"):
        issuer.token(issuer.TokenRequest.model_construct(), "")


def test_an_issuer_may_name_its_claims_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = str(uuid4())
    said = {"scp": "[billing:read billing:charge]", "org": tenant, "sub": "x"}
    given = {"requestContext": {"authorizer": {"jwt": {"claims": said}}}}
    with pytest.raises(Forbidden):
        authorization.authorize(given, "billing:read", tenant)
    monkeypatch.setenv("SCOPE_CLAIM", "scp")
    monkeypatch.setenv("ORGANIZATION_CLAIM", "org")
    assert authorization.authorize(given, "billing:read", tenant).tenant == tenant
