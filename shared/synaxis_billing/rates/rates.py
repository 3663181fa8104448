"""Exchange rates: what a US dollar is worth in the currencies that are billed in.

Readers never ask a provider: they have the last stored rate, or without any the static fallback,
and every rate says where it is from, how old it is and whether it is stale.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import sql
from synaxis_billing.cache import PLATFORM, Cache, Family, Loaded
from synaxis_billing.errors import NotFound
from synaxis_billing.fields import Answer, Money, Time
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
# The codes, in any case.
CODES = f"^({'|'.join(''.join(f'[{of}{of.lower()}]' for of in code) for code in CURRENCIES)})$"
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
        """The amount in the currency, rounded half-up to its minor unit."""
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
    """What a source said, in units per US dollar, and why those before it were passed over."""

    id: UUID
    source: str
    as_of: Time
    fetched_at: Time
    rates: dict[str, Money]
    refused: tuple[str, ...] = ()


class Stored(Answer):
    """The currencies whose rates are used from now on, and those whose rates are held back."""

    fetch_id: UUID
    stored: list[str]
    held: list[str]


class ExchangeRate(Answer):
    base: str = "USD"
    currency: str
    rate: Money
    as_of: Time
    source: str
    stale: bool


class ExchangeRates(Answer):
    """`as_of` is that of the oldest rate, `source` names all of them, `stale` holds if any is."""

    base: str = "USD"
    rates: dict[str, Money]
    as_of: Time
    source: str
    stale: bool


_RATES = Family(
    "rates",
    StoredRates,
    ttl_seconds=3600,
    stale_seconds=24 * 3600,
    failures=(psycopg.OperationalError,),
)


def is_supported(currency: str) -> bool:
    """Whether a code, in any case, is one that can be billed in."""
    return _capitals(currency) in CURRENCIES


def rates(
    connect: Callable[[], psycopg.Connection],
    cache: Cache,
    currencies: Iterable[str] = CURRENCIES,
) -> list[Rate]:
    """The rates of currencies, whose codes may be in any case. Raises NotFound."""
    codes = [_capitals(code) for code in currencies]
    for code in codes:
        if code not in CURRENCIES:
            raise NotFound(
                f"{code!r} is not supported; {', '.join(CURRENCIES)} are.",
                code="unsupported_currency",
            )
    known = {}
    now = datetime.now(UTC)
    if codes != ["USD"]:
        known = {item.currency: item for item in _stored(connect, cache).items}
    return [_rate(code, known.get(code), now) for code in codes]


def rate(connect: Callable[[], psycopg.Connection], cache: Cache, currency: str) -> Rate:
    """The rate of one currency. Raises NotFound."""
    return rates(connect, cache, [currency])[0]


def exchange_rate(one: Rate) -> ExchangeRate:
    return ExchangeRate.model_validate(one._asdict())


def exchange_rates(many: list[Rate]) -> ExchangeRates:
    foreign = [one for one in many if one.currency != "USD"]
    return ExchangeRates(
        rates={one.currency: one.rate for one in many},
        as_of=min(one.as_of for one in foreign),
        source=", ".join(sorted({one.source for one in foreign})),
        stale=any(one.stale for one in foreign),
    )


def store(db: psycopg.Connection, fetched: Fetch) -> Stored:
    """Keep what was fetched; the same fetch again changes nothing."""
    outcome = sql.call(
        db, "store_exchange_rates", "*", Jsonb(fetched.model_dump(mode="json")), LARGEST_JUMP
    )
    return Stored.model_validate(sql.accepted(outcome)[0])


def accept(db: psycopg.Connection, fetch_id: UUID) -> Stored:
    """Use the rates of a fetch that were held back for having jumped."""
    outcome = sql.call(db, "accept_exchange_rates", "*", fetch_id)
    return Stored.model_validate(sql.accepted(outcome)[0])


def _capitals(code: str) -> str:
    # Beyond ASCII there are letters whose capitals are S or K.
    return code.upper() if code.isascii() else code


def _rate(currency: str, stored: StoredRate | None, now: datetime) -> Rate:
    if currency == "USD":
        return Rate(currency, Decimal(1), now, "identity", stale=False)
    if stored is None:
        fallback = CURRENCIES[currency].fallback_rate
        return Rate(currency, fallback, FALLBACK_AS_OF, FALLBACK, stale=True)
    stale = now - stored.fetched_at > STALE_AFTER
    return Rate(currency, stored.rate, stored.as_of, stored.source, stale)


def _stored(connect: Callable[[], psycopg.Connection], cache: Cache) -> StoredRates:
    def load() -> Loaded[StoredRates]:
        value: dict[str, Any] = sql.call(connect(), "exchange_rates", "*", list(CURRENCIES))
        return Loaded(StoredRates.model_validate(value), value["version"])

    nothing = StoredRates(items=())
    try:
        return cache.get_or_load(_RATES.key(PLATFORM, "latest"), load) or nothing
    except psycopg.OperationalError:
        # The database is gone and no cache remembers: better an old rate that says so than none.
        return nothing
