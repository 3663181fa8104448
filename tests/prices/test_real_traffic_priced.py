"""Real traffic by real prices: every amount is that of an independent computation."""

import csv
import functools
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from local.database import MODEL_PRICES, PRICES_FROM
from synaxis_billing.prices import importing
from tests.conftest import Database
from tests.support.independent_prices import NAMES, TIERS, costs, steps
from tests.support.steps import PLATFORM

LIST: dict[str, dict[str, str]] = json.loads(MODEL_PRICES.read_text())
TRACE = Path(__file__).parents[1] / "data" / "llm_requests.csv"
_TIER_NAMES = {"": "standard", "_batches": "batch"}
# One statement rates all the requests of a model in a tier.
_RATE = """
    SELECT (billing.price_request(NULL, jsonb_populate_record(NULL::billing.usage_request,
        jsonb_build_object('provider', %(provider)s::text, 'model', %(model)s::text,
            'service_tier', %(tier)s::text, 'usage', usage)), billing.now())).amount_usd
    FROM jsonb_array_elements(%(usages)s::jsonb) WITH ORDINALITY AS u (usage, position)
    ORDER BY position
"""
# The same, but the price is looked for once.
_RATE_ALL = """
    WITH p AS MATERIALIZED (
        SELECT rates FROM billing.prices WHERE provider = %(provider)s AND model = %(model)s
    )
    SELECT billing.rated_usd(r.exact_usd, 1)
    FROM p CROSS JOIN jsonb_array_elements(%(usages)s::jsonb) WITH ORDINALITY AS u (usage, position)
    CROSS JOIN LATERAL billing.rate_usage(
        p.rates -> 'rates', billing.rate_column(p.rates, %(tier)s, usage), usage) AS r
    ORDER BY position
"""
WHOLE = os.environ.get("PRICED") == "all"
# Parts of the test, for as many cores.
PARTS = 8


@pytest.fixture(scope="module")
def trace() -> list[tuple[int, int]]:
    with TRACE.open() as file:
        rows = [
            (int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)
        ]
    assert len(rows) == 19_366
    return rows


@pytest.fixture
def book(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as db:
        request = importing.PriceImport.model_validate(
            {"format": "litellm", "effective_from": PRICES_FROM.isoformat(), "prices": LIST}
        )
        assert importing.import_prices(db, PLATFORM, request).refused == []
        db.execute("SELECT set_config('billing.tenant', '*', false)")
        yield db


def rated(
    db: psycopg.Connection, model: str, tier: str, usages: str, rate: LiteralString = _RATE
) -> list[Decimal]:
    """What the product takes for usages, a JSON array."""
    service_tier = _TIER_NAMES.get(tier, tier.removeprefix("_"))
    given = {"provider": LIST[model]["provider"], "model": model, "tier": service_tier}
    rows = db.execute(rate, {**given, "usages": usages})
    return [amount for (amount,) in rows.fetchall()]


def tiers(fields: dict[str, str]) -> list[str]:
    return ["", *(tier for tier in TIERS[1:] if any(name.endswith(tier) for name in fields))]


def combinations() -> list[tuple[str, str, int, str]]:
    """Every model in each of its tiers, in the context of each of its steps, with each cache."""
    return [
        (model, tier, step, cache)
        for model, fields in LIST.items()
        for tier in tiers(fields)
        for step in (0, *steps(fields))
        for cache in CACHES
    ]


# How a prompt of the trace, which says nothing of caches, is split.
CACHES: dict[str, Callable[[int], dict[str, int]]] = {
    "none": lambda _: {},
    "read": lambda prompt: {"cache_read": prompt // 2},
    "written": lambda prompt: {"cache_write": prompt // 4, "cache_write_1h": prompt // 8},
}


def usage(prompt: int, generated: int, step: int, cache: str) -> dict[str, int]:
    parts = CACHES[cache](prompt)
    # The longest prompt of the trace is shorter than any step: they follow an earlier conversation.
    fresh = prompt + step * 1000 - sum(parts.values())
    return {"input": fresh, "output": generated, **parts}


@pytest.mark.parametrize("part", range(PARTS))
def test_the_real_trace_costs_the_same_as_an_independent_computation(
    book: psycopg.Connection, trace: list[tuple[int, int]], part: int
) -> None:
    """Each request of the trace, with one model, tier, step and cache after the other.

    With PRICED=all, each request with all of them: 37 million amounts, of which equal requests
    have one.
    """
    mixes = combinations()
    total, expected_total, priced = Decimal(0), Decimal(0), 0
    # A trace is written as JSON once for each step and cache.
    whole = functools.cache(lambda step, cache: of_requests(trace, step, cache))
    for position, (model, tier, step, cache) in enumerate(mixes):
        if position % PARTS != part:
            continue
        if WHOLE:
            counts, usages, text = whole(step, cache)
        else:
            counts, usages, text = of_requests(trace[position :: len(mixes)], step, cache)
        amounts = rated(book, model, tier, text, _RATE_ALL if WHOLE else _RATE)
        expected = costs(LIST[model], tier, usages)
        assert amounts == expected, (model, tier, step, cache)
        priced += counts.total()
        total += sum_of(book, amounts, [*counts.values()])
        expected_total += sum(
            of * count for of, count in zip(expected, counts.values(), strict=True)
        )
    assert len(mixes) > 1500
    assert total == expected_total > 0
    assert priced == len(trace) * len(mixes[part::PARTS]) if WHOLE else priced > 2000


def of_requests(
    requests: list[tuple[int, int]], step: int, cache: str
) -> tuple[Counter[tuple[int, int]], list[dict[str, int]], str]:
    """How often each different request comes, and their usages, also as JSON: equal requests cost
    the same."""
    counts = Counter(requests)
    usages = [usage(*request, step, cache) for request in counts]
    return counts, usages, json.dumps(usages)


def sum_of(db: psycopg.Connection, amounts: list[Decimal], counts: list[int]) -> Decimal:
    """The sum as the database computes those of reports."""
    row = db.execute(
        "SELECT coalesce(sum(amount::numeric(18, 8) * count), 0)"
        " FROM unnest(%s::numeric[], %s::int[]) AS of (amount, count)",
        [amounts, counts],
    ).fetchone()
    assert row
    return Decimal(row[0])


def test_every_bucket_step_and_tier_of_every_model_costs_the_same(
    book: psycopg.Connection,
) -> None:
    """Each model in each of its tiers: below, on and above each of its steps, by every bucket."""
    chance = random.Random(17)
    for model, fields in LIST.items():
        sizes = [1, 1000]
        for step in steps(fields):
            sizes += [step * 1000, step * 1000 + 1, step * 3000]
        usages: list[dict[str, int]] = [{}]
        for size in sizes:
            usages += [{bucket: size} for bucket in NAMES]
            mixed = {bucket: chance.randint(1, size) for bucket in NAMES}
            # The input is exactly of the size, whatever it is made of.
            mixed["input"] = size
            for bucket in ("cache_read", "cache_write", "cache_write_1h", "audio_input"):
                mixed[bucket] = chance.randint(1, 1 + size // 8)
                mixed["input"] -= mixed[bucket]
            for bucket in ("cache_write_12h", "audio_cache_read", "image_input", "citation"):
                del mixed[bucket]
            if mixed["input"] > 0:
                usages.append(mixed)
        for tier in (*tiers(fields), "_unknown"):
            expected = costs(fields, tier, usages)
            assert rated(book, model, tier, json.dumps(usages)) == expected, (model, tier)
