"""Authorization: the scope and the tenant of a request. API Gateway has verified the token."""

import re
from typing import Any
from uuid import UUID

from synaxis_billing.caller import Caller, OrganizationNotFound
from synaxis_billing.edge.settings import settings as configured
from synaxis_billing.errors import Forbidden, Unauthenticated
from synaxis_billing.validation import invalid_request

# NUL and halves of surrogate pairs, which PostgreSQL's text does not hold.
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


SETTINGS = "billing:settings"
# The claim that a token of an organization's client has.
CLIENT = "organization_client"


def authorize(
    event: dict[str, Any], scope: str, organization_id: str | None, *, settings: bool = False
) -> Caller:
    """Return the caller, whose token has the scope and may touch the path's organization.
    `settings`: the scope billing:settings is enough for a token of that organization alone.

    Raises Unauthenticated, Forbidden, OrganizationNotFound, InvalidRequest.
    """
    claims = _claims(event)
    if not claims:
        raise Unauthenticated
    # Cognito writes a resource server's scope with a slash, API Gateway a list in brackets.
    said = claims.get(configured().scope_claim, "").strip("[]")
    scopes = said.replace("billing/", "billing:").split()
    settings_only = settings and scope not in scopes and SETTINGS in scopes
    if scope not in scopes and not settings_only:
        enough = f"{scope} or {SETTINGS}" if settings else scope
        raise Forbidden(f"This request needs a token with the scope {enough}.")
    tenant = _tenant(claims.get(configured().organization_claim), scopes)
    if settings_only and tenant == "*":
        raise Forbidden(f"A token of all organizations needs the scope {scope} for this request.")
    if organization_id is not None:
        asked = _uuid(organization_id)
        if asked is None:
            raise invalid_request([{"type": "uuid_parsing", "loc": ("path", "organization_id")}])
        if tenant not in ("*", str(asked)):
            raise OrganizationNotFound
    client = claims.get(CLIENT)
    subject = client or claims.get("sub")
    return Caller(tenant=tenant, subject=subject, settings_only=settings_only, client=client)


def _claims(event: dict[str, Any]) -> dict[str, str]:
    """Return the token's claims, which are text; none if they or the subject cannot be used."""
    match event["requestContext"]:
        case {"authorizer": {"jwt": {"claims": dict(claims)}}} if all(
            isinstance(value, str) for value in claims.values()
        ) and not _UNWRITABLE.search(claims.get("sub", "")):
            return claims
    return {}


def _tenant(organization_id: str | None, scopes: list[str]) -> str:
    if organization_id is None and "billing:platform" in scopes:
        return "*"
    tenant = _uuid(organization_id or "")
    if tenant is None:
        raise Forbidden("The token does not name an organization.")
    return str(tenant)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
