"""The currencies that an organization can be billed in. A line here is all that one more needs."""

from decimal import Decimal
from typing import Annotated, NamedTuple

from pydantic import AfterValidator

from synaxis_billing.errors import NotFound
from synaxis_billing.fields import json_schema


class Currency(NamedTuple):
    """`minor_units` are ISO 4217's decimals; `fallback_rate` is in units per US dollar."""

    minor_units: int
    fallback_rate: Decimal


CURRENCIES = {
    "USD": Currency(2, Decimal(1)),
    "EUR": Currency(2, Decimal("0.92")),
    "BRL": Currency(2, Decimal("5.75")),
    "GBP": Currency(2, Decimal("0.79")),
}


class UnsupportedCurrency(NotFound):
    """The organization's billing currency is no longer supported."""

    code = "unsupported_currency"


def in_capitals(code: str) -> str:
    """Return an ASCII code in capitals, and any other text as it is: beyond ASCII there are letters
    whose capitals are S or K."""
    return code.upper() if code.isascii() else code


def currency_code(text: str) -> str:
    """Return a supported code in capitals, given in any case.

    Raises ValueError, whose message completes "<field> ...".
    """
    code = in_capitals(text)
    if code not in CURRENCIES:
        raise ValueError(f"must be one of {', '.join(CURRENCIES)}")
    return code


_ANY_CASE = "|".join(
    "".join(f"[{letter}{letter.lower()}]" for letter in code) for code in CURRENCIES
)
CurrencyCode = Annotated[str, AfterValidator(currency_code), json_schema(f"^({_ANY_CASE})$", "EUR")]
