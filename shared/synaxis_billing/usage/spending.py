"""Spending: sums of spend by any mix of dimensions."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import psycopg
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from synaxis_billing import procedures
from synaxis_billing.cache import Cache, Family, Loaded
from synaxis_billing.caller import Caller
from synaxis_billing.errors import InvalidRequest, invalid_field
from synaxis_billing.fields import Answer, Money, Time, json_schema
from synaxis_billing.organizations.profile import PROFILE_TAG
from synaxis_billing.usage.dimensions import Group

DIMENSIONS = tuple(Group.model_fields)
_ANY = "|".join(DIMENSIONS)
GroupBy = Annotated[str, json_schema(f"^({_ANY}|)(,({_ANY}|))*$", "model,day")]
# An answer of this many groups still fits the 6 MB that a function may answer.
MOST_GROUPS = 10_000


class Spend(Group):
    """The dimensions that were asked for, and what was spent on them."""

    amount_usd: Money
    """Sum of the spend in US dollars."""
    tokens: int
    """Sum of the tokens."""
    requests: int
    """Number of spend logs."""

    @model_serializer(mode="wrap")
    def _asked_for(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: of for name, of in serialize(self).items() if name in self.model_fields_set}


class Spending(Answer):
    """Spend of the half-open period; days and months are those of `timezone`."""

    start: Time = Field(serialization_alias="from")
    """Start of the period (inclusive)."""
    end: Time = Field(serialization_alias="to")
    """End of the period (exclusive)."""
    timezone: str
    """Time zone that days and months are in."""
    items: tuple[Spend, ...]
    """One sum per group, of the dimensions that `group_by` names."""
    total: Spend
    """The sum of all groups."""


# Logs are written at their own time: what ended this long ago gets no more of them.
CLOSED_AFTER = timedelta(minutes=1)
# The tag: another time zone has other days.
_SPENDING = Family("spending", Spending)


def parse_group_by(text: str | None) -> list[str]:
    """Return the dimensions that a comma-separated `group_by` names. Raises InvalidRequest."""
    names = [name for name in (text or "").split(",") if name]
    for name in names:
        if name not in DIMENSIONS:
            rule = f"must be any of {', '.join(DIMENSIONS)}, comma-separated"
            raise invalid_field("query", "/group_by", rule)
    return names


def get_spending(
    connect: Callable[[], psycopg.Connection],
    cache: Cache,
    caller: Caller,
    organization_id: UUID,
    start: datetime | None,
    end: datetime | None,
    group_by: Sequence[str],
) -> Spending:
    """Spend by any mix of dimensions, exact; by default of the current local month. Cached when the
    period has ended and can get no more spend.

    Raises NotFound, InvalidRequest (no period, or too many groups for one answer).
    """

    def load() -> Loaded[Spending]:
        return _spending(connect(), caller, organization_id, start, end, group_by)

    closed = start is not None and end is not None and end < datetime.now(UTC) - CLOSED_AFTER
    if not closed or caller.tenant not in ("*", str(organization_id)):
        return load().value
    question = hashlib.sha256(f"{start} {end} {sorted(group_by)}".encode()).hexdigest()
    key = _SPENDING.key(organization_id, question, tags=(PROFILE_TAG,))
    found = cache.get_or_load(key, load)
    assert found  # `load` has an answer, or raises
    return found


def _spending(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    start: datetime | None,
    end: datetime | None,
    group_by: Sequence[str],
) -> Loaded[Spending]:
    outcome = procedures.call(
        db,
        "spending",
        tenant=caller.tenant,
        organization_id=organization_id,
        start=start,
        end=end,
        group_by=list(group_by),
        limit=MOST_GROUPS,
    )
    value, _ = procedures.accepted(outcome)
    if value["groups"] > MOST_GROUPS:
        raise InvalidRequest(
            f"The answer would have {value['groups']} groups, more than {MOST_GROUPS}.",
            errors=[
                {
                    "in": "query",
                    "pointer": "/group_by",
                    "detail": "must name fewer dimensions, or a shorter period",
                }
            ],
        )
    asked = {*group_by, "amount_usd", "tokens", "requests"}
    answer = Spending(
        start=value["from"],
        end=value["to"],
        timezone=value["timezone"],
        items=tuple(
            Spend.model_validate({name: item[name] for name in item if name in asked})
            for item in value["items"]
        ),
        total=value["total"],
    )
    if answer.start >= answer.end:
        raise InvalidRequest(
            "The period is empty.",
            errors=[{"in": "query", "pointer": "/from", "detail": "must be before `to`"}],
        )
    return Loaded(answer, value["version"])
