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

    provider: Annotated[Name, Field(description="The provider of the price.", examples=["openai"])]
    model: Annotated[Name, Field(description="The model of the price.", examples=["gpt-4o"])]
    start: Annotated[Instant, Field(alias="from", description="The period's first instant.")]
    end: Annotated[Instant, Field(alias="to", description="The period's end, exclusive.")]
    dry_run: Annotated[
        bool, Field(strict=True, description="Only tell what would be corrected.")
    ] = True

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError("must have a `from` that is before its `to`")
        return self


class Correction(Answer):
    organization_id: Annotated[UUID, Field(description="Whose charges are corrected.")]
    charges: Annotated[int, Field(description="How many charges differ.")]
    charged_usd: Annotated[Money, Field(description="What they were charged.")]
    rerated_usd: Annotated[Money, Field(description="What they should have been charged.")]
    correction_usd: Annotated[Money, Field(description="What is taken; negative is given back.")]
    transaction_id: Annotated[UUID | None, Field(description="The adjustment; null in a dry run.")]


class Rerating(Answer):
    """What a rerating corrects, or would correct, for each organization."""

    id: Annotated[UUID | None, Field(description="The adjustments' reference_id.")]
    provider: Annotated[str, Field(description="The provider of the price.")]
    model: Annotated[str, Field(description="The model of the price.")]
    start: Annotated[Time, Field(alias="from", description="The period's first instant.")]
    end: Annotated[Time, Field(alias="to", description="The period's end, exclusive.")]
    dry_run: Annotated[bool, Field(description="Whether nothing was changed.")]
    organizations: Annotated[list[Correction], Field(description="One for each organization.")]


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
