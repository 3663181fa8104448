"""The price book: prices of models, their import, quotes, and corrections by later prices."""

from typing import Annotated
from uuid import UUID

from synaxis_billing.caller import Caller, OrganizationNotFound
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import Cursor, Limit, Query
from synaxis_billing.paging import DEFAULT_LIMIT, Page
from synaxis_billing.prices import book, importing, reratings, unpriced
from synaxis_billing.prices.usage import PriceUnknown

handler = api = Api()


@api.endpoint("POST /v1/prices", "billing:admin", status=201, refuses=(OrganizationNotFound,))
def create_price(caller: Caller, body: book.NewPrice) -> Reply[book.Price]:
    """Add the price of a model.

    It replaces the price in force from `effective_from` on; what it replaces stays stored. Usage
    that waited for this price is charged.
    """
    price = book.create_price(connection(), caller, body)
    unpriced.charge_unpriced(connection(), caller)
    return Reply(price)


@api.endpoint("GET /v1/prices", "billing:admin")
def list_prices(
    caller: Caller,
    prices: Annotated[book.PriceFilter, Query()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[Page[book.Price]]:
    """List prices.

    The newest come first. A price that was replaced is listed too, unless `at` is given.
    """
    return Reply(book.list_prices(connection(), caller, prices, limit, cursor))


@api.endpoint("GET /v1/prices/{price_id}", "billing:admin", refuses=(book.PriceNotFound,))
def get_price(caller: Caller, price_id: UUID) -> Reply[book.Price]:
    """Read one price.

    A price that was replaced can be read too.
    """
    return Reply(book.get_price(connection(), caller, price_id))


@api.endpoint("POST /v1/prices/import", "billing:admin")
def import_prices(caller: Caller, body: importing.PriceImport) -> Reply[importing.PriceImported]:
    """Import a price list.

    Adds each price that differs from the one in force; the same list again adds none. A model that
    is not understood is refused by name and does not affect the others. Usage that waited for these
    prices is charged.
    """
    imported = importing.import_prices(connection(), caller, body)
    unpriced.charge_unpriced(connection(), caller)
    return Reply(imported)


@api.endpoint("POST /v1/quotes", "billing:read", refuses=(OrganizationNotFound, PriceUnknown))
def create_quote(caller: Caller, body: book.QuoteRequest) -> Reply[book.Quote]:
    """Price usage.

    Tells what the usage would cost now, and by which rates; nothing is charged.
    """
    return Reply(book.quote(connection(), caller, body))


@api.endpoint("POST /v1/reratings", "billing:admin")
def create_rerating(caller: Caller, body: reratings.NewRerating) -> Reply[reratings.Rerating]:
    """Correct what the usage of a model was charged in a period.

    Rates the charges again by the price as it is known now, and adjusts each organization once by
    the difference. A second run finds nothing left. Refunded charges are left alone. By default it
    is a dry run, which changes nothing.
    """
    return Reply(reratings.rerate(connection(), caller, body))


@api.endpoint("GET /v1/unpriced-usage", "billing:admin")
def list_unpriced_usage(
    caller: Caller, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Reply[Page[unpriced.Unpriced]]:
    """List usage that waits for a price.

    Or for the credit that its price needs. The newest comes first.
    """
    return Reply(unpriced.list_unpriced(connection(), caller, limit, cursor))
