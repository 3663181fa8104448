"""Days of an organization's time zone."""

from datetime import date, datetime
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller


def instants(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, bounds: list[date | None]
) -> list[datetime | None]:
    """Return the bounds of a period as instants: a day begins in the organization's time zone.

    Raises OrganizationNotFound.
    """
    days = [bound for bound in bounds if bound is not None and not isinstance(bound, datetime)]
    starts = iter(_starts(db, caller, organization_id, days) if days else ())
    return [
        bound if bound is None or isinstance(bound, datetime) else next(starts) for bound in bounds
    ]


def _starts(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, days: list[date]
) -> list[datetime]:
    outcome = procedures.call(
        db, "day_starts", tenant=caller.tenant, organization_id=organization_id, days=days
    )
    return [datetime.fromisoformat(start) for start in procedures.accepted(outcome)[0]]
