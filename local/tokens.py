"""The local issuer of tokens, an OIDC provider with one key, and the checks of the HTTP API's JWT
authorizer.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html
"""

import base64
import json
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from local.servers import write_private

LIFETIME_SECONDS = 12 * 60 * 60
ALGORITHM = "RS256"
KEY_ID = "local"
# The client that all clients of organizations share.
TENANTS = "tenants"


class InvalidToken(Exception):
    """The authorizer answers 401; the message is the reason."""


class TokenError(Exception):
    """The token endpoint refuses a request; `code` is one of RFC 6749, 5.2."""

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.code = code
        self.status = status


class TokenRequest(NamedTuple):
    """The scopes, tenant and subject that a token is asked for."""

    scope: str
    organization_id: str | None
    subject: str
    # What the tokens' endpoint passes on to the trigger; None where there is no trigger.
    metadata: dict[str, str] | None = None


def read_token_request(
    body: bytes, authorization: str | None, known: frozenset[str]
) -> TokenRequest:
    """Read JSON, or the form of OAuth2's client credentials as Cognito takes it.

    A client of any id and secret may have every scope. Raises TokenError.
    """
    if body.lstrip().startswith(b"{"):
        asked = _from_json(body)
    else:
        asked = _from_form(dict(parse_qsl(body.decode(errors="replace"))), authorization, known)
    # Cognito writes a scope with a slash.
    unknown = sorted(set(asked.scope.replace("/", ":").split()) - known)
    if unknown:
        raise TokenError(
            "invalid_scope",
            f"`{unknown[0]}` is not a scope; the scopes are {', '.join(sorted(known))}.",
        )
    return asked


def _from_json(body: bytes) -> TokenRequest:
    try:
        asked = json.loads(body)
        scope, organization_id = asked["scope"], asked.get("organization_id")
        if not isinstance(scope, str):
            raise TypeError("scope")
        if organization_id is not None:
            organization_id = str(uuid.UUID(organization_id))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TokenError(
            "invalid_request",
            'The body must be {"scope": "billing:read ..."}, with "organization_id" (a UUID) and'
            ' "subject" (text) if wanted, or the form of OAuth2 client credentials.',
        ) from error
    return TokenRequest(scope, organization_id, str(asked.get("subject", "local")))


def _from_form(
    form: dict[str, str], authorization: str | None, known: frozenset[str]
) -> TokenRequest:
    if "grant_type" not in form:
        raise TokenError("invalid_request", "`grant_type` is required.")
    if form["grant_type"] != "client_credentials":
        raise TokenError("unsupported_grant_type", "`grant_type` must be client_credentials.")
    client = _basic_client(authorization) if authorization else form.get("client_id")
    if not client:
        raise TokenError(
            "invalid_client",
            "The client must name itself by HTTP Basic, or by `client_id` and `client_secret`.",
            401,
        )
    if client != TENANTS:
        return TokenRequest(form.get("scope") or " ".join(sorted(known)), None, client)
    scopes = form.get("scope") or " ".join(sorted(known - {"billing:platform"}))
    try:
        metadata = json.loads(form.get("aws_client_metadata", "{}"))
    except ValueError:
        raise TokenError("invalid_request", "`aws_client_metadata` must be JSON.") from None
    return TokenRequest(scopes, None, client, metadata)


def _basic_client(authorization: str) -> str | None:
    scheme, _, credentials = authorization.partition(" ")
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except ValueError:
        return None
    return unquote_plus(text.partition(":")[0]) if scheme.lower() == "basic" else None


class Issuer:
    """Issuer of the tokens of `url`, which checks them too. It keeps its key, so tokens outlive a
    restart."""

    def __init__(self, url: str, audience: str, key_file: Path) -> None:
        self.url = url
        self.audience = audience
        if not key_file.exists():
            write_private(key_file, _new_key())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key

    def issue(
        self,
        scope: str,
        organization_id: str | None,
        subject: str,
        more: dict[str, str] | None = None,
        seconds: int = LIFETIME_SECONDS,
    ) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": self.audience,
            "sub": subject,
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "jti": str(uuid.uuid4()),
            "scope": scope,
        }
        if organization_id is not None:
            claims["organization_id"] = organization_id
        claims |= more or {}
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": KEY_ID})

    def claims(self, authorization: str | None) -> dict[str, str]:
        """Return the claims of a valid token as text, the way the authorizer passes them on.

        Raises InvalidToken.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise InvalidToken("The request carries no bearer token.")
        try:
            claims = jwt.decode(
                token.strip(),
                self._key.public_key(),
                [ALGORITHM],
                audience=self.audience,
                issuer=self.url,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.InvalidTokenError as error:
            raise InvalidToken(f"The token is not valid: {error}.") from error
        return {name: _text(value) for name, value in claims.items()}

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/.well-known/jwks.json",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "end_session_endpoint": f"{self.url}/logout",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
        }

    def key_set(self) -> dict[str, Any]:
        key = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**key, "kid": KEY_ID, "alg": ALGORITHM, "use": "sig"}]}


def _new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _text(value: object) -> str:
    if isinstance(value, list):
        return "[" + " ".join(str(one) for one in value) + "]"
    return value if isinstance(value, str) else json.dumps(value)
