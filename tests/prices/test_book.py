"""The price book: which price applies, to whom, from when on, and what it makes of usage."""

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from synaxis_billing.caller import Caller, OrganizationNotFound
from synaxis_billing.errors import Forbidden, InvalidRequest
from synaxis_billing.prices import book
from synaxis_billing.prices.usage import BUCKETS, PARENTS, PriceUnknown
from tests.conftest import Database
from tests.support.steps import PLATFORM, new_organization

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def rate(
    bucket: str, usd_per_million: str, service_tier: str = "standard", above: int = 0
) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "usd_per_million": usd_per_million,
        "service_tier": service_tier,
        "above_input_tokens": above,
    }


def add(
    db: psycopg.Connection,
    *rates: dict[str, Any],
    at: datetime = NOW - 30 * DAY,
    model: str = "gpt-4o",
    provider: str = "openai",
    **more: Any,
) -> book.Price:
    """Add a price, of $2.50 and $10 unless the rates say otherwise."""
    named = {
        (given["bucket"], given["service_tier"], given["above_input_tokens"]) for given in rates
    }
    standard = [
        rate(bucket, usd)
        for bucket, usd in (("input", "2.50"), ("output", "10"))
        if (bucket, "standard", 0) not in named
    ]
    request = book.NewPrice.model_validate(
        {
            "provider": provider,
            "model": model,
            "effective_from": at.isoformat(),
            "rates": [*standard, *rates],
            **more,
        }
    )
    return book.create_price(db, PLATFORM, request)


def quote(
    db: psycopg.Connection,
    organization_id: UUID | None = None,
    model: str = "gpt-4o",
    tier: str = "standard",
    caller: Caller = PLATFORM,
    provider: str = "openai",
    **tokens: Any,
) -> book.Quote:
    request = book.QuoteRequest.model_validate(
        {
            "organization_id": organization_id,
            "provider": provider,
            "model": model,
            "service_tier": tier,
            "usage": {"format": "buckets", **tokens},
        }
    )
    return book.quote(db, caller, request)


def quoted(db: psycopg.Connection, tokens: dict[str, Any]) -> book.Quote:
    return quote(db, **tokens)


def test_a_quote_is_tokens_by_rate_and_says_how(database: Database) -> None:
    with database.connect() as db:
        price = add(db, rate("cache_read", "1.25"), source="list of May")
        found = quote(db, input=1000, cache_read=3, output=7)
    assert found.amount_usd == Decimal("0.00257375")
    assert found.tokens == 1010
    assert (found.price_id, found.source, found.model) == (price.id, "list of May", "gpt-4o")
    assert {(line.bucket, line.tokens, line.usd_per_million) for line in found.lines} == {
        ("input", 1000, Decimal("2.50")),
        ("cache_read", 3, Decimal("1.25")),
        ("output", 7, Decimal("10")),
    }
    assert sum(line.amount_usd for line in found.lines) == found.amount_usd


def test_an_amount_is_rounded_once_half_up(database: Database) -> None:
    with database.connect() as db:
        add(db, rate("input", "0.0025"), rate("output", "0.0025"))
        # Each is half of the last place: apart they would be two of them, together they are one.
        assert quote(db, input=2).amount_usd == Decimal("0.00000001")
        assert quote(db, input=1, output=1).amount_usd == Decimal("0.00000001")
        assert quote(db, input=1).amount_usd == 0


def test_no_tokens_cost_nothing(database: Database) -> None:
    with database.connect() as db:
        add(db)
        found = quote(db)
    assert (found.amount_usd, found.tokens) == (Decimal(0), 0)
    assert found.lines == []


def test_a_rate_of_zero_is_a_rate(database: Database) -> None:
    with database.connect() as db:
        add(db, rate("input", "0"), rate("cache_read", "0", "flex"))
        assert quote(db, input=10**6).amount_usd == 0
        assert quote(db, input=10**6, output=10**6).amount_usd == 10


@pytest.mark.parametrize(("bucket", "parent"), PARENTS.items())
def test_a_bucket_without_a_rate_has_its_parents(
    bucket: str, parent: str | None, database: Database
) -> None:
    while parent not in (None, "input", "output"):
        parent = PARENTS[parent]
    expected = {"input": Decimal("2.50"), "output": Decimal(10)}[parent or bucket]
    with database.connect() as db:
        add(db)
        assert quoted(db, {bucket: 10**6}).amount_usd == expected


def test_cached_audio_has_the_rate_of_cached_text_before_that_of_input(database: Database) -> None:
    with database.connect() as db:
        add(db, rate("cache_read", "0.25"))
        assert quote(db, audio_cache_read=10**6).amount_usd == Decimal("0.25")


def test_a_tier_without_a_rate_has_the_standard_one(database: Database) -> None:
    with database.connect() as db:
        add(db, rate("input", "1.25", "batch"))
        # One batch rate alone does not make the other free.
        assert quote(db, tier="batch", input=10**6, output=10**6).amount_usd == Decimal("11.25")
        assert quote(db, tier="batches", input=10**6).amount_usd == Decimal("1.25")
        assert quote(db, tier="default", input=10**6).amount_usd == Decimal("2.50")
        assert quote(db, tier="unheard-of", input=10**6).amount_usd == Decimal("2.50")


@pytest.mark.parametrize(
    ("tokens", "usd_per_million"),
    [
        ({"input": 199_999}, "2.50"),
        ({"input": 200_000}, "2.50"),
        ({"input": 200_001}, "5"),
        # What was read from the cache, written to it or heard counts towards the step.
        ({"input": 1, "cache_read": 200_000}, "5"),
        ({"input": 1, "cache_write": 100_000, "audio_input": 100_000}, "5"),
        ({"input": 1, "output": 200_000, "reasoning": 200_000}, "2.50"),
    ],
)
def test_a_step_counts_all_input_and_applies_to_the_whole_request(
    tokens: dict[str, int], usd_per_million: str, database: Database
) -> None:
    with database.connect() as db:
        add(
            db,
            rate("cache_read", "1.25"),
            rate("input", "5", above=200_000),
            rate("output", "15", above=200_000),
            rate("cache_read", "2.50", above=200_000),
        )
        lines = {line.bucket: line for line in quoted(db, {**tokens, "output": 1}).lines}
    above = usd_per_million == "5"
    assert lines["input"].usd_per_million == Decimal(usd_per_million)
    assert lines["output"].usd_per_million == (15 if above else 10)
    assert lines["output"].rate.above_input_tokens == (200_000 if above else 0)
    if "cache_read" in lines:
        assert lines["cache_read"].usd_per_million == Decimal("2.50")


def test_a_batch_above_the_step_is_not_rated_flat(database: Database) -> None:
    with database.connect() as db:
        add(
            db,
            rate("input", "1.25", "batch"),
            rate("input", "5", above=272_000),
            rate("cache_read", "0.10", "batch"),
        )
        [line] = quote(db, tier="batch", input=272_001).lines
        # No batch rate of the step: the standard one, never the cheaper flat one.
        assert (line.usd_per_million, line.rate.service_tier) == (Decimal(5), "standard")


def test_the_newest_price_up_to_an_instant_applies(database: Database) -> None:
    with database.connect() as db:
        add(db, rate("input", "3"), at=NOW - 2 * DAY)
        add(db, rate("input", "9"), at=NOW + DAY)
        add(db, rate("input", "2"), at=NOW - 9 * DAY)
        assert quote(db, input=10**6).amount_usd == 3
        at_start = NOW - 2 * DAY
        for at, usd in ((at_start, 3), (at_start - timedelta(microseconds=1), 2), (NOW + DAY, 9)):
            assert _rated(db, None, at, input=10**6) == usd


def test_a_correction_replaces_a_price_and_leaves_what_was_believed(database: Database) -> None:
    with database.connect() as db:
        wrong = add(db, rate("input", "30"), at=NOW - 5 * DAY)
        right = add(db, rate("input", "3"), at=NOW - 5 * DAY)
        assert quote(db, input=10**6).price_id == right.id
        known = wrong.recorded_at
        assert _rated(db, None, NOW, known, input=10**6) == 30
        assert _rated(db, None, NOW, known - timedelta(microseconds=1), input=10**6) is None
        assert book.get_price(db, PLATFORM, wrong.id) == wrong


def test_an_organizations_own_price_beats_everyones(database: Database) -> None:
    with database.connect() as db:
        own, other = new_organization(db), new_organization(db)
        add(db, rate("input", "1"), organization_id=str(own))
        # A newer one of everyone changes nothing.
        add(db, rate("input", "7"), at=NOW - DAY)
        assert quote(db, own, input=10**6).amount_usd == 1
        assert quote(db, other, input=10**6).amount_usd == 7
        assert quote(db, input=10**6).amount_usd == 7


def test_a_multiplier_applies_to_everyones_prices_alone(database: Database) -> None:
    with database.connect() as db:
        organization = new_organization(db, price_multiplier="1.2")
        add(db)
        add(db, rate("input", "1"), model="own", organization_id=str(organization))
        marked_up = quote(db, organization, input=10**6)
        assert (marked_up.amount_usd, marked_up.price_multiplier) == (Decimal(3), Decimal("1.2"))
        assert quote(db, organization, model="own", input=10**6).amount_usd == 1
        # Before the multiplier: what the platform pays.
        assert marked_up.lines[0].amount_usd == Decimal("2.50")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("gpt-4o", "gpt-4o"),
        ("openai/gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("openai/gpt-4o-20240806", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai/gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai/gpt-oss", "openai/gpt-oss"),
    ],
)
def test_a_model_is_found_by_its_name_without_prefix_or_date(
    asked: str, found: str, database: Database
) -> None:
    with database.connect() as db:
        for model in ("gpt-4o", "gpt-4o-2024-05-13", "openai/gpt-oss", "gpt-oss"):
            add(db, model=model)
        assert quote(db, model=asked, input=1).model == found


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-5"),
        ("azure", "gpt-4o"),
        ("openai", "azure/gpt-4o"),
        ("openai", "gpt-4o-mini"),
        ("openai", "GPT-4o"),
    ],
)
def test_an_unknown_model_is_refused_never_free(
    provider: str, model: str, database: Database
) -> None:
    with database.connect() as db:
        add(db)
        with pytest.raises(PriceUnknown, match="has no price; add one by") as refused:
            quote(db, provider=provider, model=model, input=1)
    assert refused.value.status == 422
    assert refused.value.facts == {"provider": provider, "model": model}


def test_the_same_model_at_two_providers_has_two_prices(database: Database) -> None:
    with database.connect() as db:
        add(db)
        add(db, rate("input", "4"), provider="azure")
        assert quote(db, provider="azure", input=10**6).amount_usd == 4
        assert quote(db, input=10**6).amount_usd == Decimal("2.50")


@pytest.mark.parametrize(
    ("rates", "field", "rule"),
    [
        ([rate("input", "-1"), rate("output", "1")], (0, "usd_per_million"), "not negative"),
        ([rate("input", "NaN"), rate("output", "1")], (0, "usd_per_million"), "not negative"),
        ([rate("input", "1e10"), rate("output", "1")], (0, "usd_per_million"), "less than"),
        ([rate("input", "1e-11"), rate("output", "1")], (0, "usd_per_million"), "10 decimals"),
        ([rate("input", "1 000"), rate("output", "1")], (0, "usd_per_million"), "a decimal"),
        ([{**rate("input", "1"), "usd_per_million": 1.5}] * 2, (0, "usd_per_million"), "refused"),
        ([rate("inputs", "1"), rate("output", "1")], (0, "bucket"), "'input', 'cache_read'"),
        ([rate("input", "1"), rate("output", "1")] * 2, (), "each rate once; input standard 0"),
        ([rate("input", "1"), rate("reasoning", "1")], (), "a standard rate of output without"),
        ([rate("input", "1", above=1), rate("output", "1")], (), "a standard rate of input"),
        ([rate("input", "1", "flex"), rate("output", "1")], (), "a standard rate of input"),
    ],
)
def test_a_price_that_could_not_rate_every_request_is_refused(
    rates: list[dict[str, Any]], field: tuple[str | int, ...], rule: str
) -> None:
    with pytest.raises(ValidationError, match=rule) as refused:
        book.NewPrice.model_validate(
            {
                "provider": "openai",
                "model": "m",
                "effective_from": "2026-01-01T00:00:00Z",
                "rates": rates,
            }
        )
    assert refused.value.errors()[0]["loc"] == ("rates", *field)


def test_a_rate_is_a_text_of_at_most_forty_characters() -> None:
    assert book.parse_rate("1".zfill(40)) == 1
    # Decimal() reads digits of every script.
    for text in ("1".zfill(41), "\u0663", "1_000"):
        with pytest.raises(ValueError, match="must hold a decimal"):
            book.parse_rate(text)


def test_prices_are_listed_newest_first_in_pages(database: Database) -> None:
    with database.connect() as db:
        organization = new_organization(db)
        old = add(db)
        new = add(db, rate("input", "3"), at=NOW - DAY)
        own = add(db, organization_id=str(organization))
        other = add(db, model="gpt-4o-mini")
        everything = [other.id, own.id, new.id, old.id]

        def listed(**filters: Any) -> list[UUID]:
            page = book.list_prices(
                db, PLATFORM, book.PriceFilter.model_construct(**filters), 100, None
            )
            assert page.next_cursor is None
            return [price.id for price in page.items]

        assert listed() == everything
        assert listed(model="gpt-4o") == [own.id, new.id, old.id]
        assert listed(at=NOW) == [other.id, own.id, new.id]
        assert listed(model="gpt-4o", at=NOW - 2 * DAY) == [own.id, old.id]
        assert listed(organization_id=organization) == [own.id]
        assert listed(provider="azure") == []
        found: list[UUID] = []
        cursor = None
        while True:
            page = book.list_prices(db, PLATFORM, book.PriceFilter(), 3, cursor)
            found += [price.id for price in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == everything
        with pytest.raises(InvalidRequest, match="must be a cursor of this list"):
            book.list_prices(db, PLATFORM, book.PriceFilter(), 3, "eA")


def test_a_tenant_adds_no_price_and_sees_no_other_tenants(database: Database) -> None:
    with database.connect() as db:
        mine, theirs = new_organization(db), new_organization(db)
        secret = add(db, rate("input", "1"), organization_id=str(theirs))
        everyones = add(db)
        tenant = Caller(tenant=str(mine))
        body = {
            "provider": "openai",
            "model": "gpt-4o",
            "effective_from": "2026-01-01T00:00:00Z",
            "rates": [rate("input", "0"), rate("output", "0")],
        }
        with pytest.raises(Forbidden):
            book.create_price(db, tenant, book.NewPrice.model_validate(body))
        with pytest.raises(book.PriceNotFound):
            book.get_price(db, tenant, secret.id)
        page = book.list_prices(db, tenant, book.PriceFilter(), 10, None)
        assert [price.id for price in page.items] == [everyones.id]
        with pytest.raises(OrganizationNotFound):
            quote(db, theirs, caller=tenant, input=1)
        assert quote(db, mine, caller=tenant, input=10**6).price_id == everyones.id
        # Below the functions, too.
        db.execute("SELECT set_config('billing.tenant', %s, false)", [str(mine)])
        row = db.execute("SELECT count(*) FROM billing.prices").fetchone()
        assert row == (1,)


def test_a_price_of_an_organization_that_there_is_not_is_refused(database: Database) -> None:
    with database.connect() as db, pytest.raises(OrganizationNotFound):
        add(db, organization_id=str(uuid4()))


def test_a_price_is_found_by_its_index_also_under_row_level_security(database: Database) -> None:
    """A condition that may leak a row is applied after the policy, not by the index."""
    body = (Path(book.__file__).parent / "book.sql").read_text()
    [conditions] = re.findall(r"FROM billing.prices\s+WHERE (owner_id.*?LIMIT 1)", body, re.S)
    names = {"p_organization_id": f"'{uuid4()}'::uuid", "p_at": "now()", "p_known_at": "now()"}
    for name, value in {**names, "u.provider": "'openai'", "v_name": "'gpt-4o'"}.items():
        conditions = conditions.replace(name, value)
    with database.connect() as db:
        rows = db.execute(f"EXPLAIN SELECT rates FROM billing.prices WHERE {conditions}".encode())
        plan = "\n".join(line for (line,) in rows)
    assert re.search(r"Index Cond: \(\(owner_id = ANY .*\(recorded_at <= ", plan)
    assert "Sort" not in plan


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM billing.prices",
        "TRUNCATE billing.prices",
        "UPDATE billing.prices SET source = 'x'",
        "UPDATE billing.prices SET rates = rates",
    ],
)
def test_a_stored_price_never_changes(statement: LiteralString, database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        add(db)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(statement)
        with pytest.raises(psycopg.Error, match=r"are never changed|cannot truncate"):
            admin.execute(statement)


@pytest.mark.parametrize(
    "rates",
    [
        [],
        [{"bucket": "input", "usd_per_million": 1}],
        [{"bucket": "input", "usd_per_million": 1}, {"bucket": "output"}],
        [{"bucket": "input", "usd_per_million": 1}, {"bucket": "output", "usd_per_million": -1}],
    ],
)
def test_no_stored_price_takes_nothing_for_a_bucket(
    rates: list[dict[str, Any]], database: Database
) -> None:
    stored = [{"service_tier": "standard", "above_input_tokens": 0, **rate} for rate in rates]
    with database.admin() as admin, pytest.raises(psycopg.errors.CheckViolation):
        admin.execute(
            "INSERT INTO billing.prices (provider, model, effective_from, source, rates)"
            " VALUES ('p', 'm', now(), 'test', billing.rate_table(%s))",
            [Jsonb(stored)],
        )


def _rated(
    db: psycopg.Connection,
    organization_id: UUID | None,
    at: datetime,
    known_at: datetime | None = None,
    **tokens: int,
) -> Decimal | None:
    """What the function of charges and reratings says, for a time and what was known at another."""
    request = {"provider": "openai", "model": "gpt-4o", "usage": tokens, "price_multiplier": 1}
    db.execute("SELECT set_config('billing.tenant', '*', false)")
    row = db.execute(
        "SELECT (billing.price_request(%s, jsonb_populate_record(NULL::billing.usage_request, %s),"
        " %s, coalesce(%s::timestamptz, 'infinity'))).amount_usd",
        [organization_id, Jsonb(request), at, known_at],
    ).fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


# Cells of a price: any bucket, three tiers, three steps.
_cells = st.tuples(
    st.sampled_from(BUCKETS),
    st.sampled_from(["standard", "batch", "flex"]),
    st.sampled_from([0, 100, 200]),
)
_rates = st.dictionaries(_cells, st.decimals(0, 1000, places=10), max_size=12)
_usage = st.dictionaries(st.sampled_from(BUCKETS), st.integers(1, 200), max_size=6)


def _model(
    rates: dict[tuple[str, str, int], Decimal],
    tier: str,
    usage: dict[str, int],
    multiplier: Decimal,
) -> Decimal:
    """The rules of rate.sql, in Python."""
    outputs = {"output", "reasoning", "audio_output", "image_output"}
    size = sum(count for bucket, count in usage.items() if bucket not in outputs)
    total = Decimal(0)
    for bucket, count in usage.items():
        name: str | None = bucket
        found = None
        while found is None and name is not None:
            for step in (200, 100, 0):
                if step and size <= step:
                    continue
                found = next(
                    (rates[name, t, step] for t in (tier, "standard") if (name, t, step) in rates),
                    None,
                )
                if found is not None:
                    break
            name = PARENTS[name]
        assert found is not None
        total += count * found
    return (total * multiplier / 10**6).quantize(Decimal("1e-8"), ROUND_HALF_UP)


@pytest.fixture(scope="module")
def rater(template_database: Database) -> Any:
    """A connection for ratings, which leave nothing."""
    with template_database.admin() as db:
        yield db


@given(
    rates=_rates,
    usage=_usage,
    tier=st.sampled_from(["standard", "batch", "flex", "other"]),
    multiplier=st.decimals(0, 10, places=8),
    roots=st.tuples(*[st.decimals(0, 1000, places=10)] * 2),
)
def test_the_databases_rating_is_that_of_a_model_in_python(
    rater: psycopg.Connection,
    rates: dict[tuple[str, str, int], Decimal],
    usage: dict[str, int],
    tier: str,
    multiplier: Decimal,
    roots: tuple[Decimal, Decimal],
) -> None:
    rates = {("input", "standard", 0): roots[0], ("output", "standard", 0): roots[1], **rates}
    cells = [
        {"bucket": b, "service_tier": t, "above_input_tokens": s, "usd_per_million": str(usd)}
        for (b, t, s), usd in rates.items()
    ]
    with rater.transaction(force_rollback=True):
        [price_id] = rater.execute(
            "INSERT INTO billing.prices (provider, model, effective_from, source, rates)"
            " VALUES ('p', 'm', now(), 'test', billing.rate_table(%s)) RETURNING id",
            [Jsonb(cells)],
        ).fetchone() or [None]
        row = rater.execute(
            "SELECT amount_usd FROM billing.rating(%s, %s, %s, %s)",
            [price_id, tier, Jsonb(usage), multiplier],
        ).fetchone()
    assert row == (_model(rates, tier, usage, multiplier),)
