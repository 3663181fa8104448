"""Spending: sums of spend by any mix of dimensions."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from synaxis_billing import procedures
from synaxis_billing.cache import Cache, Family, Loaded
from synaxis_billing.caller import Caller
from synaxis_billing.errors import InvalidRequest, invalid_field
from synaxis_billing.fields import Answer, Money, Time, json_schema
from synaxis_billing.organizations.profile import PROFILE_TAG
from synaxis_billing.usage.dimensions import OwnGroup, PlatformGroup, SpendFilter

# The list of all organizations has one dimension more.
PLATFORM_DIMENSIONS = tuple(PlatformGroup.model_fields)
DIMENSIONS = tuple(OwnGroup.model_fields)
_TIMES = {"day", "month", "hour"}
_NAMES = {"team_id": "team_name", "virtual_key_id": "virtual_key_name"}


def _pattern(dimensions: tuple[str, ...]) -> str:
    return f"^({'|'.join(dimensions)}|)(,({'|'.join(dimensions)}|))*$"


GroupBy = Annotated[str, json_schema(_pattern(DIMENSIONS), "model,day")]
PlatformGroupBy = Annotated[str, json_schema(_pattern(PLATFORM_DIMENSIONS), "organization_id")]
# More are refused before they are listed; the names of fewer can still exceed an answer's 6 MB.
MOST_GROUPS = 10_000
# Hours are summed from the logs themselves. A week in which the clocks go back has an hour more.
LONGEST_BY_HOUR = timedelta(days=7, hours=1)
Top = Annotated[int, Field(ge=1, le=100)]


class Question(NamedTuple):
    """What is asked of a report: the half-open period, by default the current month, the
    dimensions, how many groups, by default all, and which calls."""

    start: datetime | None
    end: datetime | None
    group_by: Sequence[str]
    top: int | None = None
    calls: SpendFilter = SpendFilter()

    @property
    def filter(self) -> dict[str, str]:
        return self.calls.model_dump(exclude_none=True)


class Sums(Answer):
    """What was spent; of usage by bucket also its tokens, and for the platform its cost.

    `amount_usd` - `cost_usd` - `margin_usd` is the spend whose cost is not known, because the
    request gave the amount, or because everyone has no price for the model.
    """

    amount_usd: Money
    """Sum of the spend in US dollars."""
    tokens: int
    """Sum of the tokens."""
    requests: int
    """Number of spend logs."""
    input_tokens: int
    """Of the tokens, those of the input that were not read from a cache."""
    cached_tokens: int
    """Of the tokens, those of the input that were read from a cache."""
    output_tokens: int
    """Of the tokens, those of the output."""
    cost_usd: Money | None = None
    """Sum of everyone's prices without the multiplier; only for a token of the platform."""
    margin_usd: Money | None = None
    """Sum of the amounts above that cost; only for a token of the platform."""


class _AskedFor(Answer):
    team_name: str | None = None
    """Name that the organization gave the team, beside `team_id`."""
    virtual_key_name: str | None = None
    """Name that the organization gave the key, beside `virtual_key_id`."""

    @model_serializer(mode="wrap")
    def _asked_for(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: of for name, of in serialize(self).items() if name in self.model_fields_set}


class Spend(Sums, OwnGroup, _AskedFor):
    """The dimensions that were asked for, and what was spent on them."""


class PlatformSpend(Sums, PlatformGroup, _AskedFor):
    """The dimensions that were asked for, and what was spent on them."""


class Spending(Answer):
    """Spend of the half-open period; days and months are those of `timezone`."""

    start: Time = Field(serialization_alias="from")
    """Start of the period (inclusive)."""
    end: Time = Field(serialization_alias="to")
    """End of the period (exclusive)."""
    timezone: str
    """Time zone that days and months are in."""
    items: tuple[Spend, ...]
    """One sum per group, of the dimensions that `group_by` names; none for a time without spend."""
    others: tuple[Spend, ...] | None = None
    """With `top`: the sums of the groups that are not in `items`, by the times of `group_by`."""
    total: Spend
    """The sum of all groups."""


class PlatformSpending(Answer):
    """Spend of all organizations in the half-open period; days and months are in the time zone of
    each organization."""

    start: Time = Field(serialization_alias="from")
    """Start of the period (inclusive)."""
    end: Time = Field(serialization_alias="to")
    """End of the period (exclusive)."""
    items: tuple[PlatformSpend, ...]
    """One sum per group, of the dimensions that `group_by` names; none for a time without spend."""
    others: tuple[PlatformSpend, ...] | None = None
    """With `top`: the sums of the groups that are not in `items`, by the times of `group_by`."""
    total: PlatformSpend
    """The sum of all groups."""


# Logs are written at their own time: what ended this long ago gets no more of them.
CLOSED_AFTER = timedelta(minutes=1)
# The tag: another time zone has other days.
_SPENDING = Family("spending", Spending)


def parse_group_by(text: str | None, dimensions: Sequence[str] = DIMENSIONS) -> list[str]:
    """Return the dimensions that a comma-separated `group_by` names. Raises InvalidRequest."""
    names = [name for name in (text or "").split(",") if name]
    for name in names:
        if name not in dimensions:
            rule = f"must be any of {', '.join(dimensions)}, comma-separated"
            raise invalid_field("query", "/group_by", rule)
    return names


def get_spending(
    connect: Callable[[], psycopg.Connection],
    cache: Cache,
    caller: Caller,
    organization_id: UUID,
    asked: Question,
) -> Spending:
    """Spend by any mix of dimensions, exact; by default of the current local month. Cached when the
    period has ended and can get no more spend.

    Raises NotFound, InvalidRequest (no period, too many groups for one answer, or too many hours).
    """

    def load() -> Loaded[Spending]:
        value = _sums(connect(), "spending", caller, asked, organization_id=organization_id)
        return Loaded(
            Spending(timezone=value["timezone"], **_answer(value, asked.top)), value["version"]
        )

    start, end, group_by, top, _ = asked
    if "hour" in group_by and (start is None or end is None or end - start > LONGEST_BY_HOUR):
        raise invalid_field("query", "/group_by", "must not name hour for more than 7 days")
    closed = start is not None and end is not None and end < datetime.now(UTC) - CLOSED_AFTER
    if not closed or caller.tenant not in ("*", str(organization_id)):
        return load().value
    # The platform's answer has the cost, which a tenant's has not.
    text = f"{start} {end} {sorted(group_by)} {top} {asked.filter} {caller.tenant == '*'}"
    question = hashlib.sha256(text.encode()).hexdigest()
    key = _SPENDING.key(organization_id, question, tags=(PROFILE_TAG,))
    found = cache.get_or_load(key, load)
    assert found  # `load` has an answer, or raises
    return found


def get_platform_spending(
    db: psycopg.Connection,
    caller: Caller,
    asked: Question,
) -> PlatformSpending:
    """Spend of all organizations by any mix of dimensions, exact; by default of the current month.

    Raises Forbidden (a tenant's token), InvalidRequest (no period, too many groups for one answer,
    or more than can be summed in the time of a statement).
    """
    value = _sums(db, "platform_spending", caller, asked)
    return PlatformSpending(**_answer(value, asked.top))


def _sums(
    db: psycopg.Connection, function: str, caller: Caller, asked: Question, **arguments: Any
) -> dict[str, Any]:
    """Return a report of the database: its period, and its sums with the fields to show."""
    try:
        outcome = procedures.call(
            db,
            function,
            tenant=caller.tenant,
            **arguments,
            start=asked.start,
            end=asked.end,
            group_by=list(asked.group_by),
            filter=Jsonb(asked.filter),
            top=asked.top,
            limit=MOST_GROUPS,
        )
    except psycopg.errors.QueryCanceled as error:
        rule = "must name a shorter period: the sums of this one take too long"
        raise invalid_field("query", "/from", rule) from error
    value, _ = procedures.accepted(outcome)
    if datetime.fromisoformat(value["from"]) >= datetime.fromisoformat(value["to"]):
        errors = [{"in": "query", "pointer": "/from", "detail": "must be before `to`"}]
        raise InvalidRequest("The period is empty.", errors=errors)
    groups = value["sums"]["groups"]
    if groups > MOST_GROUPS:
        rule = (
            f"must name fewer dimensions, or a shorter period: the answer would have {groups}"
            f" groups, more than {MOST_GROUPS}"
        )
        raise invalid_field("query", "/group_by", rule)
    sums = {*Sums.model_fields} - (set() if caller.tenant == "*" else {"cost_usd", "margin_usd"})
    by = {*asked.group_by}
    by |= {name for of, name in _NAMES.items() if of in by}
    _leave(value["sums"]["items"], by | sums)
    _leave(value["sums"]["others"], by & _TIMES | sums)
    _leave([value["sums"]["total"]], sums)
    return dict(value)


def _leave(rows: list[dict[str, Any]], shown: set[str]) -> None:
    for row in rows:
        for name in row.keys() - shown:
            del row[name]


def _answer(value: dict[str, Any], top: int | None) -> dict[str, Any]:
    sums = value["sums"]
    return {
        "start": value["from"],
        "end": value["to"],
        "items": sums["items"],
        "others": None if top is None else sums["others"],
        "total": sums["total"],
    }
