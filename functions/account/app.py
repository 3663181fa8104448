"""Organizations, their balance and budgets, exchange rates, and the product's own state."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from synaxis_billing.budgets import budgets
from synaxis_billing.caller import Caller, OrganizationNotFound
from synaxis_billing.currencies import UnsupportedCurrency
from synaxis_billing.edge import cache as caching
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http import health
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import Cursor, Limit, Query
from synaxis_billing.edge.settings import settings
from synaxis_billing.errors import Conflict, Misdirected
from synaxis_billing.fields import Name
from synaxis_billing.invalidations import outbox
from synaxis_billing.organizations import balance, listing, profile, residency
from synaxis_billing.paging import DEFAULT_LIMIT, Page
from synaxis_billing.rates import rates

handler = api = Api()
ORGANIZATION = "/v1/organizations/{organization_id}"
BUDGETS = f"{ORGANIZATION}/budgets"
BUDGET = f"{BUDGETS}/{{budget_id}}"


@api.endpoint(
    "POST /v1/organizations",
    "billing:admin",
    status=201,
    invalidates=True,
    refuses=(profile.OrganizationExists, profile.ExternalIdExists, Misdirected),
)
def create_organization(
    caller: Caller, body: profile.NewOrganization
) -> Reply[profile.Organization]:
    """Create an organization.

    An `id` of your own makes the creation safe to retry.
    """
    residency.check_region(body.region, settings().other_regions)
    return Reply(profile.create_organization(connection(), caller, body))


@api.endpoint("GET /v1/organizations", "billing:read")
def list_organizations(
    caller: Caller,
    listed: Annotated[listing.OrganizationFilter, Query()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[listing.OrganizationPage]:
    """List the organizations of the platform, each with its credit now.

    Newest first, or in the order that `sort` names, with the totals of all of them. Only a token
    with `billing:platform` may. An organization may move while the pages of an order are read.
    """
    return Reply(listing.list_organizations(connection(), caller, listed, limit, cursor))


@api.endpoint(f"GET {ORGANIZATION}", "billing:read")
def get_organization(caller: Caller, organization_id: UUID) -> Reply[profile.Organization]:
    """Get the billing profile of an organization.

    It may be a few seconds old.
    """
    return Reply(profile.get_organization(connection, cache(), caller, organization_id))


@api.endpoint(
    f"PATCH {ORGANIZATION}",
    "billing:admin",
    settings=True,
    refuses=(profile.ExternalIdExists,),
    invalidates=True,
)
def update_organization(
    caller: Caller, organization_id: UUID, body: profile.OrganizationChange
) -> Reply[profile.Organization]:
    """Change the billing profile of an organization.

    Changes only the fields that the request names. A new currency affects future invoices only. A
    token with `billing:settings` alone may change the address, the e-mail address, the tax id and
    the alerts `low_balance_threshold_usd` and `runs_out_alert_days`.
    """
    return Reply(profile.update_organization(connection(), caller, organization_id, body))


@api.endpoint(f"PUT {ORGANIZATION}/home", "billing:admin", refuses=(Conflict,))
def set_organization_home(
    caller: Caller, organization_id: UUID, body: residency.NewOrganizationHome
) -> Reply[residency.OrganizationHome]:
    """Record which other region holds an organization.

    Needs `billing:platform` too. Requests for the organization are then answered 421, with the URL
    of that region.
    """
    others = settings().other_regions
    return Reply(residency.set_home(connection(), caller, organization_id, body, others))


@api.endpoint(f"GET {ORGANIZATION}/balance", "billing:read", refuses=(UnsupportedCurrency,))
def get_balance(caller: Caller, organization_id: UUID) -> Reply[balance.Balance]:
    """Get the balance of an organization.

    The credit now, also in the billing currency at the current exchange rate.
    """
    return Reply(balance.get_balance(connection, cache(), caller, organization_id))


@api.endpoint(
    f"POST {BUDGETS}", "billing:admin", settings=True, status=201, refuses=(budgets.BudgetExists,)
)
def create_budget(
    caller: Caller, organization_id: UUID, body: budgets.NewBudget
) -> Reply[budgets.Budget]:
    """Create a budget of an organization, a team, a key, a person, a model or a provider.

    It counts what its present window contains already. A hard budget refuses charges and holds
    that would exceed it, with 402 `budget_exceeded`; a soft one only alerts. A rate lets through
    `burst_usd` at once and `limit_usd` per hour in the long run.
    """
    return Reply(budgets.create_budget(connection(), caller, organization_id, body))


@api.endpoint(f"GET {BUDGETS}", "billing:read")
def list_budgets(
    caller: Caller, organization_id: UUID, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Reply[Page[budgets.Budget]]:
    """List the budgets of an organization.

    Newest first, each with what it contains now.
    """
    return Reply(budgets.list_budgets(connection(), caller, organization_id, limit, cursor))


@api.endpoint(f"GET {BUDGET}", "billing:read", refuses=(budgets.BudgetNotFound,))
def get_budget(caller: Caller, organization_id: UUID, budget_id: UUID) -> Reply[budgets.Budget]:
    """Get a budget.

    With what its window contains now.
    """
    return Reply(budgets.get_budget(connection(), caller, organization_id, budget_id))


@api.endpoint(
    f"PATCH {BUDGET}",
    "billing:admin",
    settings=True,
    refuses=(budgets.BudgetNotFound, budgets.BudgetExists, Conflict),
)
def update_budget(
    caller: Caller, organization_id: UUID, budget_id: UUID, body: budgets.BudgetChange
) -> Reply[budgets.Budget]:
    """Change the limit, the mode or the alerts of a budget.

    Changes only the fields that the request names. What is spent stays: a limit below it refuses
    from now on.
    """
    return Reply(budgets.update_budget(connection(), caller, organization_id, budget_id, body))


@api.endpoint(f"DELETE {BUDGET}", "billing:admin", settings=True, refuses=(budgets.BudgetNotFound,))
def delete_budget(caller: Caller, organization_id: UUID, budget_id: UUID) -> Reply[budgets.Budget]:
    """Delete a budget.

    Answers the budget as it was.
    """
    return Reply(budgets.delete_budget(connection(), caller, organization_id, budget_id))


@api.endpoint("GET /v1/exchange-rates", "billing:read")
def list_exchange_rates() -> Reply[rates.ExchangeRates]:
    """List the exchange rates of all billing currencies.

    The last known rates; `stale` tells that they are old or the static fallback.
    """
    return Reply(rates.rates_answer(rates.current_rates(connection, cache())))


@api.endpoint("GET /v1/exchange-rates/{currency}", "billing:read", refuses=(UnsupportedCurrency,))
def get_exchange_rate(
    currency: Annotated[Name, Field(description="ISO 4217 code, in any case.")],
) -> Reply[rates.ExchangeRate]:
    """Get the exchange rate of one currency.

    The last known rate; `stale` tells that it is old or the static fallback.
    """
    return Reply(rates.rate_answer(rates.current_rate(connection, cache(), currency)))


@api.endpoint("GET /v1/cache/statistics", "billing:admin")
def get_cache_statistics() -> Reply[caching.CacheStatistics]:
    """Get the cache statistics of one container.

    Each container counts for itself, and any of them may answer.
    """
    return Reply(caching.statistics())


@api.endpoint(
    "POST /v1/cache/invalidate", "billing:admin", invalidates=True, refuses=(OrganizationNotFound,)
)
def invalidate_cache(
    caller: Caller, body: outbox.CacheInvalidationRequest
) -> Reply[outbox.CacheInvalidation]:
    """Invalidate cached values of an organization.

    All of them, unless the request names keys, a pattern or tags.
    """
    return Reply(outbox.forget(connection(), cache(), caller, body))


@api.endpoint("GET /health", scope=None, other=503)
def get_health() -> Reply[health.Health]:
    """Get the state of the database, the cache and the rates.

    Needs no token. 200 while charges can be taken, 503 otherwise. It may be two seconds old.
    """
    found = health.get_health()
    return Reply(found, status=200 if found.database == "ok" else 503)
