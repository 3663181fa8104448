"""Access tokens: a static one, or one of an OAuth2 token endpoint, renewed before it expires."""

import time
from collections.abc import Generator

import httpx

from synaxis_billing_client.errors import refusal

_EARLY_SECONDS = 60.0


class StaticToken(httpx.Auth):
    """A token, or an API key, that is sent as it is."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["authorization"] = f"Bearer {self._token}"
        yield request


class ClientCredentials(httpx.Auth):
    """Fetch a token of OAuth2's client credentials, keep it, and renew it a minute before it
    expires, or when the API does not accept it any more. Raises Refused if there is none."""

    requires_response_body = True

    def __init__(self, token_url: str, client_id: str, client_secret: str, scope: str) -> None:
        self._url = token_url
        self._form = {"grant_type": "client_credentials", "scope": scope}
        self._client = httpx.BasicAuth(client_id, client_secret)
        self._token = ""
        self._renew_at = 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        kept = time.monotonic() < self._renew_at
        if not kept:
            yield from self._fetch()
        request.headers["authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED and kept:
            yield from self._fetch()
            request.headers["authorization"] = f"Bearer {self._token}"
            yield request

    def _fetch(self) -> Generator[httpx.Request, httpx.Response, None]:
        asked = httpx.Request("POST", self._url, data=self._form)
        response = yield next(self._client.auth_flow(asked))
        if response.status_code != httpx.codes.OK:
            raise refusal(response)
        issued = response.json()
        self._token = issued["access_token"]
        lifetime = float(issued.get("expires_in", 300))
        self._renew_at = time.monotonic() + max(lifetime - _EARLY_SECONDS, lifetime / 2)
