"""The kinds of fields in requests and answers."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import core_schema

from synaxis_billing.money import format_money, parse_usd


class Request(BaseModel):
    """What a client sends: a field that is not known is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    def __repr__(self) -> str:
        # A request can contain personal data, which must not reach the logs.
        return type(self).__name__


# The default of what a change does not name, which nobody reads. A factory's is not in the schema,
# where clients that are generated from it would take it for something to send.
UNNAMED: Any = Field(default_factory=lambda: None)


class Answer(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(frozen=True)


def matching(pattern: str, rule: str) -> AfterValidator:
    """Return a validator that refuses text which the pattern does not match, with a rule in
    words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(rule)
        return text

    return AfterValidator(check)


def _positive(amount: Decimal) -> Decimal:
    if amount <= 0:
        raise ValueError("must be greater than zero")
    return amount


def _not_zero(amount: Decimal) -> Decimal:
    if amount == 0:
        raise ValueError("must not be zero")
    return amount


def _not_negative(amount: Decimal) -> Decimal:
    # This refuses -0 too.
    if amount.is_signed():
        raise ValueError("must not be negative")
    return amount


# https://www.rfc-editor.org/rfc/rfc3339#section-5.6; an offset that is missing is said by its name.
_WRITTEN_OUT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


def _written_out(instant: object) -> object:
    # pydantic accepts more forms, and takes a number for seconds or milliseconds.
    if not isinstance(instant, str) or not _WRITTEN_OUT.fullmatch(instant):
        raise ValueError(
            "must be a time such as 2026-11-01T00:00:00Z (a + in a URL is written %2B)"
        )
    return instant


# Within these bounds, conversion to any time zone gives a valid datetime.
_FIRST, _LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def _in_utc(instant: datetime) -> datetime:
    if not _FIRST <= instant < _LAST:
        raise ValueError("must be in the years 2 to 9998")
    return instant.astimezone(UTC)


def json_schema(pattern: str, example: str, **more: Any) -> WithJsonSchema:
    """Return the schema, for the document, of a string whose rules are checked in words."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example], **more})


_AS_STRING = PlainSerializer(format_money, return_type=str)
# What parse_usd() takes: 40 digits, of which the last 10 may be other than zero; or what languages
# print for small decimals.
_AMOUNT = r"(0{0,30}[0-9]{1,10}(\.[0-9]{1,8})?|[0-9](\.[0-9]{1,3})?[eE]-0?[1-5])$"
_NO_ZERO = {"not": {"pattern": r"^-?[0.]*([eE].*)?$"}}

# An amount in a request, in US dollars.
Usd = Annotated[
    Decimal,
    BeforeValidator(parse_usd),
    AfterValidator(_positive),
    _AS_STRING,
    json_schema(f"^{_AMOUNT}", "25.50", **_NO_ZERO),
]
SignedUsd = Annotated[
    Decimal,
    BeforeValidator(parse_usd),
    AfterValidator(_not_zero),
    _AS_STRING,
    json_schema(f"^-?{_AMOUNT}", "-25.50", **_NO_ZERO),
]
UsdOrZero = Annotated[
    Decimal,
    BeforeValidator(parse_usd),
    AfterValidator(_not_negative),
    _AS_STRING,
    json_schema(f"^{_AMOUNT}", "25.50"),
]
# An amount, or a rate, in an answer.
Money = Annotated[Decimal, _AS_STRING, json_schema(r"^-?[0-9]+(\.[0-9]+)?$", "25.50")]

# PostgreSQL's text holds any character but NUL.
_NO_NUL = r"^[^\x00]*$"
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=_NO_NUL),
]
# The client's own name of a team, a key or a user; a UUID is one.
ClientId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128, pattern=_NO_NUL),
    Field(examples=["team-7"]),
]
Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000, pattern=_NO_NUL),
]
# A key as a structured field writes it, https://www.rfc-editor.org/rfc/rfc9651#section-3.3.3.
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])+)"')


def _unquoted(key: str) -> str:
    found = _QUOTED.fullmatch(key)
    return re.sub(r"\\(.)", r"\1", found[1]) if found else key


# In quotes or without: the same key.
Key = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]*$"),
    AfterValidator(_unquoted),
]
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_written_out),
    AfterValidator(_in_utc),
    Field(examples=["2026-11-01T00:00:00Z"]),
]
Time = Annotated[datetime, AfterValidator(_in_utc)]


_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _day_or_instant(text: object, instant: core_schema.ValidatorFunctionWrapHandler) -> date:
    if not isinstance(text, str) or not _DAY.fullmatch(text):
        found: datetime = instant(text)
        return found
    return _day(text)


def _day(text: object) -> date:
    if not isinstance(text, str) or not _DAY.fullmatch(text):
        raise ValueError("must be a day such as 2026-11-01")
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ValueError("is not a valid date") from error
    if not _FIRST.date() <= day < _LAST.date():
        raise ValueError("must be in the years 2 to 9998")
    return day


# A day in the time zone of an organization.
Day = Annotated[date, BeforeValidator(_day), Field(examples=["2026-11-01"])]
# A bound of a period: an instant, or a day, which begins in the organization's time zone.
InstantOrDay = Annotated[
    date,
    GetPydanticSchema(
        lambda _source, handler: core_schema.no_info_wrap_validator_function(
            _day_or_instant, handler.generate_schema(Instant)
        )
    ),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "format": "date"},
            ],
            "examples": ["2026-11-01T00:00:00Z", "2026-11-01"],
        }
    ),
]
