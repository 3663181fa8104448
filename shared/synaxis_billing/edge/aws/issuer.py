"""Tokens of organizations' clients, from the user pool, where all of them share one client: the
pool's authorizer knows that one, and the trigger adds the organization (functions/tokens). To the
token of a person, who signs in to the console, it adds scopes, too."""

import base64
import binascii
import functools
import json
import time
from typing import Any, Literal
from urllib.parse import unquote_plus, urlencode
from uuid import UUID

from pydantic import Field

from synaxis_billing import web
from synaxis_billing.clients.clients import InvalidClient, Proof, prove, verify
from synaxis_billing.edge import database
from synaxis_billing.edge.aws.people import SCOPES, read_person
from synaxis_billing.edge.http.authorization import CLIENT
from synaxis_billing.edge.invocation import logger
from synaxis_billing.edge.settings import settings
from synaxis_billing.errors import Conflict, InvalidRequest, TemporarilyUnavailable, invalid_field
from synaxis_billing.fields import Answer, Request

MOST_BYTES = 64 * 1024
PLATFORM = "billing/platform"
# What the trigger's error says when the database does not answer is Cognito's to pass on.
_OURS = "InvalidClient"


class TokenRequest(Request):
    """OAuth 2.0's client credentials."""

    grant_type: Literal["client_credentials"]
    """The grant of OAuth 2.0."""
    client_id: UUID | None = None
    """Id of the client, unless HTTP Basic names it."""
    client_secret: str | None = Field(None, max_length=200)
    """Its secret, unless HTTP Basic gives it."""
    scope: str | None = Field(None, max_length=1000, pattern=r"^[\x20-\x7e]*$")
    """Scopes, with spaces between them; all that the client has if it is left out."""


class Token(Answer):
    """A token, which the header `Authorization: Bearer <access_token>` carries."""

    access_token: str
    """The token."""
    token_type: Literal["Bearer"]
    """How it is sent."""
    expires_in: int
    """Seconds until it expires."""


def token(request: TokenRequest, authorization: str) -> Token:
    """Return a token of a client. Raises InvalidClient, InvalidRequest, Conflict (tokens come from
    another issuer), TemporarilyUnavailable."""
    if not settings().user_pool_endpoint:
        raise Conflict("Tokens of this deployment come from another issuer.")
    client_id, secret = _client(request, authorization)
    proof = prove(client_id, secret, int(time.time()))
    metadata = {
        "client_id": str(proof.client_id),
        "time": str(proof.time),
        "signature": proof.signature,
    }
    form = {"grant_type": request.grant_type, "aws_client_metadata": json.dumps(metadata)}
    if request.scope:
        form["scope"] = request.scope.replace("billing:", "billing/")
    try:
        status, body = web.request(
            "POST",
            settings().user_pool_endpoint,
            headers={
                "Authorization": f"Basic {_shared_client()}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            body=urlencode(form).encode(),
            most_bytes=MOST_BYTES,
        )
        answered = json.loads(body)
    except (web.NoResponse, ValueError, LookupError):
        raise TemporarilyUnavailable("The issuer of tokens cannot be reached now.") from None
    if status == 200:
        return Token(
            access_token=answered["access_token"],
            token_type="Bearer",
            expires_in=answered["expires_in"],
        )
    raise _refusal(status, answered)


def with_claims(event: dict[str, Any]) -> dict[str, Any]:
    """Return Cognito's event with what a client or a person gets beside what the pool knows; what
    is no organization's as it is. Raises InvalidClient, InvalidRequest (a person of several)."""
    if event["triggerSource"] == "TokenGeneration_ClientCredentials":
        given = _of_client(event["request"])
    else:
        given = _of_person(event["request"])
    if given:
        event["response"]["claimsAndScopeOverrideDetails"] = {"accessTokenGeneration": given}
    return event


def _of_client(asked: dict[str, Any]) -> dict[str, Any] | None:
    """Return the claims of a client of an organization, and the scopes that it does not have."""
    scopes = asked.get("scopes") or []
    if PLATFORM in scopes:
        return None
    proof = _proof(asked.get("clientMetadata") or {})
    granted = verify(database.connection(), proof, time.time())
    refused = [scope for scope in scopes if scope.replace("/", ":") not in granted.scopes]
    if len(refused) == len(scopes):
        raise InvalidClient
    claims = {
        settings().organization_claim: str(granted.organization_id),
        CLIENT: str(proof.client_id),
    }
    logger.info("client gets a token", client_id=str(proof.client_id))
    return {"claimsToAddOrOverride": claims, "scopesToSuppress": refused}


def _of_person(asked: dict[str, Any]) -> dict[str, Any] | None:
    """Return the scopes of a person's group, and the organization of which they are."""
    groups = (asked.get("groupConfiguration") or {}).get("groupsToOverride") or []
    people = [person for group in groups if (person := read_person(group))]
    if not people:
        return None
    if len(people) > 1:
        raise InvalidRequest("A person signs in as a member of one group of the console.")
    [person] = people
    claim, organization_id = settings().organization_claim, person.organization_id
    return {
        "claimsToAddOrOverride": {claim: organization_id} if organization_id else {},
        "scopesToAdd": SCOPES[person.role].replace(":", "/").split(),
    }


def _proof(metadata: dict[str, str]) -> Proof:
    try:
        return Proof(UUID(metadata["client_id"]), int(metadata["time"]), metadata["signature"])
    except (KeyError, ValueError):
        raise InvalidClient from None


def _refusal(status: int, answered: dict[str, str]) -> Exception:
    if answered.get("error") == "invalid_scope":
        return invalid_field("body", "/scope", "must name scopes of the client")
    if status < 500 and _OURS in answered.get("error_description", _OURS):
        return InvalidClient()
    return TemporarilyUnavailable("The issuer of tokens cannot answer now.")


def _client(request: TokenRequest, authorization: str) -> tuple[UUID, str]:
    """Return the client's id and secret, from HTTP Basic or the body. Raises InvalidClient."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
            return UUID(unquote_plus(name)), unquote_plus(secret)
        except (binascii.Error, ValueError):
            raise InvalidClient from None
    if request.client_id is None or not request.client_secret:
        raise InvalidClient("The client must name itself, by HTTP Basic or in the body.")
    return request.client_id, request.client_secret


@functools.cache
def _shared_client() -> str:
    """Return the credentials of the client that all share. Raises LookupError."""
    name, secret = settings().tenants_client_id, "local"
    if pool := settings().user_pool_id:
        # Not at the top: a developer's machine has no user pool.
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

        cognito = boto3.client("cognito-idp", region_name=settings().aws_region)
        try:
            found = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=name)
        except (BotoCoreError, ClientError) as error:
            raise LookupError(f"the user pool's client cannot be read: {error}") from error
        secret = found["UserPoolClient"]["ClientSecret"]
    return base64.b64encode(f"{name}:{secret}".encode()).decode()
