"""US dollars as the ledger holds them, NUMERIC(18,8), and what they are worth in other currencies.

A decimal from the request's bytes to the row: nothing here, or anywhere, is a float.
"""

import re
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

DECIMALS = 8
INTEGER_DIGITS = 10
LARGEST_USD = Decimal(10) ** INTEGER_DIGITS - Decimal(1).scaleb(-DECIMALS)
_AMOUNTS = ("_usd", "_billing_currency", "exchange_rate")
# With an exponent, as languages print small decimals.
_DECIMAL = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")


def parse_usd(text: object) -> Decimal:
    """The amount that a request's string says.

    Raises ValueError, whose message completes "<field> ...", for a number, more than 8 decimals or
    more than the column holds.
    """
    if not isinstance(text, str):
        raise ValueError('must be a string holding a decimal, such as "25.50"; a number is refused')
    if not _DECIMAL.fullmatch(text):
        raise ValueError('must hold a decimal, such as "25.50"')
    amount = Decimal(text)
    if len(f"{amount:f}".partition(".")[2]) > DECIMALS:
        raise ValueError(f"must have at most {DECIMALS} decimals")
    if abs(amount) > LARGEST_USD:
        raise ValueError(f"must be at most {LARGEST_USD}")
    return amount


def format_money(amount: Decimal) -> str:
    """Return the amount in full, without an exponent, with two decimals or as many as it needs:
    0.00012300 is "0.000123" and 25.5 is "25.50"."""
    text = f"{amount:f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def format_amounts(value: Any) -> Any:
    """Return JSON with its amounts and rates, known by name, as format_money() writes them."""
    if isinstance(value, list):
        return [format_amounts(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: format_money(Decimal(content))
        if isinstance(content, str) and name.endswith(_AMOUNTS)
        else format_amounts(content)
        for name, content in value.items()
    }


def convert(amount_usd: Decimal, rate: Decimal, minor_units: int) -> Decimal:
    """Return the amount at `rate` units per dollar, rounded once, half-up, to the currency's minor
    unit (ISO 4217)."""
    with localcontext(prec=60):
        return (amount_usd * rate).quantize(Decimal(1).scaleb(-minor_units), ROUND_HALF_UP)
