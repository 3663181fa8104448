"""Organizations and their balance, exchange rates, and how the product itself is doing."""

from uuid import UUID

from aws_lambda_powertools.event_handler import Response

from synaxis_billing import fx, homes, invalidations, organizations
from synaxis_billing.edge import cache as caching
from synaxis_billing.edge import config, health
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http import Api, answered, entry

api = Api()
handler = entry(api, around=caching.invocation)
ORGANIZATION = "/v1/organizations/{organization_id}"


@api.endpoint("POST /v1/organizations", "billing:admin", status=201, refuses=(409, 421))
def create(body: organizations.NewOrganization) -> Response[organizations.Organization]:
    homes.check_region(body.region, config.other_regions())
    created = organizations.create(connection(), api.caller, body)
    caching.drain()
    return answered(created, status=201)


@api.endpoint(f"GET {ORGANIZATION}", "billing:read")
def get(organization_id: UUID) -> Response[organizations.Organization]:
    return answered(organizations.get(connection, cache(), api.caller, organization_id))


@api.endpoint(f"PATCH {ORGANIZATION}", "billing:admin")
def update(
    organization_id: UUID, body: organizations.OrganizationChange
) -> Response[organizations.Organization]:
    updated = organizations.update(connection(), api.caller, organization_id, body)
    caching.drain()
    return answered(updated)


@api.endpoint(f"PUT {ORGANIZATION}/home", "billing:admin", refuses=(409,))
def set_home(organization_id: UUID, body: homes.NewHome) -> Response[homes.Home]:
    endpoints = config.other_regions()
    return answered(homes.set_home(connection(), api.caller, organization_id, body, endpoints))


@api.endpoint(f"GET {ORGANIZATION}/balance", "billing:read")
def balance(organization_id: UUID) -> Response[organizations.Balance]:
    return answered(organizations.balance(connection, cache(), api.caller, organization_id))


@api.endpoint("GET /v1/exchange-rates", "billing:read")
def exchange_rates() -> Response[fx.ExchangeRates]:
    return answered(fx.exchange_rates(fx.rates(connection, cache())))


@api.endpoint("GET /v1/exchange-rates/{currency}", "billing:read")
def exchange_rate(currency: str) -> Response[fx.ExchangeRate]:
    return answered(fx.exchange_rate(fx.rate(connection, cache(), currency)))


@api.endpoint("GET /v1/cache/statistics", "billing:admin")
def cache_statistics() -> Response[caching.Statistics]:
    return answered(caching.statistics())


@api.endpoint("POST /v1/cache/invalidate", "billing:admin", refuses=(404,))
def invalidate(body: invalidations.Forget) -> Response[invalidations.Forgotten]:
    return answered(caching.forget(api.caller, body))


@api.endpoint("GET /health", scope=None, other=503)
def healthy() -> Response[health.Health]:
    answer = health.check()
    return answered(answer, status=200 if answer.database == "ok" else 503)
