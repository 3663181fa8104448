"""Periods of an organization, which a request may give by days."""

from datetime import date
from uuid import UUID

from synaxis_billing.caller import Caller
from synaxis_billing.edge.database import connection
from synaxis_billing.organizations import days


def period(
    caller: Caller, organization_id: UUID, start: date | None, end: date | None
) -> days.Instants:
    """Return the start and the end of a period as instants. Raises OrganizationNotFound."""
    return days.instants(connection(), caller, organization_id, start, end)
