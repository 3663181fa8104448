"""Exchange rates: what a US dollar is worth in the currencies that are billed in."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from synaxis_billing.money import convert


class Currency(NamedTuple):
    """`minor_units` are ISO 4217's decimals; `fallback_rate` is in units per US dollar."""

    minor_units: int
    fallback_rate: Decimal


# A line here is all that one more currency needs.
CURRENCIES = {
    "USD": Currency(2, Decimal(1)),
    "EUR": Currency(2, Decimal("0.92")),
    "BRL": Currency(2, Decimal("5.75")),
    "GBP": Currency(2, Decimal("0.79")),
}
# When the European Central Bank's reference rates were nearest to the fallback rates.
FALLBACK_AS_OF = datetime(2024, 8, 2, tzinfo=UTC)


class Rate(NamedTuple):
    """Units of `currency` per US dollar; `stale` when it is not a current market rate."""

    currency: str
    rate: Decimal
    as_of: datetime
    source: str
    stale: bool

    def convert(self, amount_usd: Decimal) -> Decimal:
        """The amount in the currency, rounded half-up to its minor unit."""
        return convert(amount_usd, self.rate, CURRENCIES[self.currency].minor_units)


def rate(currency: str, now: datetime) -> Rate:
    """The rate of a supported currency: a dollar is a dollar, the rest is the static fallback."""
    if currency == "USD":
        return Rate(currency, Decimal(1), now, "identity", stale=False)
    return Rate(
        currency, CURRENCIES[currency].fallback_rate, FALLBACK_AS_OF, "static_fallback", stale=True
    )
