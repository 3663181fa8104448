"""Profiles: who is billed, in which currency, time zone and language."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import AfterValidator, Field

from synaxis_billing import procedures
from synaxis_billing.cache import Cache, Family, Loaded
from synaxis_billing.caller import Caller, OrganizationNotFound
from synaxis_billing.currencies import CurrencyCode
from synaxis_billing.errors import Conflict, Forbidden, invalid_field
from synaxis_billing.fields import (
    UNNAMED,
    Answer,
    Money,
    Name,
    Request,
    Text,
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
Multiplier = Annotated[
    UsdOrZero,
    Field(
        description="Multiplies everyone's prices for this organization: a markup or a discount."
    ),
]
Percentage = Annotated[
    str,
    AfterValidator(_percentage),
    json_schema(r"^0{0,37}([0-9]{1,2}(\.[0-9]{1,8})?|100(\.0{1,8})?)$", "20"),
]


class Tax(Request):
    """How the organization's invoices are taxed, such as VAT at "20" percent."""

    label: Name
    rate_percent: Percentage
    tax_id: Name | None = None
    reverse_charge: Annotated[bool, Field(strict=True)] = False


class NewOrganization(Request):
    """An `id` chosen by the client makes the creation safe to retry."""

    name: Name
    billing_currency: CurrencyCode
    id: UUID | None = None
    timezone: Name = "UTC"
    region: Name | None = None
    low_balance_threshold_usd: UsdOrZero | None = None
    tax: Tax | None = None
    address: Text | None = None
    locale: Locale = "en"
    payment_terms_days: Days = 30
    price_multiplier: Multiplier = Decimal(1)


class OrganizationChange(Request):
    """Changes the fields that it names, and no others; null clears a field that may be absent."""

    name: Name = UNNAMED
    billing_currency: CurrencyCode = UNNAMED
    timezone: Name = UNNAMED
    region: Name | None = UNNAMED
    low_balance_threshold_usd: UsdOrZero | None = UNNAMED
    tax: Tax | None = UNNAMED
    address: Text | None = UNNAMED
    locale: Locale = UNNAMED
    payment_terms_days: Days = UNNAMED
    price_multiplier: Multiplier = UNNAMED


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
    price_multiplier: Money
    created_at: Time


PROFILES = Family("organization", Organization, absent_seconds=60)
# Marks cached values that were computed from the profile.
PROFILE_TAG = "profile"


class OrganizationExists(Conflict):
    """An organization with this id already exists."""

    code = "organization_exists"


def create_organization(
    db: psycopg.Connection, caller: Caller, request: NewOrganization
) -> Organization:
    """Create an organization.

    Raises OrganizationExists, Forbidden (a tenant may create only itself), InvalidRequest (unknown
    time zone).
    """
    profile = request.model_dump(mode="json", exclude_none=True)
    if caller.tenant != "*" and profile.setdefault("id", caller.tenant) != caller.tenant:
        raise Forbidden("This token may create only the organization that it names.")
    return _organization(
        procedures.call(db, "create_organization", tenant=caller.tenant, profile=Jsonb(profile))
    )


def update_organization(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, request: OrganizationChange
) -> Organization:
    """Change the named fields of a profile.

    Raises OrganizationNotFound, InvalidRequest (unknown time zone).
    """
    return _organization(
        procedures.call(
            db,
            "update_organization",
            tenant=caller.tenant,
            organization_id=organization_id,
            profile=Jsonb(request.model_dump(mode="json", exclude_unset=True)),
        )
    )


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


def _organization(outcome: dict[str, Any]) -> Organization:
    if outcome["outcome"] == "unknown_timezone":
        raise invalid_field("body", "/timezone", "must be an IANA time zone")
    return Organization.model_validate(procedures.accepted(outcome)[0])
