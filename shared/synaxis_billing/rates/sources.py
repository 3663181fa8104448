"""Sources of exchange rates, asked in order; each answer is checked before it is used."""

import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple
from uuid import uuid4

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from synaxis_billing import web
from synaxis_billing.currencies import CURRENCIES
from synaxis_billing.rates.rates import Fetch

LARGEST_ANSWER_BYTES = 1024 * 1024
# Every currency's rate is within these.
SMALLEST_RATE, LARGEST_RATE = Decimal("0.000001"), Decimal("10000000")
# Reference rates are not published on weekends and holidays.
OLDEST = timedelta(days=7)
# Enough for any conversion: the column keeps twelve.
RATE_DECIMALS = Decimal("0.000000000001")
_ECB = "{http://www.ecb.int/vocabulary/2002-08-01/eurofxref}"
_HEADERS = {"User-Agent": "synaxis-billing", "Accept": "*/*"}
SIMULATED_SWING = Decimal("0.02")


class Refused(Exception):
    """The reason why an answer is not used, or why there is none."""


class NoRates(Exception):
    """No source had a plausible answer; the message has the reason of each."""


class Quote(NamedTuple):
    """Units per US dollar, for at least the supported currencies."""

    rates: dict[str, Decimal]
    as_of: datetime


class Source(NamedTuple):
    name: str
    quote: Callable[[datetime], Quote]


def fetch(sources: Sequence[Source], now: datetime) -> Fetch:
    """Return the answer of the first source whose answer is plausible. Raises NoRates."""
    refused = []
    for source in sources:
        try:
            quote = checked(source.quote(now), now)
        except Refused as reason:
            refused.append(f"{source.name}: {reason}")
            continue
        return Fetch(
            id=uuid4(),
            source=source.name,
            as_of=quote.as_of,
            fetched_at=now,
            rates=quote.rates,
            refused=tuple(refused),
        )
    raise NoRates("; ".join(refused) or "no source is configured")


def checked(quote: Quote, now: datetime) -> Quote:
    """Return the supported currencies of a quote, checked. Raises Refused."""
    if not now - OLDEST <= quote.as_of <= now + timedelta(days=1):
        raise Refused(f"its rates are of {quote.as_of:%Y-%m-%d}")
    rates = {}
    for currency in CURRENCIES:
        if currency == "USD":
            continue
        rate = quote.rates.get(currency)
        if rate is None:
            raise Refused(f"it has no {currency}")
        if not rate.is_finite() or not SMALLEST_RATE <= rate <= LARGEST_RATE:
            raise Refused(f"its {currency} is {rate}")
        rates[currency] = rate.quantize(RATE_DECIMALS)
    return Quote(rates, quote.as_of)


def exchangerate_api(url: str) -> Source:
    """Return exchangerate-api.com, or a source that answers like it, as a source: JSON, base
    USD."""
    return Source("exchangerate-api", lambda _now: parse_json(_get(url)))


def ecb(url: str) -> Source:
    """The European Central Bank's daily reference rates: XML, base EUR.

    https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates/
    """
    return Source("ecb", lambda _now: parse_ecb(_get(url)))


def simulated(seed: str = "") -> Source:
    """Return a source of made-up rates, which change every hour within 2 % of the fallback
    rates."""

    def quote(now: datetime) -> Quote:
        hour = now.replace(minute=0, second=0, microsecond=0)
        dice = random.Random(f"{seed} {hour.isoformat()}")
        swing = int(SIMULATED_SWING * 10_000)
        rates = {
            name: of.fallback_rate * (1 + Decimal(dice.randint(-swing, swing)) / 10_000)
            for name, of in CURRENCIES.items()
        }
        return Quote(rates, hour)

    return Source("simulated", quote)


def parse_json(body: bytes) -> Quote:
    """{"base_code": "USD", "conversion_rates": {...}, "time_last_update_unix": ...}, or the older
    {"base": "USD", "rates": {...}, "date": "2026-02-27"}. Raises Refused."""
    try:
        answer = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, RecursionError) as error:
        raise Refused("it is not JSON, or was cut off") from error
    if not isinstance(answer, dict) or answer.get("result", "success") != "success":
        raise Refused("it is an error answer")
    if answer.get("base_code", answer.get("base")) != "USD":
        raise Refused("its base is not USD")
    rates = answer.get("conversion_rates", answer.get("rates"))
    if not isinstance(rates, dict):
        raise Refused("it has no rates")
    return Quote({name: _decimal(name, of) for name, of in rates.items()}, _time_of(answer))


def parse_ecb(body: bytes) -> Quote:
    """The daily XML, whose rates are units per euro. Raises Refused."""
    try:
        root = fromstring(body, forbid_dtd=True)
        day = root.find(f"{_ECB}Cube/{_ECB}Cube[@time]")
        if day is None:
            raise Refused("it has no day's rates")
        as_of = datetime.fromisoformat(str(day.get("time"))).replace(tzinfo=UTC)
    except (ParseError, DefusedXmlException, ValueError, RecursionError) as error:
        raise Refused("it is not the daily XML, or was cut off") from error
    per_euro = {
        str(cube.get("currency")): _decimal(str(cube.get("currency")), cube.get("rate"))
        for cube in day
    }
    per_euro["EUR"] = Decimal(1)
    dollar = per_euro.get("USD")
    if dollar is None or not dollar.is_finite() or dollar <= 0:
        raise Refused(f"its USD is {dollar}")
    return Quote({name: of / dollar for name, of in per_euro.items()}, as_of)


def _decimal(currency: str, value: Any) -> Decimal:
    if not isinstance(value, str | Decimal):
        raise Refused(f"its {currency} is not a number")
    try:
        return Decimal(value)
    except InvalidOperation as error:
        raise Refused(f"its {currency} is not a number") from error


def _time_of(answer: dict[str, Any]) -> datetime:
    try:
        if "time_last_update_unix" in answer:
            return datetime.fromtimestamp(int(answer["time_last_update_unix"]), UTC)
        return datetime.fromisoformat(answer["date"]).replace(tzinfo=UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise Refused("it has no valid date") from error


def _get(url: str) -> bytes:
    # The reason never contains the URL, which may contain a key.
    try:
        status, body = web.request("GET", url, headers=_HEADERS, most_bytes=LARGEST_ANSWER_BYTES)
    except ValueError:
        raise Refused("its address is not a URL of http or https") from None
    except web.NoResponse as reason:
        raise Refused(str(reason)) from None
    if status != 200:
        raise Refused(f"it answered {status}")
    if not body:
        raise Refused("it is empty")
    return body


def chain(names: Sequence[str], *, api_url: str, ecb_url: str, seed: str) -> list[Source]:
    """Return the sources of these names, in their order."""
    known = {
        "exchangerate-api": exchangerate_api(api_url),
        "ecb": ecb(ecb_url),
        "simulated": simulated(seed),
    }
    return [known[name] for name in names]
