"""Clients of an organization: programs that get tokens of that organization alone.

A client proves that it knows its secret without sending it on: the function that takes the secret
signs the client's id and the time with the secret's hash, and the function beside the database
compares. The issuer of tokens carries the proof, and never sees the secret.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, ClassVar, Literal, NamedTuple
from uuid import UUID

import psycopg
from pydantic import Field

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import BillingError, Conflict, NotFound
from synaxis_billing.fields import Answer, Name, Request, Time

MOST_CLIENTS = 20
SECRET_BYTES = 32
# A rotated secret is good for this long.
SECRET_OVERLAP = timedelta(hours=24)
# A proof is good for this long: clocks differ, and an issuer takes its time.
PROOF_SECONDS = 60

type ClientScope = Literal[
    "billing:charge",
    "billing:read",
    "billing:topup",
    "billing:admin",
    "billing:pay",
    "billing:settings",
]


class NewClient(Request):
    """A program that acts for one organization."""

    name: Name
    """Name of the client, one of its kind among the organization's clients."""
    scopes: Annotated[tuple[ClientScope, ...], Field(min_length=1, max_length=6)]
    """What its tokens allow."""


class OrganizationClient(Answer):
    """A program that acts for one organization."""

    id: UUID
    """Id of the client, the `client_id` with which it asks for tokens."""
    organization_id: UUID
    name: str
    """Name of the client."""
    scopes: list[str]
    """What its tokens allow."""
    created_at: Time
    rotated_at: Time | None
    """Time at which its secret was renewed."""
    revoked_at: Time | None
    """Time from which on it is refused."""


class OrganizationClientWithSecret(OrganizationClient):
    """`secret` is shown once, here."""

    secret: str
    """The secret, the `client_secret` with which it asks for tokens; shown once, here."""


class OrganizationClients(Answer):
    """Oldest first."""

    items: list[OrganizationClient]
    """The clients, oldest first, with those that were revoked."""


class ClientNotFound(NotFound):
    """The client does not exist in this organization, or was revoked."""

    code = "client_not_found"


class ClientExists(Conflict):
    """The organization already has a client with this name."""

    code = "client_exists"


class InvalidClient(BillingError):
    """The client does not exist, was revoked, or its secret is wrong."""

    status = HTTPStatus.UNAUTHORIZED
    code = "invalid_client"
    members: ClassVar = {"error": "The same code, as RFC 6749 names it."}

    def __init__(self, detail: str | None = None, *, error: str = code) -> None:
        super().__init__(detail, error=error)


class Proof(NamedTuple):
    """That a client knows its secret: `signature` is of its id and the time, in seconds."""

    client_id: UUID
    time: int
    signature: str


class Granted(NamedTuple):
    """What a client's tokens say."""

    organization_id: UUID
    scopes: Sequence[str]


def create_client(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, request: NewClient
) -> OrganizationClientWithSecret:
    """Create a client; return it with its secret.

    Raises Forbidden (a tenant's token), OrganizationNotFound, ClientExists, Conflict (too many).
    """
    secret = _new_secret()
    outcome = procedures.call(
        db,
        "create_client",
        tenant=caller.tenant,
        organization_id=organization_id,
        name=request.name,
        scopes=list(dict.fromkeys(request.scopes)),
        verifier=verifier_of(secret),
        most=MOST_CLIENTS,
    )
    return OrganizationClientWithSecret(**procedures.accepted(outcome)[0], secret=secret)


def list_clients(
    db: psycopg.Connection, caller: Caller, organization_id: UUID
) -> OrganizationClients:
    """List the clients of an organization. Raises OrganizationNotFound."""
    outcome = procedures.call(db, "clients", tenant=caller.tenant, organization_id=organization_id)
    return OrganizationClients(items=procedures.accepted(outcome)[0])


def rotate_secret(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, client_id: UUID
) -> OrganizationClientWithSecret:
    """Give a client a new secret; the old one is good for one more day.

    Raises OrganizationNotFound, ClientNotFound.
    """
    secret = _new_secret()
    outcome = procedures.call(
        db,
        "rotate_client_secret",
        tenant=caller.tenant,
        organization_id=organization_id,
        client_id=client_id,
        verifier=verifier_of(secret),
        overlap=SECRET_OVERLAP,
    )
    return OrganizationClientWithSecret(**procedures.accepted(outcome)[0], secret=secret)


def revoke_client(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, client_id: UUID
) -> OrganizationClient:
    """Revoke a client for ever. Raises OrganizationNotFound, ClientNotFound."""
    outcome = procedures.call(
        db,
        "revoke_client",
        tenant=caller.tenant,
        organization_id=organization_id,
        client_id=client_id,
    )
    return OrganizationClient.model_validate(procedures.accepted(outcome)[0])


def is_active(db: psycopg.Connection, organization_id: UUID, client_id: UUID) -> bool:
    """Say whether a client may still call."""
    found: bool = procedures.call(
        db,
        "client_is_active",
        tenant=str(organization_id),
        organization_id=organization_id,
        client_id=client_id,
    )
    return found


def prove(client_id: UUID, secret: str, now: int) -> Proof:
    """Return the proof that a client knows its secret, at a time in seconds."""
    return Proof(client_id, now, _signature(verifier_of(secret), client_id, now))


def verify(db: psycopg.Connection, proof: Proof, now: float) -> Granted:
    """Return what a client's tokens say. Raises InvalidClient."""
    found = procedures.call(db, "client_to_verify", tenant="*", client_id=proof.client_id)
    if found is None or abs(now - proof.time) > PROOF_SECONDS:
        raise InvalidClient
    good = [
        _signature(bytes.fromhex(verifier), proof.client_id, proof.time)
        for verifier in found["verifiers"]
    ]
    if not any(hmac.compare_digest(one, proof.signature) for one in good):
        raise InvalidClient
    return Granted(UUID(found["organization_id"]), found["scopes"])


def verifier_of(secret: str) -> bytes:
    """Return what the database keeps of a secret. It is random, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def _new_secret() -> str:
    return f"cs_{secrets.token_urlsafe(SECRET_BYTES)}"


def _signature(verifier: bytes, client_id: UUID, time: int) -> str:
    return hmac.digest(verifier, f"{client_id}.{time}".encode(), hashlib.sha256).hex()
