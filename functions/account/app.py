"""Organizations and their balance, exchange rates, and the product's own state."""

from uuid import UUID

from synaxis_billing.caller import Caller
from synaxis_billing.edge import cache as caching
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http import health
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.settings import settings
from synaxis_billing.invalidations import outbox
from synaxis_billing.organizations import balance, profile, residency
from synaxis_billing.rates import rates

handler = api = Api()
ORGANIZATION = "/v1/organizations/{organization_id}"


@api.endpoint(
    "POST /v1/organizations",
    "billing:admin",
    status=201,
    refuses=(409, 421),
    invalidates=True,
)
def create_organization(
    caller: Caller, body: profile.NewOrganization
) -> Reply[profile.Organization]:
    residency.check_region(body.region, settings().other_regions)
    return Reply(profile.create_organization(connection(), caller, body))


@api.endpoint(f"GET {ORGANIZATION}", "billing:read")
def get_organization(caller: Caller, organization_id: UUID) -> Reply[profile.Organization]:
    return Reply(profile.get_organization(connection, cache(), caller, organization_id))


@api.endpoint(f"PATCH {ORGANIZATION}", "billing:admin", invalidates=True)
def update_organization(
    caller: Caller, organization_id: UUID, body: profile.OrganizationChange
) -> Reply[profile.Organization]:
    return Reply(profile.update_organization(connection(), caller, organization_id, body))


@api.endpoint(f"PUT {ORGANIZATION}/home", "billing:admin", refuses=(409,))
def set_organization_home(
    caller: Caller, organization_id: UUID, body: residency.NewOrganizationHome
) -> Reply[residency.OrganizationHome]:
    others = settings().other_regions
    return Reply(residency.set_home(connection(), caller, organization_id, body, others))


@api.endpoint(f"GET {ORGANIZATION}/balance", "billing:read")
def get_balance(caller: Caller, organization_id: UUID) -> Reply[balance.Balance]:
    return Reply(balance.get_balance(connection, cache(), caller, organization_id))


@api.endpoint("GET /v1/exchange-rates", "billing:read")
def list_exchange_rates() -> Reply[rates.ExchangeRates]:
    return Reply(rates.rates_answer(rates.current_rates(connection, cache())))


@api.endpoint("GET /v1/exchange-rates/{currency}", "billing:read")
def get_exchange_rate(currency: str) -> Reply[rates.ExchangeRate]:
    return Reply(rates.rate_answer(rates.current_rate(connection, cache(), currency)))


@api.endpoint("GET /v1/cache/statistics", "billing:admin")
def get_cache_statistics() -> Reply[caching.CacheStatistics]:
    return Reply(caching.statistics())


@api.endpoint("POST /v1/cache/invalidate", "billing:admin", refuses=(404,), invalidates=True)
def invalidate_cache(
    caller: Caller, body: outbox.CacheInvalidationRequest
) -> Reply[outbox.CacheInvalidation]:
    return Reply(outbox.forget(connection(), cache(), caller, body))


@api.endpoint("GET /health", scope=None, other=503)
def get_health() -> Reply[health.Health]:
    found = health.check_health()
    return Reply(found, status=200 if found.database == "ok" else 503)
