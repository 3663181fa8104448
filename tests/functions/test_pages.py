"""Every list is walked to its end and back, by the cursors of its pages."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from synaxis_billing import paging
from synaxis_billing.grants import grants
from synaxis_billing.invoices.invoices import InvoicePeriod, draft_invoice
from synaxis_billing.ledger import charges, holds, transactions
from synaxis_billing.organizations import listing
from synaxis_billing.prices import book
from synaxis_billing.usage import labels, spend_logs
from tests.conftest import Database
from tests.events.test_usage_events import event as usage_event
from tests.events.test_usage_events import take
from tests.payments.test_inbox import receive
from tests.support import billing, steps
from tests.support.events import FUNCTIONS, Invoke, event
from tests.support.paying import Payer
from tests.support.running import EVERYTHING

LIMIT = 3
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Place(NamedTuple):
    """Where a list gets its items."""

    db: psycopg.Connection
    organization_id: UUID
    payer: Payer


type Maker = Callable[[Place, int], None]


def model(number: int) -> str:
    return f"model-{number % 2}"


def charge(at: Place, number: int) -> None:
    steps.charge(at.db, at.organization_id, "0.01", model=model(number))


def log(at: Place, number: int) -> None:
    steps.log_spend(at.db, at.organization_id, "0.01", model=model(number))


def hold(at: Place, number: int) -> None:
    held = steps.hold(at.db, at.organization_id, "0.01")
    if number % 2:
        steps.release(at.db, held)


def grant(at: Place, number: int) -> None:
    made = steps.grant(at.db, at.organization_id, "1")
    if number % 2:
        steps.void(at.db, made)


def budget(at: Place, number: int) -> None:
    steps.budget(at.db, at.organization_id, "1", team=f"team-{number}")


def invoice(at: Place, number: int) -> None:
    start, end = (LONG_AGO + timedelta(days=number + days) for days in (0, 1))
    period = InvoicePeriod.model_validate(
        {"period_start": start.isoformat(), "period_end": end.isoformat()}
    )
    draft_invoice(at.db, steps.PLATFORM, at.organization_id, period, at.payer.rates, billing.ISSUER)


def payment(at: Place, number: int) -> None:
    at.payer.ask_for(str(number + 1), f"payment {number}")


def label(at: Place, number: int) -> None:
    named = labels.NewLabel.model_validate(
        {"kind": ("team", "virtual_key")[number % 2], "id": f"id-{number:03}", "name": "Search"}
    )
    labels.put_label(at.db, steps.PLATFORM, at.organization_id, named)


def organization(at: Place, number: int) -> None:
    steps.new_organization(at.db, name=f"Acme {number % 2}")


def price(at: Place, number: int) -> None:
    new = {
        "provider": "openai",
        "model": f"{model(number)} {number}",
        "effective_from": "2026-01-01T00:00:00Z",
        "rates": [{"bucket": bucket, "usd_per_million": "1"} for bucket in ("input", "output")],
    }
    book.create_price(at.db, steps.PLATFORM, book.NewPrice.model_validate(new))


def unpriced(at: Place, number: int) -> None:
    usage = {"format": "buckets", "input": 5}
    asked = {"description": "a call", "provider": "openai", "model": f"{number}", "usage": usage}
    request = charges.ChargeRequest.model_validate(asked)
    charges.charge(at.db, steps.PLATFORM, at.organization_id, steps.new_key(), request)


def refused(at: Place, number: int) -> None:
    take(at.db, usage_event("nobody", str(number)))


def unmatched(at: Place, number: int) -> None:
    receive(at.db, f"evt_{number}", f"ch_{number}")


OF_ONE = "GET /v1/organizations/{organization_id}"
LISTS: list[tuple[str, Maker, list[dict[str, str]]]] = [
    (f"{OF_ONE}/transactions", charge, [{}, {"model": "model-1"}, {"type": "charge"}]),
    (f"{OF_ONE}/spend-logs", log, [{}, {"model": "model-1"}]),
    (f"{OF_ONE}/spend-logs", charge, [{"model": "model-1"}]),
    (f"{OF_ONE}/holds", hold, [{}, {"status": "released"}]),
    (f"{OF_ONE}/grants", grant, [{}, {"status": "voided"}]),
    (f"{OF_ONE}/budgets", budget, [{}]),
    (f"{OF_ONE}/invoices", invoice, [{}, {"status": "draft"}]),
    (f"{OF_ONE}/payments", payment, [{}, {"status": "pending"}]),
    (f"{OF_ONE}/webhook-events", grant, [{}, {"type": "grant.created"}]),
    (f"{OF_ONE}/labels", label, [{}, {"kind": "team"}]),
    ("GET /v1/organizations", organization, [{}, {"q": "Acme 1"}, {"sort": "spent"}]),
    ("GET /v1/payments", payment, [{}, {"status": "pending"}]),
    ("GET /v1/payment-events", unmatched, [{}]),
    ("GET /v1/prices", price, [{}, {"at": "2026-02-01T00:00:00Z", "provider": "openai"}]),
    ("GET /v1/unpriced-usage", unpriced, [{}]),
    ("GET /v1/usage-events/refused", refused, [{}]),
]
CASES = [(route, make, query) for route, make, queries in LISTS for query in queries]


class Walk:
    """The pages of a list, as the API answers them."""

    def __init__(self, invoke: Invoke, route: str, organization_id: UUID, query: dict[str, str]):
        self.invoke, self.route, self.query = invoke, route, query
        self.organization_id = str(organization_id)

    def page(self, cursor: str | None = None) -> dict[str, Any]:
        asked = event("list_transactions")
        asked["routeKey"] = asked["requestContext"]["routeKey"] = self.route
        asked["requestContext"]["authorizer"]["jwt"]["claims"]["scope"] = EVERYTHING
        ids = {"organization_id": self.organization_id}
        asked["rawPath"] = self.route.partition(" ")[2].format(**ids)
        asked["pathParameters"] = ids if "{" in self.route else {}
        given = {"cursor": cursor} if cursor else {}
        asked["queryStringParameters"] = {"limit": str(LIMIT), **self.query, **given}
        answered = self.invoke(FUNCTIONS[self.route], asked)
        assert answered["statusCode"] == 200, answered["body"]
        found: dict[str, Any] = json.loads(answered["body"])
        return found

    def follow(self, name: str, page: dict[str, Any]) -> list[dict[str, Any]]:
        """The pages from this one on, by the cursor of that name."""
        pages = [page]
        while cursor := pages[-1][name]:
            pages.append(self.page(cursor))
        return pages

    def down(self) -> list[dict[str, Any]]:
        return self.follow("next_cursor", self.page())


def items(pages: list[dict[str, Any]]) -> list[Any]:
    return [item for page in pages for item in page["items"]]


@pytest.fixture
def at(database: Database) -> Iterator[Place]:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        yield Place(db, organization_id, Payer(db, organization_id))


@pytest.mark.parametrize(("route", "make", "query"), CASES)
def test_the_pages_of_a_list_are_the_same_on_the_way_back(
    invoke: Invoke, at: Place, route: str, make: Maker, query: dict[str, str]
) -> None:
    for number in range(14):
        make(at, number)
    walk = Walk(invoke, route, at.organization_id, query)
    down = walk.down()
    assert len(down) > 2
    assert down[0]["previous_cursor"] is None
    up = walk.follow("previous_cursor", down[-1])
    assert [page["items"] for page in reversed(up)] == [page["items"] for page in down]
    again = walk.follow("next_cursor", up[-1])
    assert [page["items"] for page in again] == [page["items"] for page in down]
    if make is label or "sort" in query:
        return
    # New items come above, on pages of their own.
    for number in range(14, 18):
        make(at, number)
    above = walk.follow("previous_cursor", down[2])
    assert [page["items"] for page in above[:3]] == [page["items"] for page in reversed(down[:3])]
    assert items(above[::-1]) == items(walk.down())[: len(items(above))]
    assert items(above[3:])


# Pages of these hold all items of an instant.
TIED = [
    ("GET /v1/organizations", organization, "organizations", "created_at"),
    (f"{OF_ONE}/grants", grant, "credit_grants", "created_at"),
    ("GET /v1/payment-events", unmatched, "payment_events", "received_at"),
]


@pytest.mark.parametrize(("route", "make", "table", "column"), TIED)
def test_items_of_one_instant_come_once_in_both_directions(
    invoke: Invoke, database: Database, at: Place, route: str, make: Maker, table: str, column: str
) -> None:
    for number in range(12):
        make(at, number)
    with database.admin() as admin:
        admin.execute(
            sql.SQL(
                "UPDATE billing.{table} AS t SET {column} = to_timestamp(n) FROM ("
                " SELECT ctid, row_number() OVER (ORDER BY {column}) / 4 AS n FROM billing.{table}"
                ") AS o WHERE t.ctid = o.ctid"
            ).format(table=sql.Identifier(table), column=sql.Identifier(column))
        )
    walk = Walk(invoke, route, at.organization_id, {})
    down = walk.down()
    up = walk.follow("previous_cursor", down[-1])
    assert len(down) > 2 < len(up)
    assert items(up[::-1]) == items(down)


@pytest.mark.parametrize(
    ("route", "make", "query", "module"),
    [
        (f"{OF_ONE}/transactions", charge, {"model": "model-1"}, transactions),
        (f"{OF_ONE}/spend-logs", charge, {"model": "model-1"}, spend_logs),
        (f"{OF_ONE}/holds", hold, {"status": "released"}, holds),
        (f"{OF_ONE}/grants", grant, {"status": "voided"}, grants),
        ("GET /v1/organizations", organization, {"q": "Acme 1"}, listing),
    ],
)
def test_a_search_that_ends_early_goes_on_in_both_directions(
    invoke: Invoke,
    at: Place,
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    make: Maker,
    query: dict[str, str],
    module: ModuleType,
) -> None:
    for number in range(14):
        make(at, number)
    walk = Walk(invoke, route, at.organization_id, query)
    found = items(walk.down())
    monkeypatch.setattr(module, "SEARCHED_ROWS", 2)
    down = walk.down()
    assert any(len(page["items"]) < LIMIT for page in down[:-1])
    assert items(down) == found
    assert items(walk.follow("previous_cursor", down[-1])[::-1]) == found


def test_a_page_of_large_items_is_cut_at_its_far_end(
    invoke: Invoke, at: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        charge(at, number)
    walk = Walk(invoke, f"{OF_ONE}/transactions", at.organization_id, {})
    whole = items(walk.down())
    monkeypatch.setattr(paging.fitting, "__defaults__", (1,))
    down = walk.down()
    assert {len(page["items"]) for page in down} == {1}
    up = walk.follow("previous_cursor", down[-1])
    assert items(up[::-1]) == items(down) == whole
