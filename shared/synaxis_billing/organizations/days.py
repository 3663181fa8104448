"""Days of an organization's time zone."""

from datetime import date, datetime
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller

type Instants = tuple[datetime | None, datetime | None]


def instants(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    start: date | None,
    end: date | None,
) -> Instants:
    """Return the bounds of a period as instants: a day begins in the organization's time zone.

    Raises OrganizationNotFound.
    """

    def instant(bound: date | None) -> datetime | None:
        if bound is None or isinstance(bound, datetime):
            return bound
        outcome = procedures.call(
            db, "day_start_of", tenant=caller.tenant, organization_id=organization_id, day=bound
        )
        return datetime.fromisoformat(procedures.accepted(outcome)[0])

    return instant(start), instant(end)
