"""Reratings: corrections of charges whose price turns out to have been another."""

from typing import Annotated, Any, Self
from uuid import UUID

import psycopg
from pydantic import Field, model_validator

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, Instant, Money, Name, Request, Time

# An answer has its largest size.
MOST_LISTED = 10_000


class NewRerating(Request):
    """Rates the charges of a model's price in a half-open period again."""

    provider: Annotated[Name, Field(examples=["openai"])]
    """Provider that the price names."""
    model: Annotated[Name, Field(examples=["gpt-4o"])]
    """Model that the price names."""
    start: Annotated[Instant, Field(alias="from")]
    """First instant of the period."""
    end: Annotated[Instant, Field(alias="to")]
    """End of the period, exclusive."""
    dry_run: Annotated[bool, Field(strict=True)] = True
    """Whether to answer the corrections without making them."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError("must have a `from` that is before its `to`")
        return self


class Correction(Answer):
    organization_id: UUID
    """Id of the organization whose charges are corrected."""
    charges: int
    """Number of charges that differ."""
    charged_usd: Money
    """Sum of the charges as they are, in US dollars."""
    rerated_usd: Money
    """Sum of the charges by the price as it is known now, in US dollars."""
    correction_usd: Money
    """Amount in US dollars that is taken; a negative amount is given back."""
    transaction_id: UUID | None
    """Id of the adjustment; null in a dry run."""


class Rerating(Answer):
    """What a rerating corrects, or would correct, for each organization."""

    id: UUID | None
    """Id of the rerating, the `reference_id` of its adjustments; null in a dry run."""
    provider: str
    """Provider that the price names."""
    model: str
    """Model that the price names."""
    start: Annotated[Time, Field(alias="from")]
    """First instant of the period."""
    end: Annotated[Time, Field(alias="to")]
    """End of the period, exclusive."""
    dry_run: bool
    """Whether nothing was changed, and the answer tells what would be."""
    organizations: list[Correction]
    """One correction for each organization, of the first 10,000 by id."""


def rerate(db: psycopg.Connection, caller: Caller, request: NewRerating) -> Rerating:
    """Correct a period's charges, or tell what would be corrected.

    Each organization is corrected by itself; a second run finds nothing left, or what a broken one
    has left. Raises Forbidden (not the platform's token).
    """
    caller.require_platform()
    of: dict[str, Any] = {
        "provider": request.provider,
        "model": request.model,
        "start": request.start,
        "end": request.end,
    }
    rerating_id = None
    if not request.dry_run:
        outcome = procedures.call(
            db, "create_rerating", tenant=caller.tenant, initiated_by=caller.subject, **of
        )
        rerating_id, _ = procedures.accepted(outcome)
    corrections = [
        procedures.call(
            db,
            "rerate",
            tenant=caller.tenant,
            organization_id=organization_id,
            rerating_id=rerating_id,
            initiated_by=caller.subject,
            **of,
        )
        for organization_id in procedures.each_organization(
            lambda: db, "organizations_charged_for", **of
        )
    ]
    return Rerating.model_validate(
        {
            "id": rerating_id,
            "provider": request.provider,
            "model": request.model,
            "from": request.start,
            "to": request.end,
            "dry_run": request.dry_run,
            "organizations": [row for row in corrections if row][:MOST_LISTED],
        }
    )
