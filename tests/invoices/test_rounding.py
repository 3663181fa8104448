"""The rounding of invoices in SQL equals a model of it in Python."""

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests.conftest import Database

AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=8)
RATES = st.decimals(min_value="0.000001", max_value=20000, places=12)
MINOR_UNITS = st.integers(0, 4)
EXACT = Context(prec=100)


@pytest.fixture(scope="module")
def admin(template_database: Database) -> Iterator[psycopg.Connection]:
    """A connection to a database that no test of this module changes."""
    with template_database.admin() as connection:
        yield connection


def half_up(value: Decimal, places: int = 0) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def allocated(amounts: list[Decimal], units: Decimal) -> list[Decimal]:
    """Round each amount down, then add the missing units by largest remainder, amount and place."""
    exact = [amount * units for amount in amounts]
    floors = [Decimal(int(value)) for value in exact]
    missing = int(half_up(sum(amounts, Decimal()) * units) - sum(floors))
    order = sorted(range(len(exact)), key=lambda n: (floors[n] - exact[n], -amounts[n], n))
    for place in order[:missing]:
        floors[place] += 1
    return floors


@settings(max_examples=150, deadline=None)
@given(amounts=st.lists(AMOUNTS, max_size=12), rate=RATES, minor_units=MINOR_UNITS)
def test_lines_add_up_to_their_rounded_sum(
    admin: psycopg.Connection, amounts: list[Decimal], rate: Decimal, minor_units: int
) -> None:
    with localcontext(EXACT):
        _check(admin, amounts, rate, minor_units)


def _check(
    admin: psycopg.Connection, amounts: list[Decimal], rate: Decimal, minor_units: int
) -> None:
    units = rate.scaleb(minor_units)
    row = admin.execute(
        "SELECT billing.allocate(%s::numeric[], %s), billing.in_currency(%s, %s, %s)",
        [amounts, units, sum(amounts, Decimal()), rate, minor_units],
    ).fetchone()
    assert row
    lines, total = row
    assert lines == allocated(amounts, units)
    assert sum(lines, Decimal()).scaleb(-minor_units) == total
    assert all(abs(line - amount * units) < 1 for line, amount in zip(lines, amounts, strict=True))


@pytest.mark.parametrize(
    ("usd", "rate", "minor_units", "expected"),
    [("0.5", "1", 0, "1"), ("2.345", "1", 2, "2.35"), ("1", "149.5", 0, "150"), ("0", "2", 2, "0")],
)
def test_an_amount_is_rounded_half_up(
    admin: psycopg.Connection, usd: str, rate: str, minor_units: int, expected: str
) -> None:
    row = admin.execute(
        "SELECT billing.in_currency(%s, %s, %s)", [Decimal(usd), Decimal(rate), minor_units]
    ).fetchone()
    assert row == (Decimal(expected),)


@pytest.mark.parametrize(
    ("tax", "expected"),
    [
        (None, "0"),
        ({"rate_percent": "19", "category": "standard"}, "0.19"),
        ({"rate_percent": "19", "category": "reverse_charge"}, "0"),
        ({"rate_percent": "7.7"}, "0.077"),
    ],
)
def test_reverse_charge_has_no_tax(
    admin: psycopg.Connection, tax: dict[str, object] | None, expected: str
) -> None:
    value = None if tax is None else Jsonb(tax)
    row = admin.execute("SELECT billing.tax_rate(%s::jsonb)", [value]).fetchone()
    assert row == (Decimal(expected),)
