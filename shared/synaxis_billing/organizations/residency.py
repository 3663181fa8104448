"""Residency: each organization's rows are in the database of one region.

The other regions know only its id and that region's name.
"""

from collections.abc import Mapping
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import Misdirected, invalid_field
from synaxis_billing.fields import Answer, Name, Request

# The URL at which each region's API answers, by the region's name.
Endpoints = Mapping[str, str]


class NewOrganizationHome(Request):
    """The region that holds an organization."""

    region: Name
    """Name of another region of this deployment."""


class OrganizationHome(Answer):
    """The other region that holds an organization, and its API."""

    organization_id: UUID
    region: str
    """Region that holds the organization."""
    endpoint: str
    """URL of that region's API."""


def set_home(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    request: NewOrganizationHome,
    endpoints: Endpoints,
) -> OrganizationHome:
    """Record which other region holds an organization.

    Raises Forbidden (a tenant's token), InvalidRequest (an unknown region), Conflict (this region
    holds the organization).
    """
    if request.region not in endpoints:
        known = ", ".join(sorted(endpoints)) or "none is configured"
        raise invalid_field("body", "/region", f"must be another region: {known}")
    outcome = procedures.call(
        db,
        "set_home",
        tenant=caller.tenant,
        organization_id=organization_id,
        region=request.region,
    )
    procedures.accepted(outcome)
    return OrganizationHome(
        organization_id=organization_id,
        region=request.region,
        endpoint=endpoints[request.region],
    )


def check_region(region: str | None, endpoints: Endpoints) -> None:
    """Refuse to create an organization of another region here. Raises Misdirected."""
    if region is not None and region in endpoints:
        raise _misdirected(region, endpoints)


def check_home(
    db: psycopg.Connection, tenant: str, organization_id: UUID, endpoints: Endpoints
) -> None:
    """Name the region that holds an organization which this one does not. Raises Misdirected."""
    region: str | None = procedures.call(db, "home", tenant=tenant, organization_id=organization_id)
    if region is not None and region in endpoints:
        raise _misdirected(region, endpoints)


def _misdirected(region: str, endpoints: Endpoints) -> Misdirected:
    return Misdirected(
        f"The organization is held by the region {region}.",
        home_region=region,
        home_endpoint=endpoints[region],
    )
