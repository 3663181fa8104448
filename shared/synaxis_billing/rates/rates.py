"""Exchange rates: units of each billing currency per US dollar.

Readers never ask a provider: they get the last stored rate, or the static fallback where none is
stored. Every rate states its source, its age and whether it is stale.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.cache import PLATFORM, Cache, Family, Loaded
from synaxis_billing.currencies import CURRENCIES, UnsupportedCurrency, in_capitals
from synaxis_billing.fields import Answer, Money, Time
from synaxis_billing.money import convert

# When the European Central Bank's reference rates were nearest to the fallback rates.
FALLBACK_AS_OF = datetime(2024, 8, 2, tzinfo=UTC)
FALLBACK = "static_fallback"
# They are fetched every hour: after two, something is wrong.
STALE_AFTER = timedelta(hours=2)
# A rate that moved by more than this is held back until somebody accepts it.
LARGEST_JUMP = Decimal("0.2")


class Rate(NamedTuple):
    """Units of `currency` per US dollar; `stale` when it is not a current market rate."""

    currency: str
    rate: Decimal
    as_of: datetime
    source: str
    stale: bool

    def convert(self, amount_usd: Decimal) -> Decimal:
        """Return the amount in the currency, rounded half-up to its minor unit."""
        return convert(amount_usd, self.rate, CURRENCIES[self.currency].minor_units)


class StoredRate(Answer):
    currency: str
    rate: Decimal
    source: str
    as_of: Time
    fetched_at: Time


class StoredRates(Answer):
    items: tuple[StoredRate, ...]


class Fetch(Answer):
    """The rates of one source, in units per US dollar, and the reasons why earlier sources were
    passed over."""

    id: UUID
    source: str
    as_of: Time
    fetched_at: Time
    rates: dict[str, Money]
    refused: tuple[str, ...] = ()


class Stored(Answer):
    """The currencies whose new rates are in use, and those whose new rates are held back."""

    fetch_id: UUID
    stored: list[str]
    held: list[str]


class ExchangeRate(Answer):
    """The exchange rate of one currency."""

    base: str = "USD"
    """The currency that the rate is for one unit of: USD."""
    currency: str
    """ISO 4217 code of the currency."""
    rate: Money
    """Units of the currency per US dollar."""
    as_of: Time
    """Time of the rate at its source."""
    source: str
    """Source of the rate."""
    stale: bool
    """Whether the rate is old or the static fallback."""


class ExchangeRates(Answer):
    """`as_of` is that of the oldest rate, `source` names all of them, `stale` holds if any is."""

    base: str = "USD"
    """The currency that the rates are for one unit of: USD."""
    rates: dict[str, Money]
    """Units per US dollar, by the ISO 4217 code of the currency."""
    as_of: Time
    """Time of the oldest rate at its source."""
    source: str
    """The sources of the rates."""
    stale: bool
    """Whether any rate is old or the static fallback."""


_RATES = Family(
    "rates",
    StoredRates,
    ttl_seconds=3600,
    stale_seconds=24 * 3600,
    failures=(psycopg.OperationalError,),
)


def current_rates(
    connect: Callable[[], psycopg.Connection],
    cache: Cache,
    currencies: Iterable[str] = CURRENCIES,
) -> list[Rate]:
    """Return the last known rates of currencies, given by codes in any case.

    Raises UnsupportedCurrency.
    """
    codes = [in_capitals(code) for code in currencies]
    for code in codes:
        if code not in CURRENCIES:
            raise UnsupportedCurrency(
                f"The currency {code!r} is not supported; use one of {', '.join(CURRENCIES)}."
            )
    known = {}
    now = datetime.now(UTC)
    if codes != ["USD"]:
        known = {item.currency: item for item in _stored_rates(connect, cache).items}
    return [_rate(code, known.get(code), now) for code in codes]


def current_rate(connect: Callable[[], psycopg.Connection], cache: Cache, currency: str) -> Rate:
    """Return the last known rate of one currency. Raises UnsupportedCurrency."""
    return current_rates(connect, cache, [currency])[0]


def rate_answer(rate: Rate) -> ExchangeRate:
    return ExchangeRate.model_validate(rate._asdict())


def rates_answer(rates: list[Rate]) -> ExchangeRates:
    foreign = [rate for rate in rates if rate.currency != "USD"]
    return ExchangeRates(
        rates={rate.currency: rate.rate for rate in rates},
        as_of=min(rate.as_of for rate in foreign),
        source=", ".join(sorted({rate.source for rate in foreign})),
        stale=any(rate.stale for rate in foreign),
    )


def store_rates(db: psycopg.Connection, fetched: Fetch) -> Stored:
    """Store fetched rates. Storing the same fetch again changes nothing."""
    outcome = procedures.call(
        db,
        "store_exchange_rates",
        tenant="*",
        fetch=Jsonb(fetched.model_dump(mode="json")),
        largest_jump=LARGEST_JUMP,
    )
    return Stored.model_validate(procedures.accepted(outcome)[0])


def accept_rates(db: psycopg.Connection, fetch_id: UUID) -> Stored:
    """Use the rates of a fetch that were held back because they jumped."""
    outcome = procedures.call(db, "accept_exchange_rates", tenant="*", fetch_id=fetch_id)
    return Stored.model_validate(procedures.accepted(outcome)[0])


def _rate(currency: str, stored: StoredRate | None, now: datetime) -> Rate:
    if currency == "USD":
        # The hour, so that a balance that has not changed is the same answer.
        hour = now.replace(minute=0, second=0, microsecond=0)
        return Rate(currency, Decimal(1), hour, "identity", stale=False)
    if stored is None:
        fallback = CURRENCIES[currency].fallback_rate
        return Rate(currency, fallback, FALLBACK_AS_OF, FALLBACK, stale=True)
    stale = now - stored.fetched_at > STALE_AFTER
    return Rate(currency, stored.rate, stored.as_of, stored.source, stale)


def _stored_rates(connect: Callable[[], psycopg.Connection], cache: Cache) -> StoredRates:
    def load() -> Loaded[StoredRates]:
        value: dict[str, Any] = procedures.call(
            connect(), "exchange_rates", tenant="*", currencies=list(CURRENCIES)
        )
        return Loaded(StoredRates.model_validate(value), value["version"])

    nothing = StoredRates(items=())
    try:
        return cache.get_or_load(_RATES.key(PLATFORM, "latest"), load) or nothing
    except psycopg.OperationalError:
        # The database is gone and no cache remembers: better an old rate that says so than none.
        return nothing
