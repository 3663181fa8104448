"""Unpriced usage: calls of a model that has no price, kept until its price comes."""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import TooManyRequests
from synaxis_billing.fields import Answer, Time
from synaxis_billing.paging import Bounds, Page, paginate_by_id

# What one call charges at most, so that it ends in time; the next goes on.
MOST_CHARGED = 500


class Uncharged(Exception):
    """Organizations whose usage has a price and cannot be charged, each with the reason's code."""


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

    def fetch(bounds: Bounds[UUID], most: int) -> list[Unpriced]:
        found: list[Any] = procedures.call(
            db, "unpriced", tenant=caller.tenant, **bounds._asdict(), limit=most
        )
        return [Unpriced.model_validate(usage) for usage in found]

    return paginate_by_id("unpriced-usage", limit, cursor, fetch)


def charge_unpriced(db: psycopg.Connection, caller: Caller, most: int = MOST_CHARGED) -> int:
    """Charge usage that has a price by now, oldest first; return how many were charged. An
    organization whose usage cannot be charged stops no other.

    Raises Forbidden (not the platform's token).
    """
    charged, _ = _charge(db, caller, most)
    return charged


def charge_all_unpriced(db: psycopg.Connection, caller: Caller) -> int:
    """Charge all usage that has a price by now and is covered by credit; return how many were
    charged.

    Raises Forbidden, and Uncharged, after all others are charged, for usage that cannot be.
    """
    total = 0
    while True:
        charged, failed = _charge(db, caller, MOST_CHARGED)
        total += charged
        if charged == 0:
            break
    if failed:
        raise Uncharged(
            ", ".join(f"{organization_id} ({state})" for organization_id, state in failed)
        )
    return total


def _charge(
    db: psycopg.Connection, caller: Caller, most: int
) -> tuple[int, Sequence[tuple[UUID, str]]]:
    caller.require_platform()
    charged = 0
    failed = []
    for organization_id in procedures.each_organization(lambda: db, "organizations_with_unpriced"):
        try:
            charged += procedures.call(
                db,
                "charge_unpriced",
                tenant=caller.tenant,
                organization_id=organization_id,
                limit=most - charged,
            )
        except TooManyRequests as error:
            failed.append((organization_id, error.code))
        except psycopg.Error as error:
            if error.sqlstate is None:
                # The connection is lost.
                raise
            failed.append((organization_id, error.sqlstate))
        if charged >= most:
            break
    return charged, failed
