"""Balance: the credit that an organization has now."""

from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.cache import Cache
from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, Money, Time
from synaxis_billing.rates import rates


class ExpiringCredit(Answer):
    """Credit of a grant that expires soon."""

    grant_id: UUID
    """Id of the grant."""
    amount_usd: Money
    """What is left of the grant, in US dollars."""
    expires_at: Time
    """Instant from which the credit is gone."""


class Balance(Answer):
    """available_usd = balance_usd + credit_limit_usd - held_usd; `balance` is balance_usd in the
    billing currency."""

    balance_usd: Money
    """Sum of all transactions in US dollars."""
    held_usd: Money
    """Credit in US dollars that unexpired holds reserve, or that is frozen."""
    frozen_usd: Money
    """Of that, what disputes and refunds under way keep from use."""
    available_usd: Money
    """Credit in US dollars that can be charged: balance_usd + credit_limit_usd - held_usd."""
    credit_limit_usd: Money
    """How far charges may take the balance below zero, in US dollars."""
    debt_usd: Money
    """Credit in US dollars that was drawn and that no grant covers."""
    expiring: list[ExpiringCredit]
    """Credit that expires within 30 days, soonest first."""
    billing_currency: str
    """ISO 4217 code of the billing currency."""
    balance: Money
    """balance_usd in the billing currency, rounded half-up to its minor unit."""
    exchange_rate: Money
    """Units of the billing currency per US dollar."""
    rate_as_of: Time
    """Time of the exchange rate at its source."""
    rate_source: str
    """Source of the exchange rate."""
    rate_stale: bool
    """Whether the exchange rate is old or the static fallback."""


def get_balance(
    connect: Callable[[], psycopg.Connection],
    cache: Cache,
    caller: Caller,
    organization_id: UUID,
) -> Balance:
    """Return the credit now, read from the row itself; an expired hold does not count.

    Raises OrganizationNotFound.
    """
    outcome = procedures.call(
        connect(), "balance", tenant=caller.tenant, organization_id=organization_id
    )
    value, _ = procedures.accepted(outcome)
    rate = rates.current_rate(connect, cache, value["billing_currency"])
    return Balance(
        balance_usd=value["balance_usd"],
        held_usd=value["held_usd"],
        frozen_usd=value["frozen_usd"],
        available_usd=value["available_usd"],
        credit_limit_usd=value["credit_limit_usd"],
        debt_usd=value["debt_usd"],
        expiring=value["expiring"],
        billing_currency=rate.currency,
        balance=rate.convert(Decimal(value["balance_usd"])),
        exchange_rate=rate.rate,
        rate_as_of=rate.as_of,
        rate_source=rate.source,
        rate_stale=rate.stale,
    )
