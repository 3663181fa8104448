"""Profiles: who is billed, in which currency, time zone and language."""

import secrets
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import AfterValidator, Field

from synaxis_billing import procedures
from synaxis_billing.cache import Cache, Family, Loaded
from synaxis_billing.caller import Caller, OrganizationNotFound
from synaxis_billing.countries import CountryCode
from synaxis_billing.currencies import CurrencyCode
from synaxis_billing.errors import Conflict, Forbidden, invalid_field
from synaxis_billing.fields import (
    UNNAMED,
    Answer,
    ClientId,
    Money,
    Name,
    Request,
    Time,
    UsdOrZero,
    json_schema,
    matching,
)
from synaxis_billing.money import parse_usd


def _percentage(text: str) -> str:
    percent = parse_usd(text)
    if percent.is_signed() or percent > 100:
        raise ValueError("must be from 0 to 100")
    return text


# https://www.rfc-editor.org/info/bcp47, the part that names languages, scripts and regions.
_LOCALE = "^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"
Locale = Annotated[
    str, matching(_LOCALE, "must be a locale such as pt-BR"), json_schema(_LOCALE, "pt-BR")
]
Days = Annotated[int, Field(strict=True, ge=0, le=365)]
AlertDays = Annotated[int, Field(strict=True, ge=1, le=90)]
Percentage = Annotated[
    str,
    AfterValidator(_percentage),
    json_schema(r"^0{0,37}([0-9]{1,2}(\.[0-9]{1,8})?|100(\.0{1,8})?)$", "20"),
]


class Address(Request):
    """A postal address."""

    line1: Name
    """Street and number, or post office box."""
    line2: Name | None = None
    """Building, floor or department."""
    postal_code: Name | None = None
    """Postal code."""
    city: Name
    """City or town."""
    state: Name | None = None
    """State, province or region."""
    country: CountryCode
    """ISO 3166-1 alpha-2 code of the country."""


# The tax of the rate, none since the customer owes it, or none since the service is exempt.
type TaxCategory = Literal["standard", "reverse_charge", "exempt"]


class Tax(Request):
    """How the organization's invoices are taxed, such as VAT at "20" percent."""

    label: Name
    """Name of the tax as invoices print it, such as VAT."""
    rate_percent: Percentage
    """Tax rate in percent, a decimal from "0" to "100"."""
    tax_id: Name | None = None
    """Tax id of the organization, such as its VAT id."""
    category: TaxCategory = "standard"
    """Whether invoices add the tax: `reverse_charge` if the organization owes it itself, `exempt`
    if nobody does."""


# Names that PostgreSQL takes for an abbreviation of a fixed offset, and others for a zone with
# summer time, each with the zone to use.
AMBIGUOUS_ZONES = {
    "CET": "Europe/Brussels",
    "EET": "Europe/Athens",
    "MET": "Europe/Brussels",
    "WET": "Europe/Lisbon",
}


def _unambiguous(timezone: str) -> str:
    if instead := AMBIGUOUS_ZONES.get(timezone.upper()):
        raise ValueError(f"must be {instead} in place of {timezone}, which has two meanings")
    return timezone


Timezone = Annotated[Name, AfterValidator(_unambiguous)]
# Only a message that arrives tells more.
_EMAIL = r"^[^@\s\x00-\x20\x7f-\xa0]{1,64}@[^@\s\x00-\x20\x7f-\xa0]{1,189}$"
Email = Annotated[
    str, matching(_EMAIL, "must be an e-mail address"), json_schema(_EMAIL, "billing@example.com")
]
type OrganizationStatus = Literal["active", "suspended", "closed"]


class NewOrganization(Request):
    """An `id` chosen by the client makes the creation safe to retry."""

    name: Name
    """Name that invoices print."""
    external_id: ClientId | None = None
    """Your own id of the organization, which no other organization has."""
    email: Email | None = None
    """Address to which letters about invoices go."""
    credit_limit_usd: UsdOrZero = Decimal(0)
    """How far charges may take the balance below zero, in US dollars."""
    billing_currency: CurrencyCode
    """ISO 4217 code of the currency of invoices, in any case."""
    id: UUID | None = None
    """Id of your choosing; the server makes one if it is left out."""
    timezone: Timezone = "UTC"
    """IANA time zone, in which days, months and due dates are."""
    region: Name | None = None
    """Region that is to hold the organization; the one that is asked if it is left out."""
    low_balance_threshold_usd: UsdOrZero | None = None
    """Balance in US dollars below which the event `balance.low` is sent; none if it is null."""
    runs_out_alert_days: AlertDays | None = None
    """Days before the earliest run-out of the forecast at which the event `balance.runs_out` is
    sent; none if it is null."""
    tax: Tax | None = None
    """Tax of the invoices; none if it is null."""
    address: Address | None = None
    """Address that invoices print."""
    buyer_reference: ClientId | None = None
    """Reference that invoices print for the organization, such as its purchase order (EN 16931,
    BT-10)."""
    locale: Locale = "en"
    """Language and region of invoices, such as pt-BR."""
    payment_terms_days: Days = 30
    """Days from the issue of an invoice to its due date."""
    price_multiplier: UsdOrZero = Decimal(1)
    """Multiplies everyone's prices for this organization, not its own: a markup or a discount."""


class OrganizationChange(Request):
    """Changes the fields that it names, and no others; null clears a field that may be absent."""

    name: Name = UNNAMED
    external_id: ClientId | None = UNNAMED
    email: Email | None = UNNAMED
    status: OrganizationStatus = UNNAMED
    credit_limit_usd: UsdOrZero = UNNAMED
    billing_currency: CurrencyCode = UNNAMED
    timezone: Timezone = UNNAMED
    region: Name | None = UNNAMED
    low_balance_threshold_usd: UsdOrZero | None = UNNAMED
    runs_out_alert_days: AlertDays | None = UNNAMED
    tax: Tax | None = UNNAMED
    address: Address | None = UNNAMED
    buyer_reference: ClientId | None = UNNAMED
    locale: Locale = UNNAMED
    payment_terms_days: Days = UNNAMED
    price_multiplier: UsdOrZero = UNNAMED


class Organization(Answer):
    """The billing profile of an organization."""

    id: UUID
    """Id of the organization."""
    name: str
    """Name that invoices print."""
    billing_currency: str
    """ISO 4217 code of the currency of invoices."""
    timezone: str
    """IANA time zone, in which days, months and due dates are."""
    external_id: str | None
    """Your own id of the organization."""
    email: str | None
    """Address to which letters about invoices go."""
    status: OrganizationStatus
    """Whether it may charge: a suspended or closed one is refused new charges and holds."""
    credit_limit_usd: Money
    """How far charges may take the balance below zero, in US dollars."""
    region: str | None
    """Region that holds the organization, if it was given."""
    low_balance_threshold_usd: Money | None
    """Balance in US dollars below which the event `balance.low` is sent."""
    runs_out_alert_days: int | None
    """Days before the earliest run-out at which the event `balance.runs_out` is sent."""
    tax: Tax | None
    """Tax of the invoices."""
    address: Address | None
    """Address that invoices print."""
    buyer_reference: str | None
    """Reference that invoices print for the organization."""
    locale: str
    """Language and region of invoices."""
    payment_terms_days: int
    """Days from the issue of an invoice to its due date."""
    price_multiplier: Money
    """Multiplies everyone's prices for this organization, not its own."""
    created_at: Time


PROFILES = Family("organization", Organization, absent_seconds=60)
# Marks cached values that were computed from the profile.
PROFILE_TAG = "profile"


class OrganizationExists(Conflict):
    """An organization with this id already exists."""

    code = "organization_exists"


class ExternalIdExists(Conflict):
    """Another organization has this external id."""

    code = "external_id_exists"


def create_organization(
    db: psycopg.Connection, caller: Caller, request: NewOrganization
) -> Organization:
    """Create an organization.

    Raises OrganizationExists, ExternalIdExists, Forbidden (a tenant may create only itself),
    InvalidRequest (unknown time zone).
    """
    profile = request.model_dump(mode="json", exclude_none=True, exclude={"id"})
    organization_id = request.id or (_new_id() if caller.tenant == "*" else UUID(caller.tenant))
    if caller.tenant not in ("*", str(organization_id)):
        raise Forbidden("This token may create only the organization that it names.")
    return _organization(
        procedures.call(
            db,
            "create_organization",
            tenant=caller.tenant,
            organization_id=organization_id,
            profile=Jsonb(profile),
        )
    )


def update_organization(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, request: OrganizationChange
) -> Organization:
    """Change the named fields of a profile.

    Raises OrganizationNotFound, ExternalIdExists, InvalidRequest (unknown time zone), Forbidden (a
    caller with `settings_only` changes what the platform decides).
    """
    outcome = procedures.call(
        db,
        "update_organization",
        tenant=caller.tenant,
        organization_id=organization_id,
        profile=Jsonb(request.model_dump(mode="json", exclude_unset=True)),
        settings_only=caller.settings_only,
    )
    if outcome["outcome"] == Forbidden.code:
        raise Forbidden(
            "The scope billing:settings may change `address`, `buyer_reference`, `email`,"
            " `tax_id` of `tax`, `low_balance_threshold_usd` and `runs_out_alert_days`; the rest"
            " needs billing:admin."
        )
    return _organization(outcome)


def get_organization(
    connect: Callable[[], psycopg.Connection],
    cache: Cache,
    caller: Caller,
    organization_id: UUID,
) -> Organization:
    """Return the profile as it is, or as it was a few seconds ago. Raises OrganizationNotFound."""

    def load() -> Loaded[Organization] | None:
        outcome = procedures.call(
            connect(), "organization", tenant=caller.tenant, organization_id=organization_id
        )
        if outcome["outcome"] == OrganizationNotFound.code:
            return None
        return Loaded(_organization(outcome), outcome["value"]["version"])

    # An organization that the token may not touch does not exist for it, cached or not.
    if caller.tenant in ("*", str(organization_id)):
        found = cache.get_or_load(PROFILES.key(organization_id), load)
        if found is not None and found.id == organization_id:
            return found
    raise OrganizationNotFound


def _new_id() -> UUID:
    """Return a time-ordered id: UUIDv7, RFC 9562 section 5.7."""
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    return UUID(
        int=milliseconds << 80 | 7 << 76 | random >> 62 << 64 | 2 << 62 | random & (1 << 62) - 1
    )


def _organization(outcome: dict[str, Any]) -> Organization:
    if outcome["outcome"] == "unknown_timezone":
        raise invalid_field("body", "/timezone", "must be an IANA time zone")
    return Organization.model_validate(procedures.accepted(outcome)[0])
