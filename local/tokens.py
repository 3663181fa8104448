"""The local issuer of tokens, an OIDC provider with one key, and the checks of the HTTP API's JWT
authorizer.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
"""

import json
import time
import uuid
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from local.servers import write_private

LIFETIME_SECONDS = 12 * 60 * 60
ALGORITHM = "RS256"
KEY_ID = "local"


class InvalidToken(Exception):
    """The authorizer answers 401; the message is the reason."""


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

    def issue(self, scope: str, organization_id: str | None, subject: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": self.audience,
            "sub": subject,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": str(uuid.uuid4()),
            "scope": scope,
        }
        if organization_id is not None:
            claims["organization_id"] = organization_id
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
            "token_endpoint": f"{self.url}/token",
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
