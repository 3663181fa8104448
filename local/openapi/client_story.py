"""A program of an organization, for the examples of the document."""

from typing import Any

from local.openapi import story

CLIENT_ID = "c58e1f03-9a7d-4b26-8e41-f0b3d6a2c7e5"
CLIENT_SECRET = "cs_Zm9yIGRvY3VtZW50YXRpb24gYWxvbmUsIG5vIHNlY3JldA"

CLIENT = {
    "id": CLIENT_ID,
    "organization_id": story.ORGANIZATION_ID,
    "name": "billing page",
    "scopes": ["billing:read"],
    "created_at": "2026-02-01T08:00:00Z",
    "rotated_at": None,
    "revoked_at": None,
}
CLIENT_REQUEST = {"name": CLIENT["name"], "scopes": CLIENT["scopes"]}
CREATED_CLIENT = {**CLIENT, "secret": CLIENT_SECRET}
TOKEN_REQUEST = {
    "grant_type": "client_credentials",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
}
TOKEN = {
    "access_token": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
    "token_type": "Bearer",
    "expires_in": 3600,
}
# The answer, and the request if there is one.
OPERATIONS: dict[str, tuple[Any, ...]] = {
    "createClient": (CREATED_CLIENT, CLIENT_REQUEST),
    "listClients": ({"items": [CLIENT]},),
    "rotateClientSecret": (CREATED_CLIENT,),
    "revokeClient": ({**CLIENT, "revoked_at": "2026-02-27T10:00:00Z"},),
    "createToken": (TOKEN, TOKEN_REQUEST),
}
