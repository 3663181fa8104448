"""The price book: prices of models, their import, and quotes."""

from typing import Annotated
from uuid import UUID

from synaxis_billing.caller import Caller
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import Cursor, Limit, Query
from synaxis_billing.fields import Instant, Name
from synaxis_billing.paging import DEFAULT_LIMIT, Page
from synaxis_billing.prices import book, importing, reratings, unpriced

handler = api = Api()


@api.endpoint("POST /v1/prices", "billing:admin", status=201, refuses=(404,))
def create_price(caller: Caller, body: book.NewPrice) -> Reply[book.Price]:
    price = book.create_price(connection(), caller, body)
    unpriced.charge_unpriced(connection(), caller)
    return Reply(price)


@api.endpoint("GET /v1/prices", "billing:admin")
def list_prices(
    caller: Caller,
    organization_id: Annotated[UUID | None, Query()] = None,
    provider: Annotated[Name | None, Query()] = None,
    model: Annotated[Name | None, Query()] = None,
    at: Annotated[Instant | None, Query()] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[Page[book.Price]]:
    filters = (organization_id, provider, model, at)
    return Reply(book.list_prices(connection(), caller, *filters, limit, cursor))


@api.endpoint("GET /v1/prices/{price_id}", "billing:admin")
def get_price(caller: Caller, price_id: UUID) -> Reply[book.Price]:
    return Reply(book.get_price(connection(), caller, price_id))


@api.endpoint("POST /v1/prices/import", "billing:admin")
def import_prices(caller: Caller, body: importing.PriceImport) -> Reply[importing.PriceImported]:
    imported = importing.import_prices(connection(), caller, body)
    unpriced.charge_unpriced(connection(), caller)
    return Reply(imported)


@api.endpoint("POST /v1/quotes", "billing:read", refuses=(404, 422))
def create_quote(caller: Caller, body: book.QuoteRequest) -> Reply[book.Quote]:
    return Reply(book.quote(connection(), caller, body))


@api.endpoint("POST /v1/reratings", "billing:admin")
def create_rerating(caller: Caller, body: reratings.NewRerating) -> Reply[reratings.Rerating]:
    return Reply(reratings.rerate(connection(), caller, body))


@api.endpoint("GET /v1/unpriced-usage", "billing:admin")
def list_unpriced_usage(
    caller: Caller, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Reply[Page[unpriced.Unpriced]]:
    return Reply(unpriced.list_unpriced(connection(), caller, limit, cursor))
