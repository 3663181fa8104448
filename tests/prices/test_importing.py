"""The import of a price list: the whole of the shipped one, and no model by half."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from local.database import MODEL_PRICES, PRICES_FROM
from synaxis_billing.caller import Caller
from synaxis_billing.errors import Forbidden
from synaxis_billing.prices import book, importing
from tests.conftest import Database
from tests.support.steps import PLATFORM

LIST: dict[str, dict[str, str]] = json.loads(MODEL_PRICES.read_text())
GPT = {
    "litellm_provider": "openai",
    "input_cost_per_token": "2.5e-06",
    "output_cost_per_token": "1e-05",
}


def load(
    db: psycopg.Connection,
    prices: dict[str, Any],
    dry_run: bool = False,
    caller: Caller = PLATFORM,
    at: datetime = PRICES_FROM,
) -> importing.PriceImported:
    request = importing.PriceImport.model_validate(
        {
            "format": "litellm",
            "effective_from": at.isoformat(),
            "prices": prices,
            "dry_run": dry_run,
        }
    )
    return importing.import_prices(db, caller, request)


def counts(imported: importing.PriceImported) -> tuple[int, int, int, int]:
    return imported.added, imported.changed, imported.unchanged, len(imported.refused)


def stored(db: psycopg.Connection, model: str) -> dict[tuple[str, str, int], Decimal]:
    now = book.PriceFilter.model_construct(model=model, at=datetime.now(UTC))
    page = book.list_prices(db, PLATFORM, now, 10, None)
    [price] = page.items
    return {
        (rate.bucket, rate.service_tier, rate.above_input_tokens): rate.usd_per_million
        for rate in price.rates
    }


def test_every_field_of_the_shipped_list_is_stored(database: Database) -> None:
    with database.connect() as db:
        assert counts(load(db, LIST)) == (292, 0, 0, 0)
        rows = db.execute(
            "SELECT set_config('billing.tenant', '*', false); SELECT p.model, r.usd_per_million"
            " FROM billing.prices AS p,"
            " jsonb_populate_recordset(NULL::billing.price_rate, p.rates -> 'rates') AS r"
        )
        rows.nextset()
        found = Counter((model, usd.normalize()) for model, usd in rows.fetchall())
    expected = Counter(
        (model, (Decimal(usd) * 10**6).normalize())
        for model, fields in LIST.items()
        for name, usd in fields.items()
        # The same price under a second name.
        if name not in ("provider", "input_cost_per_token_cache_hit")
    )
    assert found == expected


def test_the_same_list_again_changes_nothing(database: Database) -> None:
    with database.connect() as db:
        load(db, LIST)
        assert counts(load(db, LIST)) == (0, 0, 292, 0)
        assert counts(load(db, LIST, at=PRICES_FROM + timedelta(days=1))) == (0, 0, 292, 0)
        only = book.PriceFilter(model="gpt-4o")
        assert len(book.list_prices(db, PLATFORM, only, 9, None).items) == 1


def test_a_dry_run_shows_what_would_change_and_changes_nothing(database: Database) -> None:
    changed = {**GPT, "input_cost_per_token": "3e-06", "cache_read_input_token_cost": "1e-06"}
    del changed["output_cost_per_token"]
    changed["output_cost_per_token"] = "0.00001"
    with database.connect() as db:
        load(db, {"gpt-4o": GPT, "other": GPT})
        prices = {"gpt-4o": changed, "other": GPT, "new": GPT, "bad": {}}
        for dry_run in (True, True, False):
            told = load(db, prices, dry_run)
            assert counts(told) == (1, 1, 1, 1)
            [change] = told.changes
            assert (change.provider, change.model) == ("openai", "gpt-4o")
            assert [
                (rate.bucket, rate.before_usd_per_million, rate.usd_per_million)
                for rate in change.rates
            ] == [
                ("cache_read", None, Decimal("1")),
                ("input", Decimal("2.5"), Decimal("3")),
            ]
        assert counts(load(db, prices)) == (0, 0, 3, 1)
        assert stored(db, "gpt-4o")["input", "standard", 0] == 3


def test_a_field_is_a_bucket_a_lifetime_a_step_and_a_tier(database: Database) -> None:
    name = "cache_creation_input_token_cost_above_12hr_above_272k_tokens_priority"
    fields = {
        **GPT,
        name: "4e-05",
        "cache_read_input_audio_token_cost_flex": "1e-07",
        "output_cost_per_token_above_128k_tokens": "2e-05",
        "input_cost_per_token_batches": "1.25e-06",
    }
    with database.connect() as db:
        load(db, {"m": fields})
        assert stored(db, "m") == {
            ("input", "standard", 0): Decimal("2.5"),
            ("output", "standard", 0): Decimal(10),
            ("cache_write_12h", "priority", 272_000): Decimal(40),
            ("audio_cache_read", "flex", 0): Decimal("0.1"),
            ("output", "standard", 128_000): Decimal(20),
            ("input", "batch", 0): Decimal("1.25"),
        }


def test_what_is_no_price_is_no_reason_to_refuse(database: Database) -> None:
    facts = {
        "max_tokens": 16384,
        "max_input_tokens": 128000,
        "mode": "chat",
        "supports_vision": True,
        "supported_endpoints": ["/v1/chat/completions"],
        "source": "https://example.com",
        "deprecation_date": "2027-01-01",
        "cache_read_input_token_cost": None,
    }
    with database.connect() as db:
        assert counts(load(db, {"m": {**GPT, **facts}})) == (1, 0, 0, 0)
        assert len(stored(db, "m")) == 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"input_cost_per_image": "0.01"}, "input_cost_per_image is not a price per token"),
        ({"input_cost_per_second": "0.01"}, "input_cost_per_second is not a price per token"),
        ({"tiered_pricing": []}, "tiered_pricing is not a price per token that is understood"),
        ({"search_context_cost_per_query": {}}, "search_context_cost_per_query is not"),
        ({"input_cost_per_token_turbo": "1"}, "input_cost_per_token_turbo is not"),
        ({"input_cost_per_token_above_200k": "1"}, "input_cost_per_token_above_200k is not"),
        ({"input_cost_per_token_flex_above_200k_tokens": "1"}, "is not a price per token"),
        ({"input_cost_per_token_flex": 2.5e-06}, "input_cost_per_token_flex must be a string"),
        ({"input_cost_per_token_flex": "-1e-06"}, "input_cost_per_token_flex must be"),
        ({"input_cost_per_token_flex": "1e-20"}, "must have at most 10 decimals"),
        ({"input_cost_per_token": None}, "a standard rate of input without a step"),
        ({"litellm_provider": None}, "provider "),
        (
            {"cache_read_input_token_cost": "1e-6", "input_cost_per_token_cache_hit": "2e-6"},
            "contradicts another field of the same price",
        ),
    ],
)
def test_a_model_with_a_field_that_is_not_understood_is_refused_whole(
    fields: dict[str, Any], reason: str, database: Database
) -> None:
    with database.connect() as db:
        told = load(db, {"good": GPT, "bad": {**GPT, **fields}})
        assert counts(told) == (1, 0, 0, 1)
        [refused] = told.refused
        assert refused.model == "bad"
        assert reason in refused.reason
        assert book.list_prices(db, PLATFORM, book.PriceFilter(model="bad"), 1, None).items == []


def test_the_answer_does_not_grow_with_the_names_in_the_list(database: Database) -> None:
    with database.connect() as db:
        told = load(db, {"m" * 300: {**GPT, "x" * 600 + "_cost": "1"}})
    [refused] = told.refused
    assert (len(refused.model), len(refused.reason)) == (255, 500)


def test_a_price_list_of_today_leaves_yesterdays_prices(database: Database) -> None:
    with database.connect() as db:
        load(db, {"m": GPT})
        later = load(db, {"m": {**GPT, "input_cost_per_token": "9e-06"}}, at=datetime.now(UTC))
        assert counts(later) == (0, 1, 0, 0)
        # What was in force before still was.
        before = datetime.now(UTC) - timedelta(days=1)
        yesterday = book.PriceFilter.model_construct(model="m", at=before)
        page = book.list_prices(db, PLATFORM, yesterday, 9, None)
        assert {rate.usd_per_million for rate in page.items[0].rates} == {Decimal("2.5"), 10}


def test_only_the_platform_imports(database: Database) -> None:
    with database.connect() as db, pytest.raises(Forbidden):
        load(db, {"m": GPT}, caller=Caller(tenant="0190b8a2-7c11-7d3e-9a51-3f2b6c8d9e01"))
