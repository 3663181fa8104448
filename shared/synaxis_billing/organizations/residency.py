"""Where organizations are at home: each one's rows are in the database of one region, and the
others know its id and that region's name alone."""

from collections.abc import Mapping
from uuid import UUID

import psycopg

from synaxis_billing import sql
from synaxis_billing.errors import Misdirected, invalid_field
from synaxis_billing.fields import Answer, Name, Request
from synaxis_billing.ledger import Caller

# The URL at which each region's API answers, by the region's name.
Endpoints = Mapping[str, str]


class NewHome(Request):
    region: Name


class Home(Answer):
    organization_id: UUID
    region: str
    endpoint: str


def set_home(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    request: NewHome,
    endpoints: Endpoints,
) -> Home:
    """Raises Forbidden (a tenant's token), InvalidRequest (an unknown region), Conflict (this
    region holds it)."""
    if request.region not in endpoints:
        known = ", ".join(sorted(endpoints)) or "none is configured"
        raise invalid_field("body", "/region", f"must be another region: {known}")
    sql.accepted(sql.call(db, "set_home", caller.tenant, organization_id, request.region))
    return Home(
        organization_id=organization_id,
        region=request.region,
        endpoint=endpoints[request.region],
    )


def check_region(region: str | None, endpoints: Endpoints) -> None:
    """Whether an organization of this region can be made here. Raises Misdirected."""
    if region is not None and region in endpoints:
        raise _misdirected(region, endpoints)


def check_home(
    db: psycopg.Connection, tenant: str, organization_id: UUID, endpoints: Endpoints
) -> None:
    """Whether another region holds an organization that this one does not. Raises Misdirected."""
    region: str | None = sql.call(db, "home", tenant, organization_id)
    if region is not None and region in endpoints:
        raise _misdirected(region, endpoints)


def _misdirected(region: str, endpoints: Endpoints) -> Misdirected:
    return Misdirected(
        f"The organization is at home in {region}.",
        home_region=region,
        home_endpoint=endpoints[region],
    )
