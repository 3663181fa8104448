"""Organizations: who is billed, in which currency and time zone, and how much credit they have."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import AfterValidator, Field

from synaxis_billing import fx, sql
from synaxis_billing.cache import Cache, Family, Loaded
from synaxis_billing.errors import Forbidden, NotFound, invalid_field
from synaxis_billing.fields import (
    UNNAMED,
    Answer,
    Money,
    Name,
    Request,
    Text,
    Time,
    UsdOrZero,
    shown,
    spelled,
)
from synaxis_billing.ledger import Caller
from synaxis_billing.money import parse_usd


def _supported(currency: str) -> str:
    if not fx.is_supported(currency):
        raise ValueError(f"must be one of {', '.join(fx.CURRENCIES)}")
    return currency.upper()


def _percentage(text: str) -> str:
    percent = parse_usd(text)
    if percent.is_signed() or percent > 100:
        raise ValueError("must be from 0 to 100")
    return text


# https://www.rfc-editor.org/info/bcp47, the part that names languages, scripts and regions.
_LOCALE = "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"
Locale = Annotated[str, spelled(_LOCALE, "must be a locale such as pt-BR"), shown(_LOCALE, "pt-BR")]
Days = Annotated[int, Field(strict=True, ge=0, le=365)]
Currency = Annotated[str, AfterValidator(_supported), shown(fx.CODES, "EUR")]
Percentage = Annotated[
    str,
    AfterValidator(_percentage),
    shown(r"^0{0,37}([0-9]{1,2}(\.[0-9]{1,8})?|100(\.0{1,8})?)$", "20"),
]


class Tax(Request):
    """How the organization's invoices are taxed, such as VAT at "20" percent."""

    label: Name
    rate_percent: Percentage
    tax_id: Name | None = None
    reverse_charge: Annotated[bool, Field(strict=True)] = False


class NewOrganization(Request):
    """An `id` of the client's makes the creation safe to retry."""

    name: Name
    billing_currency: Currency
    id: UUID | None = None
    timezone: Name = "UTC"
    region: Name | None = None
    low_balance_threshold_usd: UsdOrZero | None = None
    tax: Tax | None = None
    address: Text | None = None
    locale: Locale = "en"
    payment_terms_days: Days = 30


class OrganizationChange(Request):
    """What it names is changed, and nothing else; null clears what may be absent."""

    name: Name = UNNAMED
    billing_currency: Currency = UNNAMED
    timezone: Name = UNNAMED
    region: Name | None = UNNAMED
    low_balance_threshold_usd: UsdOrZero | None = UNNAMED
    tax: Tax | None = UNNAMED
    address: Text | None = UNNAMED
    locale: Locale = UNNAMED
    payment_terms_days: Days = UNNAMED


class Organization(Answer):
    id: UUID
    name: str
    billing_currency: str
    timezone: str
    region: str | None
    low_balance_threshold_usd: Money | None
    tax: Tax | None
    address: str | None
    locale: str
    payment_terms_days: int
    created_at: Time


PROFILES = Family("organization", Organization, absent_seconds=60)
# Whoever caches what depends on the profile says so by this tag.
PROFILE_TAG = "profile"


class Balance(Answer):
    """available_usd = balance_usd - held_usd; `balance` is balance_usd in the billing currency."""

    balance_usd: Money
    held_usd: Money
    available_usd: Money
    billing_currency: str
    balance: Money
    exchange_rate: Money
    rate_as_of: Time
    rate_source: str
    rate_stale: bool


def create(db: psycopg.Connection, caller: Caller, request: NewOrganization) -> Organization:
    """Raises Conflict (the id is taken), Forbidden (a tenant may create itself alone)."""
    profile = request.model_dump(mode="json", exclude_none=True)
    if caller.tenant != "*" and profile.setdefault("id", caller.tenant) != caller.tenant:
        raise Forbidden("This token may create the organization that it names, and no other.")
    return _organization(sql.call(db, "create_organization", caller.tenant, Jsonb(profile)))


def update(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, request: OrganizationChange
) -> Organization:
    """Raises NotFound, InvalidRequest (unknown time zone)."""
    profile = request.model_dump(mode="json", exclude_unset=True)
    return _organization(
        sql.call(db, "update_organization", caller.tenant, organization_id, Jsonb(profile))
    )


def get(
    connect: Callable[[], psycopg.Connection],
    cache: Cache,
    caller: Caller,
    organization_id: UUID,
) -> Organization:
    """The profile, as it is or was a few seconds ago. Raises NotFound."""

    def load() -> Loaded[Organization] | None:
        outcome = sql.call(connect(), "organization", caller.tenant, organization_id)
        if outcome["outcome"] == "organization_not_found":
            return None
        return Loaded(_organization(outcome), outcome["value"]["version"])

    # Whom the token may not touch does not exist for it, cached or not.
    if caller.tenant in ("*", str(organization_id)):
        found = cache.get_or_load(PROFILES.key(organization_id), load)
        if found is not None and found.id == organization_id:
            return found
    raise NotFound("There is no such organization.", code="organization_not_found")


def balance(
    connect: Callable[[], psycopg.Connection],
    cache: Cache,
    caller: Caller,
    organization_id: UUID,
) -> Balance:
    """The credit now, from the row itself: an expired hold does not count. Raises NotFound."""
    value = sql.accepted(sql.call(connect(), "balance", caller.tenant, organization_id))[0]
    rate = fx.rate(connect, cache, value["billing_currency"])
    return Balance(
        balance_usd=value["balance_usd"],
        held_usd=value["held_usd"],
        available_usd=value["available_usd"],
        billing_currency=rate.currency,
        balance=rate.convert(Decimal(value["balance_usd"])),
        exchange_rate=rate.rate,
        rate_as_of=rate.as_of,
        rate_source=rate.source,
        rate_stale=rate.stale,
    )


def _organization(outcome: dict[str, Any]) -> Organization:
    if outcome["outcome"] == "unknown_timezone":
        raise invalid_field("body", "/timezone", "must be an IANA time zone")
    return Organization.model_validate(sql.accepted(outcome)[0])
