"""Organizations: who is billed, in which currency and time zone, and how much credit they have."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import AfterValidator, Field

from synaxis_billing import fx, sql
from synaxis_billing.errors import Forbidden, invalid_field
from synaxis_billing.fields import Answer, Money, Name, Request, Time, UsdOrZero
from synaxis_billing.ledger import Caller
from synaxis_billing.money import parse_usd


def _supported(currency: str) -> str:
    if currency not in fx.CURRENCIES:
        raise ValueError(f"must be one of {', '.join(fx.CURRENCIES)}")
    return currency


def _percentage(text: str) -> str:
    if not 0 <= parse_usd(text) <= 100:
        raise ValueError("must be from 0 to 100")
    return text


Currency = Annotated[str, AfterValidator(_supported), Field(examples=["EUR"])]


class Tax(Request):
    """How the organization's invoices are taxed, such as VAT at "20" percent."""

    label: Name
    rate_percent: Annotated[str, AfterValidator(_percentage)]
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


class OrganizationChange(Request):
    """What it names is changed, and nothing else; null clears what may be absent."""

    # Not to be null; a default stands for "not named" and is never read.
    name: Name = ""
    billing_currency: Currency = ""
    timezone: Name = ""
    region: Name | None = None
    low_balance_threshold_usd: UsdOrZero | None = None
    tax: Tax | None = None


class Organization(Answer):
    id: UUID
    name: str
    billing_currency: str
    timezone: str
    region: str | None
    low_balance_threshold_usd: Money | None
    tax: Tax | None
    created_at: Time


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


def get(db: psycopg.Connection, caller: Caller, organization_id: UUID) -> Organization:
    """Raises NotFound."""
    return _organization(sql.call(db, "organization", caller.tenant, organization_id))


def balance(db: psycopg.Connection, caller: Caller, organization_id: UUID) -> Balance:
    """The credit now: an expired hold does not count. Raises NotFound."""
    value = sql.accepted(sql.call(db, "balance", caller.tenant, organization_id))[0]
    rate = fx.rate(value["billing_currency"], datetime.now(UTC))
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
