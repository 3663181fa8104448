"""Budgets: how much an organization, or a part of it, may spend in a window.

Charges and holds count in them in the transaction that makes them. A hard budget refuses what would
exceed it; a soft one only alerts.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import Conflict, NotFound, PaymentRequired
from synaxis_billing.fields import UNNAMED, Answer, Money, Name, Request, Time, Usd, UsdOrZero
from synaxis_billing.paging import Bounds, Page, paginate

type BudgetSubject = Literal["organization", "team", "virtual_key", "end_user", "model", "provider"]
type BudgetWindow = Literal["day", "week", "month", "lifetime", "rate"]
type BudgetMode = Literal["hard", "soft"]

MOST_PERCENTS = 10


def _ascending(percents: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(set(percents)))


Percent = Annotated[int, Field(strict=True, ge=1, le=1000)]
Percents = Annotated[
    tuple[Percent, ...], Field(max_length=MOST_PERCENTS), AfterValidator(_ascending)
]


class NewBudget(Request):
    """At most `limit_usd` in each window; of a rate, `limit_usd` per hour in the long run, and
    never more than `burst_usd` at once."""

    subject: BudgetSubject
    """What the budget is of."""
    subject_id: Name | None = None
    """Your id of the team, key or person, or the name of the model or provider; none for the
    organization itself."""
    window: BudgetWindow
    """A day, a week from Monday or a month in the organization's time zone, its lifetime, or a
    rate."""
    limit_usd: UsdOrZero
    """The most that may be spent in a window; of a rate, in an hour."""
    burst_usd: Usd | None = None
    """Of a rate: the most that may be spent at once; `limit_usd` if it is left out."""
    mode: BudgetMode = "hard"
    """Whether it refuses what exceeds it, or only alerts."""
    alert_percents: Percents = (80, 100)
    """Percentages of the limit at which `budget.alert` is sent, each once in a window."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        rules = {
            "subject_id": (
                (self.subject == "organization") != (self.subject_id is None),
                "must name the subject, unless it is the organization itself",
            ),
            "burst_usd": (
                self.window != "rate" and self.burst_usd is not None,
                "is for a rate alone",
            ),
            "limit_usd": (
                self.window == "rate" and self.limit_usd == 0,
                "of a rate must be greater than zero",
            ),
        }
        errors = [
            InitErrorDetails(type=PydanticCustomError("budget", rule), loc=(name,), input=None)
            for name, (broken, rule) in rules.items()
            if broken
        ]
        if errors:
            raise ValidationError.from_exception_data("budget", errors)
        return self


class BudgetChange(Request):
    """Changes the fields that it names. What is spent already stays."""

    limit_usd: UsdOrZero = UNNAMED
    """The most that may be spent in a window; less than what is spent refuses from now on."""
    burst_usd: Usd = UNNAMED
    """Of a rate: the most that may be spent at once."""
    mode: BudgetMode = UNNAMED
    """Whether it refuses what exceeds it, or only alerts."""
    alert_percents: Percents = UNNAMED
    """Percentages of the limit at which `budget.alert` is sent, each once in a window."""


class Budget(Answer):
    """A budget, and what its window contains now."""

    id: UUID
    organization_id: UUID
    subject: BudgetSubject
    """What the budget is of."""
    subject_id: str | None
    """Id of the team, key or person, or name of the model or provider."""
    subject_name: str | None
    """Name that the organization gave the team or key."""
    window: BudgetWindow
    """How long it counts."""
    limit_usd: Money
    """The most that may be spent in a window; of a rate, in an hour."""
    burst_usd: Money | None
    """Of a rate: the most that may be spent at once."""
    mode: BudgetMode
    """Whether it refuses what exceeds it, or only alerts."""
    alert_percents: list[int]
    """Percentages at which `budget.alert` is sent."""
    spent_usd: Money
    """What the subject was charged in this window, less refunds; of a rate, what has not been
    forgotten."""
    held_usd: Money
    """What its open holds reserve."""
    remaining_usd: Money
    """What may still be spent: limit_usd, or burst_usd of a rate, less what is spent and held."""
    window_start: Time | None
    """Start of this window; null for a lifetime and a rate."""
    resets_at: Time | None
    """End of this window; of a rate, the time at which nothing is left of what was spent. Null for
    a lifetime."""
    created_at: Time


class BudgetNotFound(NotFound):
    """The budget does not exist in this organization."""

    code = "budget_not_found"


class BudgetExists(Conflict):
    """The subject already has a budget of this window and mode."""

    code = "budget_exists"


class BudgetExceeded(PaymentRequired):
    """A hard budget does not cover this amount."""

    code = "budget_exceeded"
    metric = "BudgetRefusals"
    members: ClassVar = {
        "budget_id": "Id of the budget.",
        "subject": "What the budget is of.",
        "subject_id": "Id of the team, key or person, or name of the model or provider.",
        "limit_usd": "The most that may be spent and held: the limit, or the burst of a rate.",
        "spent_usd": "What is spent in this window.",
        "held_usd": "What open holds reserve.",
        "required_usd": "What the request needs.",
        "resets_at": "The time at which nothing counts as spent any more; null if there is none.",
    }


def create_budget(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, request: NewBudget
) -> Budget:
    """Create a budget, which counts what its window contains already.

    Raises OrganizationNotFound, BudgetExists.
    """
    budget = request.model_dump(mode="json", exclude={"subject_id", "window"})
    budget["window_length"] = request.window
    if request.subject_id is not None:
        budget["subject"] = f"{request.subject} {request.subject_id}"
    if request.window == "rate" and request.burst_usd is None:
        budget["burst_usd"] = budget["limit_usd"]
    return _accepted(
        procedures.call(
            db,
            "create_budget",
            tenant=caller.tenant,
            organization_id=organization_id,
            budget=Jsonb(budget),
        )
    )


def list_budgets(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    limit: int,
    cursor: str | None,
) -> Page[Budget]:
    """List budgets, newest first. Raises OrganizationNotFound, InvalidRequest (cursor)."""

    def fetch(bounds: Bounds[datetime], most: int) -> tuple[list[Budget], None]:
        outcome = procedures.call(
            db,
            "budgets",
            tenant=caller.tenant,
            organization_id=organization_id,
            before=bounds.before,
            since=bounds.since,
            limit=most,
        )
        rows, _ = procedures.accepted(outcome)
        return [Budget.model_validate(row) for row in rows], None

    return paginate("budgets", organization_id, limit, cursor, None, fetch)


def get_budget(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, budget_id: UUID
) -> Budget:
    """Return one budget. Raises OrganizationNotFound, BudgetNotFound."""
    return _accepted(
        procedures.call(
            db,
            "budget",
            tenant=caller.tenant,
            organization_id=organization_id,
            budget_id=budget_id,
        )
    )


def update_budget(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    budget_id: UUID,
    request: BudgetChange,
) -> Budget:
    """Change the named fields of a budget.

    Raises OrganizationNotFound, BudgetNotFound, BudgetExists, Conflict (not for its window).
    """
    return _accepted(
        procedures.call(
            db,
            "update_budget",
            tenant=caller.tenant,
            organization_id=organization_id,
            budget_id=budget_id,
            change=Jsonb(request.model_dump(mode="json", exclude_unset=True)),
        )
    )


def delete_budget(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, budget_id: UUID
) -> Budget:
    """Delete a budget; return it as it was. Raises OrganizationNotFound, BudgetNotFound."""
    return _accepted(
        procedures.call(
            db,
            "delete_budget",
            tenant=caller.tenant,
            organization_id=organization_id,
            budget_id=budget_id,
        )
    )


def _accepted(outcome: dict[str, Any]) -> Budget:
    return Budget.model_validate(procedures.accepted(outcome)[0])
