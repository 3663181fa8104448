"""Unpriced usage: calls of a model that has no price, kept until its price comes."""

from typing import Any, Literal
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import Forbidden
from synaxis_billing.fields import Answer, Time
from synaxis_billing.paging import Page, paginate_by_id

# What one call charges at most, so that it ends in time; the next goes on.
MOST_CHARGED = 500


class Unpriced(Answer):
    """Usage that is charged by its own key when its model has a price."""

    status: Literal["unpriced"]
    """Always `unpriced`: it is not charged yet."""
    id: UUID
    """Id of the usage that waits."""
    organization_id: UUID
    """Id of the organization that will be charged."""
    provider: str
    """Name of the model's provider."""
    model: str
    """Name of the model that has no price."""
    service_tier: str
    """Service tier at the provider."""
    usage: dict[str, int]
    """Number of tokens by kind."""
    request_id: str | None
    """Id of the LLM call."""
    reference_id: str | None
    """Reference that the request gave."""
    idempotency_key: str
    """Key of the request."""
    created_at: Time
    """Time at which it was kept."""


def list_unpriced(
    db: psycopg.Connection, caller: Caller, limit: int, cursor: str | None
) -> Page[Unpriced]:
    """List usage that waits for a price, or for credit, newest first.

    Raises InvalidRequest (cursor).
    """

    def fetch(before: UUID | None, most: int) -> list[Unpriced]:
        found: list[Any] = procedures.call(
            db, "unpriced", tenant=caller.tenant, before=before, limit=most
        )
        return [Unpriced.model_validate(usage) for usage in found]

    items, following = paginate_by_id("unpriced-usage", limit, cursor, fetch)
    return Page[Unpriced](items=items, next_cursor=following)


def charge_unpriced(db: psycopg.Connection, caller: Caller, most: int = MOST_CHARGED) -> int:
    """Charge usage that has a price by now, oldest first; return how many were charged.

    Raises Forbidden (not the platform's token).
    """
    if caller.tenant != "*":
        raise Forbidden
    charged = 0
    for organization_id in procedures.each_organization(db, "organizations_with_unpriced"):
        charged += procedures.call(
            db,
            "charge_unpriced",
            tenant=caller.tenant,
            organization_id=organization_id,
            limit=most - charged,
        )
        if charged >= most:
            break
    return charged
