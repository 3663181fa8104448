"""What comes out of the cache is what went in."""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from synaxis_billing.cache import Family
from synaxis_billing.fields import Answer, Money, Time


class Colour(Enum):
    RED = "red"


class Inner(Answer):
    name: str
    # What was not named is not named afterwards.
    note: str | None = None


class Stored(Answer):
    id: UUID
    usd: Money
    none: Decimal | None
    at: Time
    day: date | None
    status: Literal["active", "closed"]
    colour: Colour
    days: Annotated[int, Field(ge=0)]
    flag: bool
    names: tuple[str, ...]
    prices: tuple[Decimal, ...] | None
    inner: Inner | None
    many: tuple[Annotated[Inner, "one of many"], ...]


# A half of a surrogate pair is no text of JSON.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
USD = st.decimals(-(10**10), 10**10, places=8, allow_nan=False)
INNER = st.one_of(st.builds(Inner, name=TEXT), st.builds(Inner, name=TEXT, note=TEXT))
STORED = st.builds(
    Stored,
    id=st.uuids(),
    usd=USD,
    none=st.none() | USD,
    at=st.datetimes(datetime(2, 1, 2), datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    day=st.none() | st.dates(),
    status=st.sampled_from(["active", "closed"]),
    colour=st.sampled_from(Colour),
    days=st.integers(0, 10**12),
    flag=st.booleans(),
    names=st.lists(TEXT, max_size=3).map(tuple),
    prices=st.none() | st.lists(USD, max_size=3).map(tuple),
    inner=st.none() | INNER,
    many=st.lists(INNER, max_size=3).map(tuple),
)


@given(STORED)
def test_a_value_comes_back_as_it_was(value: Stored) -> None:
    content = value.model_dump_json()
    read = Family("stored", Stored).decode(content.encode())
    by_pydantic = Stored.model_validate_json(content)
    assert read == value == by_pydantic
    assert hash(read) == hash(value)
    assert repr(read) == repr(by_pydantic)
    assert read.model_dump_json() == content
    assert read.model_fields_set == value.model_fields_set
    assert read.model_copy(update={"days": 1}).days == 1


def test_a_value_that_was_read_cannot_be_changed() -> None:
    class Price(BaseModel):
        model_config = ConfigDict(frozen=True)
        usd: Decimal

    read = Family("price", Price).decode(b'{"usd": "1.50"}')
    assert read.usd == Decimal("1.50")
    with pytest.raises(ValidationError, match="frozen"):
        read.usd = Decimal(2)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"usd": "x"}', '{"usd": null}', '{"usd":'])
def test_other_content_is_refused(content: str) -> None:
    class Price(BaseModel):
        model_config = ConfigDict(frozen=True)
        usd: Decimal

    decode: Any = Family("price", Price).decode
    with pytest.raises(ValueError):
        decode(content.encode())
