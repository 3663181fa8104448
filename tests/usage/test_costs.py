"""Spending says which tokens were used, and to the platform alone what they cost it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from synaxis_billing.caller import Caller
from synaxis_billing.errors import Forbidden, InvalidRequest
from synaxis_billing.ledger import charges, holds
from synaxis_billing.organizations import profile
from synaxis_billing.prices.unpriced import charge_unpriced
from synaxis_billing.usage import spend_logs, spending
from tests.conftest import Database
from tests.prices.test_book import add, rate
from tests.support import steps
from tests.support.billing import set_clock
from tests.support.running import Client

# Each bucket that counts as input, as cached and as output, with a size of its own.
USAGE = {
    "format": "buckets",
    **{"input": 1, "cache_write": 20, "cache_write_1h": 300, "audio_input": 4000},
    **{"cache_read": 50_000, "audio_cache_read": 600_000},
    **{"output": 7_000_000, "reasoning": 80_000_000, "image_output": 900_000_000},
}
INPUT, CACHED, OUTPUT = 4321, 650_000, 987_000_000
MADE_BY = {"provider": "openai", "model": "gpt-4o", "team_id": "core", "virtual_key_id": "vk-1"}
CALL: dict[str, Any] = {**MADE_BY, "usage": USAGE}
BY_AMOUNT: dict[str, Any] = {**MADE_BY, "amount_usd": "5"}
# A dollar a million of everything.
THIS_MONTH = spending.Question(None, None, [])
COST = Decimal(INPUT + CACHED + OUTPUT) / 10**6


def charge(db: psycopg.Connection, organization_id: UUID, **call: Any) -> None:
    request = charges.ChargeRequest.model_validate({"description": "chat", **call})
    charges.charge(db, steps.PLATFORM, organization_id, steps.new_key(), request)


def batch(db: psycopg.Connection, organization_id: UUID, **call: Any) -> None:
    item = {"organization_id": str(organization_id), "idempotency_key": steps.new_key(), **call}
    steps.charge_batch(db, item)


def capture(db: psycopg.Connection, organization_id: UUID, **call: Any) -> None:
    held = steps.hold(db, organization_id, "1")
    request = holds.CaptureRequest.model_validate({**call, "overrun": "charge"})
    holds.capture(db, steps.PLATFORM, organization_id, held.id, steps.new_key(), request)


def log(db: psycopg.Connection, organization_id: UUID, **call: Any) -> None:
    request = spend_logs.SpendLogRequest.model_validate(call)
    spend_logs.log_spend(db, steps.PLATFORM, organization_id, None, request)


def spent(db: psycopg.Connection, organization_id: UUID) -> spending.Spending:
    return spending.get_spending(
        lambda: db, steps.NO_CACHE, steps.PLATFORM, organization_id, THIS_MONTH
    )


WAYS = {"charge": charge, "batch": batch, "capture": capture, "spend log": log}


@pytest.mark.parametrize("way", WAYS)
def test_spending_sums_the_tokens_by_kind_beside_cost_and_margin(
    database: Database, way: str
) -> None:
    with database.connect() as db:
        organization = steps.new_organization(db, "100000", price_multiplier="1.25")
        add(db, rate("input", "1"), rate("output", "1"))
        for call in (CALL, CALL, BY_AMOUNT, {**BY_AMOUNT, "tokens": 7}):
            WAYS[way](db, organization, **call)
        total = spent(db, organization).total
    assert total.requests == 4
    assert total.tokens == 2 * (INPUT + CACHED + OUTPUT) + 7
    assert (total.input_tokens, total.cached_tokens, total.output_tokens) == (
        2 * INPUT,
        2 * CACHED,
        2 * OUTPUT,
    )
    # Nobody knows what the calls cost whose amount the gateway gave.
    assert total.amount_usd == 2 * COST * Decimal("1.25") + 10
    assert (total.cost_usd, total.margin_usd) == (2 * COST, 2 * COST * Decimal("0.25"))
    assert database.audit().whole


def test_the_cost_of_usage_at_an_organizations_own_price_is_everyones_price(
    database: Database,
) -> None:
    with database.connect() as db:
        organization = steps.new_organization(db, "100000", price_multiplier="9")
        add(db, rate("input", "1"), rate("output", "1"), organization_id=str(organization))
        charge(db, organization, **CALL)
        unknown = spent(db, organization).total
        add(db, rate("input", "0.4"), rate("output", "0.4"))
        charge(db, organization, **CALL)
        known = spent(db, organization).total
    assert not unknown.cost_usd
    assert not unknown.margin_usd
    assert known.amount_usd == 2 * COST
    assert (known.cost_usd, known.margin_usd) == (COST * Decimal("0.4"), COST * Decimal("0.6"))
    assert database.audit().whole


def test_usage_that_waited_for_its_price_has_its_cost(database: Database) -> None:
    with database.connect() as db:
        organization = steps.new_organization(db, "100000", price_multiplier="2")
        charge(db, organization, **CALL)
        add(db, rate("input", "1"), rate("output", "1"))
        charge_unpriced(db, steps.PLATFORM)
        total = spent(db, organization).total
    assert (total.cost_usd, total.margin_usd, total.output_tokens) == (COST, COST, OUTPUT)
    assert database.audit().whole


def test_a_period_that_cuts_a_day_has_the_tokens_and_costs_of_its_own_logs(
    database: Database,
) -> None:
    noon = datetime(2027, 6, 15, 12, tzinfo=UTC)
    with database.connect() as db, database.admin() as admin:
        organization = steps.new_organization(db, "100000", price_multiplier="2")
        add(db, rate("input", "1"), rate("output", "1"))
        for hours in (-1, 1, 2):
            set_clock(admin, organization, noon + timedelta(hours=hours))
            log(db, organization, **(CALL if hours < 2 else BY_AMOUNT))
        before, after = (
            spending.get_spending(
                lambda: db,
                steps.NO_CACHE,
                steps.PLATFORM,
                organization,
                spending.Question(start, end, []),
            ).total
            for start, end in (
                (noon - timedelta(days=1), noon),
                (noon, noon + timedelta(hours=3)),
            )
        )
    assert (before.input_tokens, before.cached_tokens, before.output_tokens) == (
        INPUT,
        CACHED,
        OUTPUT,
    )
    assert (before.cost_usd, before.margin_usd, before.requests) == (COST, COST, 1)
    assert (after.cost_usd, after.margin_usd, after.requests) == (COST, COST, 2)


def test_what_all_organizations_spent_is_the_sum_of_what_each_spent(database: Database) -> None:
    zones = ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"]
    start, end = datetime(2027, 5, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
    with database.connect() as db, database.admin() as admin:
        add(db, rate("input", "1"), rate("output", "1"))
        organizations = [
            steps.new_organization(db, "100000", timezone=zone, price_multiplier=str(number))
            for number, zone in enumerate(zones, 1)
        ]
        for number, organization in enumerate(organizations):
            # Around both ends of the period, in a time zone that cuts its days there.
            for at in (start, end - timedelta(days=9), end):
                for hours in (-20, -1, 1, 20):
                    set_clock(admin, organization, at + timedelta(hours=hours + number))
                    log(db, organization, **(CALL if hours < 0 else BY_AMOUNT))
            profile.update_organization(
                db,
                steps.PLATFORM,
                organization,
                profile.OrganizationChange(timezone=zones[number - 1]),
            )
        for by in (
            [],
            ["day"],
            ["month", "model"],
            ["team_id", "virtual_key_id"],
            ["organization_id"],
            ["organization_id", "day"],
        ):
            own = [name for name in by if name != "organization_id"]
            whole = spending.get_platform_spending(
                db, steps.PLATFORM, spending.Question(start, end, by)
            )
            each = {
                organization: spending.get_spending(
                    lambda: db,
                    steps.NO_CACHE,
                    steps.PLATFORM,
                    organization,
                    spending.Question(start, end, own),
                )
                for organization in organizations
            }
            expected: dict[Any, list[spending.Spend]] = {}
            for organization, found in each.items():
                for item in found.items:
                    values = {**item.model_dump(), "organization_id": organization}
                    expected.setdefault(tuple(values[name] for name in by), []).append(item)
            assert sums_of(whole.items, by) == {
                key: added(items) for key, items in expected.items()
            }
            assert sum_of(whole.total) == added([found.total for found in each.values()])


SUMS = tuple(spending.Sums.model_fields)


def sum_of(spend: spending.Sums) -> tuple[Any, ...]:
    return tuple(getattr(spend, name) for name in SUMS)


def sums_of(items: tuple[spending.PlatformSpend, ...], by: list[str]) -> dict[Any, Any]:
    return {tuple(getattr(item, name) for name in by): sum_of(item) for item in items}


def added(items: Any) -> tuple[Any, ...]:
    return tuple(sum(values) for values in zip(*map(sum_of, items), strict=True))


def test_a_tenants_token_sees_neither_cost_nor_margin(api: Client) -> None:
    path = api.new_organization("10", price_multiplier="3")
    charged = {"description": "chat", "provider": "openai", "model": "gpt-4o"}
    usage = {"format": "openai", "prompt_tokens": 374, "completion_tokens": 44}
    assert api.post(f"{path}/charges", {**charged, "usage": usage}, "k").status_code == 201
    tenant = api.other("billing:read", path.rpartition("/")[2])
    past = {"from": "2020-01-01T00:00:00Z", "to": "2020-02-01T00:00:00Z"}
    for period in ({}, past, past):
        # Also when the other's answer is in the cache.
        mine = tenant.get(f"{path}/spending", group_by="model", **period).json()
        platforms = api.get(f"{path}/spending", group_by="model", **period).json()
        for sums in (*mine["items"], mine["total"]):
            assert not sums.keys() & {"cost_usd", "margin_usd", "price_multiplier"}
            assert sums.keys() >= {"input_tokens", "cached_tokens", "output_tokens"}
        assert platforms["total"].keys() >= {"cost_usd", "margin_usd"}
    now = api.get(f"{path}/spending").json()["total"]
    assert Decimal(now["amount_usd"]) == 3 * Decimal(now["cost_usd"]) > 0
    assert Decimal(now["margin_usd"]) == 2 * Decimal(now["cost_usd"])
    assert tenant.get("/v1/spending").status_code == 403


def test_the_platforms_report_refuses_what_it_cannot_answer(
    api: Client, product: tuple[str, Database]
) -> None:
    bad = {
        "/group_by": {"group_by": "model,colour"},
        "/from": {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
    }
    for pointer, query in bad.items():
        refused = api.get("/v1/spending", **query)
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["pointer"] == pointer
    # Another organization's report has no such dimension.
    path = api.new_organization()
    assert api.get(f"{path}/spending", group_by="organization_id").status_code == 400
    with product[1].connect() as db, pytest.raises(Forbidden):
        spending.get_platform_spending(db, Caller(tenant=str(UUID(int=7))), THIS_MONTH)


# 10,000 groups of names as they are, and fewer of the longest names, whose every character is
# escaped in the answer.
@pytest.mark.parametrize(
    ("groups", "name", "status"),
    [(10_000, "team-{}", 200), (10_001, "team-{}", 400), (8_000, '"' * 120 + "{}", 400)],
)
def test_an_answer_has_10000_groups_or_is_refused(
    api: Client, product: tuple[str, Database], groups: int, name: str, status: int
) -> None:
    path = api.new_organization()
    with product[1].admin() as admin:
        admin.execute(
            "INSERT INTO billing.spend_rollups (organization_id, bucket_start, dimensions,"
            " bucket_end, team_id, virtual_key_id, model, provider, region, charged, amount_usd,"
            " tokens, requests) SELECT %s, '2026-03-01Z', int4send(n), '2026-03-02Z', team, team,"
            " team, team, team, true, 1, 1, 1 FROM (SELECT n, replace(%s, '{}', n::text) AS team"
            " FROM generate_series(1, %s) AS n) AS named",
            [path.rpartition("/")[2], name, groups],
        )
        by = "team_id,virtual_key_id,model,provider,region"
        period = {"from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z"}
        try:
            for address in (f"{path}/spending", "/v1/spending"):
                answered = api.get(address, group_by=by, **period)
                assert answered.status_code == status, answered.text[:500]
                if status == 200:
                    assert len(answered.json()["items"]) >= groups
        finally:
            # The other tests of this database audit it.
            admin.execute(
                "DELETE FROM billing.spend_rollups WHERE organization_id = %s",
                [path.rpartition("/")[2]],
            )


def test_sums_that_take_too_long_are_refused_and_not_retried(database: Database) -> None:
    with database.connect() as db, database.admin() as admin, admin.transaction():
        steps.new_organization(db)
        # The report waits until its statement's time is over.
        admin.execute("LOCK TABLE billing.spend_rollups IN ACCESS EXCLUSIVE MODE")
        db.execute("SET statement_timeout = '50ms'")
        with pytest.raises(InvalidRequest, match="shorter period"):
            spending.get_platform_spending(db, steps.PLATFORM, THIS_MONTH)
