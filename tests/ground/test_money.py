from decimal import Decimal

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synaxis_billing.cache import Cache
from synaxis_billing.money import LARGEST_USD, convert, format_amounts, format_money, parse_usd
from synaxis_billing.rates import rates

amounts = st.decimals(-LARGEST_USD, LARGEST_USD, places=8)


@pytest.mark.parametrize("text", ["9999999999.99999999", "-9999999999.99999999"])
def test_the_largest_amount_that_a_column_holds_is_an_amount(text: str) -> None:
    assert abs(parse_usd(text)) == LARGEST_USD


@given(amounts)
def test_an_amount_is_read_as_it_was_format_amounts(amount: Decimal) -> None:
    assert parse_usd(f"{amount:f}") == amount
    assert parse_usd(format_money(amount)) == amount


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        (25.5, "a number is refused"),
        (25, "a number is refused"),
        (True, "a number is refused"),
        (None, "must be a string"),
        ("1e400", "must hold a decimal"),
        ("1E-9", "at most 8 decimals"),
        ("1E10", "must be at most 9999999999.99999999"),
        ("1e", "must hold a decimal"),
        ("NaN", "must hold a decimal"),
        ("Infinity", "must hold a decimal"),
        ("", "must hold a decimal"),
        (" 1", "must hold a decimal"),
        ("1\n", "must hold a decimal"),
        ("+1", "must hold a decimal"),
        ("1,5", "must hold a decimal"),
        ("1_000", "must hold a decimal"),
        (".5", "must hold a decimal"),
        ("\u0661", "must hold a decimal"),
        ("9" * 5000, "must hold a decimal"),
        ("0.000000001", "at most 8 decimals"),
        ("10000000000", "must be at most 9999999999.99999999"),
    ],
)
def test_what_is_no_amount_says_which_rule_it_breaks(said: object, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_usd(said)


@pytest.mark.parametrize(
    ("said", "amount"),
    [("8.25e-05", "0.0000825"), ("1E2", "100"), ("1.5e+1", "15"), ("0e0", "0"), ("-2E-8", "-2e-8")],
)
def test_an_exponent_is_read_as_the_amount_that_it_means(said: str, amount: str) -> None:
    assert parse_usd(said) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("25.5", "25.50"),
        ("0.00012300", "0.000123"),
        ("7", "7.00"),
        ("0E-8", "0.00"),
        ("-1.10", "-1.10"),
    ],
)
def test_an_amount_is_format_amounts_in_full_with_two_decimals_or_more(
    amount: str, text: str
) -> None:
    assert format_money(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("usd", "rate", "minor_units", "worth"),
    [
        ("1.005", "1", 2, "1.01"),
        ("-1.005", "1", 2, "-1.01"),
        ("10", "149.5", 0, "1495"),
        ("1", "0.3077", 3, "0.308"),
        ("9999999999.99999999", "99999999.99999999", 2, "999999999999999899.00"),
    ],
)
def test_a_conversion_rounds_once_half_up_to_the_minor_unit(
    usd: str, rate: str, minor_units: int, worth: str
) -> None:
    assert convert(Decimal(usd), Decimal(rate), minor_units) == Decimal(worth)


def test_a_fallback_rate_says_that_it_is_one() -> None:
    def gone() -> psycopg.Connection:
        raise psycopg.OperationalError("the server has gone away")

    euro = rates.current_rate(gone, Cache(None), "eur")
    assert (euro.stale, euro.source) == (True, "static_fallback")
    assert euro.rate == Decimal("0.92")
    dollar = rates.current_rate(gone, Cache(None), "USD")
    assert dollar.rate == 1
    assert not dollar.stale


def test_amounts_within_json_are_format_amounts_as_everywhere() -> None:
    held = {
        "balance_usd": "3.75000000",
        "total_amount_billing_currency": "400",
        "exchange_rate": "0.920000000000",
        "line_items": [{"amount_usd": "0.00012300", "model": "1.50000000"}],
        "low_balance_threshold_usd": None,
    }
    assert format_amounts(held) == {
        "balance_usd": "3.75",
        "total_amount_billing_currency": "400.00",
        "exchange_rate": "0.92",
        "line_items": [{"amount_usd": "0.000123", "model": "1.50000000"}],
        "low_balance_threshold_usd": None,
    }
