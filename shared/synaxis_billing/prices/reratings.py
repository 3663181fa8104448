"""Reratings: corrections of charges whose price turns out to have been another."""

from typing import Annotated, Any, Self
from uuid import UUID

import psycopg
from pydantic import Field, model_validator

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, Instant, Money, Name, Request, Time


class NewRerating(Request):
    """Rates the charges of a model's price in a half-open period again."""

    provider: Annotated[Name, Field(examples=["openai"])]
    """The provider of the price."""
    model: Annotated[Name, Field(examples=["gpt-4o"])]
    """The model of the price."""
    start: Annotated[Instant, Field(alias="from")]
    """The period's first instant."""
    end: Annotated[Instant, Field(alias="to")]
    """The period's end, exclusive."""
    dry_run: Annotated[bool, Field(strict=True)] = True
    """Whether to answer the corrections without making them."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError("must have a `from` that is before its `to`")
        return self


class Correction(Answer):
    organization_id: UUID
    """Whose charges are corrected."""
    charges: int
    """How many charges differ."""
    charged_usd: Money
    """What they were charged."""
    rerated_usd: Money
    """What they should have been charged."""
    correction_usd: Money
    """What is taken; negative is given back."""
    transaction_id: UUID | None
    """The adjustment; null in a dry run."""


class Rerating(Answer):
    """What a rerating corrects, or would correct, for each organization."""

    id: UUID | None
    """The adjustments' reference_id."""
    provider: str
    """The provider of the price."""
    model: str
    """The model of the price."""
    start: Annotated[Time, Field(alias="from")]
    """The period's first instant."""
    end: Annotated[Time, Field(alias="to")]
    """The period's end, exclusive."""
    dry_run: bool
    """Whether nothing was changed."""
    organizations: list[Correction]
    """One for each organization."""


def rerate(db: psycopg.Connection, caller: Caller, request: NewRerating) -> Rerating:
    """Correct a period's charges, or tell what would be corrected.

    A second run finds nothing left. Raises Forbidden (not the platform's token).
    """
    outcome: dict[str, Any] = procedures.call(
        db,
        "rerate",
        tenant=caller.tenant,
        provider=request.provider,
        model=request.model,
        start=request.start,
        end=request.end,
        dry_run=request.dry_run,
        initiated_by=caller.subject,
    )
    return Rerating.model_validate(procedures.accepted(outcome)[0])
