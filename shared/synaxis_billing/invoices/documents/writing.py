"""Money, numbers and dates as the customer's locale writes them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from unicodedata import category

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date, format_interval, format_time
from babel.numbers import get_currency_symbol, parse_pattern

from synaxis_billing.money import DECIMALS
from synaxis_billing.organizations.profile import Address

_ENGLISH = Locale("en")
# The scripts of the fonts that come with typst.
_BUNDLED_SCRIPTS = {"Latn", "Grek", "Cyrl"}
# Where the postal code stands after the city: Universal Postal Union, addressing systems.
_CODE_LAST = frozenset(
    ["AU", "BR", "CA", "GB", "HK", "ID", "IE", "IN", "JP", "KR", "NZ", "SG", "TH", "US", "ZA"]
)
# Without which some scripts cannot be written.
_JOINERS = "\u200c\u200d"


def locale(tag: str, any_script: bool) -> Locale:
    """Return the locale of a BCP 47 tag, or of its language; English if it is unknown, or if it
    needs a script beyond Latin, Greek and Cyrillic and `any_script` is false."""
    for identifier in (tag.replace("-", "_"), tag.split("-")[0]):
        try:
            found = Locale.parse(identifier)
        except (UnknownLocaleError, ValueError):
            continue
        return found if any_script or _script(found) in _BUNDLED_SCRIPTS else _ENGLISH
    return _ENGLISH


def number(value: Decimal | int, least: int, most: int, where: Locale) -> str:
    """Return a number with at least `least` and at most `most` decimals."""
    pattern = parse_pattern(where.decimal_formats[None].pattern)
    pattern.frac_prec = (least, most)
    return str(pattern.apply(value, where))


def usd(value: Decimal, where: Locale) -> str:
    """Return an amount with all the decimals that the ledger holds, and at least two."""
    return number(value, 2, DECIMALS, where)


def money(value: Decimal, currency: str, least: int, most: int, where: Locale) -> str:
    """Return an amount with the currency's sign, where the locale puts it."""
    written = where.currency_formats["standard"].pattern
    if category(get_currency_symbol(currency, where)[-1]) != "Sc":
        # A code such as KWD does not touch the digits (CLDR, currencySpacing).
        written = written.replace("¤#", "¤\u00a0#")
    pattern = parse_pattern(written)
    pattern.frac_prec = (least, most)
    return str(pattern.apply(value, where, currency=currency, currency_digits=False))


def percent(value: str, where: Locale) -> str:
    pattern = parse_pattern(where.percent_formats[None].pattern)
    pattern.frac_prec = (0, DECIMALS)
    return str(pattern.apply(Decimal(value) / 100, where))


def day(value: date, where: Locale) -> str:
    return format_date(value, "long", where)


def days(first: date, last: date, where: Locale) -> str:
    return format_interval(first, last, "yMMMMd", locale=where)


def moment(instant: datetime, where: Locale) -> str:
    """Return the day, and the time of day in UTC unless it is midnight: a reference rate is of a
    day."""
    text = format_date(instant.date(), "medium", where)
    if (instant.hour, instant.minute) == (0, 0):
        return text
    return f"{text}, {format_time(instant, 'short', tzinfo=UTC, locale=where)} UTC"


def line(text: str) -> str:
    """Return text of another party as one line, without invisible characters: they could reverse
    other text, and would be copied out of a PDF."""
    return "".join(
        one
        for one in " ".join(text.split())
        if one in _JOINERS or category(one) not in ("Cc", "Cf")
    )


def lines(text: str | None) -> list[str]:
    return [one for one in map(line, (text or "").splitlines()) if one]


def address(of: Address, where: Locale) -> list[str]:
    """Return an address as lines, with the country in the words of the locale."""
    city, code = line(of.city), line(of.postal_code or "")
    if of.state:
        city = f"{city}, {line(of.state)}"
    place = f"{city} {code}" if of.country in _CODE_LAST else f"{code} {city}"
    country = where.territories.get(of.country, of.country)
    return [one for one in (line(of.line1), line(of.line2 or ""), place.strip(), country) if one]


def _script(where: Locale) -> str:
    # Such as ja_Jpan_JP; Babel keeps no script in a locale where it is the usual one.
    likely = get_global("likely_subtags").get(where.language, "und_Latn").split("_")
    return where.script or str(likely[1])
