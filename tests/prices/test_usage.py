"""A provider's usage object, unchanged, becomes disjoint buckets: no token is counted twice."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from synaxis_billing.prices.usage import (
    BUCKETS,
    LARGEST_COUNT,
    InvalidUsage,
    TokenUsage,
    read_usage,
)

# Objects as the providers' references and SDKs show them, and the buckets that each is.
OPENAI: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    (
        "chat completion",
        {
            "prompt_tokens": 19,
            "completion_tokens": 10,
            "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        {"input": 19, "output": 10},
    ),
    (
        "cached prompt and reasoning",
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920},
            "completion_tokens_details": {"reasoning_tokens": 256},
        },
        {"input": 86, "cache_read": 1920, "output": 44, "reasoning": 256},
    ),
    (
        "audio both ways",
        {
            "prompt_tokens": 120,
            "completion_tokens": 90,
            "prompt_tokens_details": {"cached_tokens": 20, "audio_tokens": 70},
            "completion_tokens_details": {"audio_tokens": 60, "text_tokens": 30},
        },
        {"input": 30, "cache_read": 20, "audio_input": 70, "output": 30, "audio_output": 60},
    ),
    (
        "last chunk of a stream, details null",
        {
            "prompt_tokens": 8,
            "completion_tokens": 9,
            "total_tokens": 17,
            "prompt_tokens_details": None,
            "completion_tokens_details": None,
        },
        {"input": 8, "output": 9},
    ),
    (
        "embedding: no completion",
        {"prompt_tokens": 8, "total_tokens": 8},
        {"input": 8},
    ),
    (
        "responses",
        {
            "input_tokens": 328,
            "input_tokens_details": {"cached_tokens": 128},
            "output_tokens": 52,
            "output_tokens_details": {"reasoning_tokens": 32},
            "total_tokens": 380,
        },
        {"input": 200, "cache_read": 128, "output": 20, "reasoning": 32},
    ),
    (
        "realtime: audio that was cached is counted once",
        {
            "total_tokens": 275,
            "input_tokens": 127,
            "output_tokens": 148,
            "input_token_details": {
                "cached_tokens": 64,
                "text_tokens": 27,
                "audio_tokens": 100,
                "cached_tokens_details": {"text_tokens": 14, "audio_tokens": 50},
            },
            "output_token_details": {"text_tokens": 36, "audio_tokens": 112},
        },
        {
            "input": 13,
            "cache_read": 14,
            "audio_input": 50,
            "audio_cache_read": 50,
            "output": 36,
            "audio_output": 112,
        },
    ),
    (
        "image generation",
        {
            "input_tokens": 50,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
            "output_tokens": 4160,
            "output_tokens_details": {"image_tokens": 4160},
        },
        {"input": 10, "image_input": 40, "image_output": 4160},
    ),
    (
        "deepseek: hits beside the details",
        {
            "prompt_tokens": 100,
            "completion_tokens": 5,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
        },
        {"input": 36, "cache_read": 64, "output": 5},
    ),
    (
        "perplexity: citations and prices of its own",
        {
            "prompt_tokens": 33,
            "completion_tokens": 7163,
            "citation_tokens": 20016,
            "num_search_queries": 18,
            "search_context_size": "low",
            "cost": {"total_cost": 0.4},
        },
        {"input": 33, "citation": 20016, "output": 7163},
    ),
    (
        "openrouter: cache writes in the prompt",
        {
            "prompt_tokens": 10339,
            "completion_tokens": 60,
            "prompt_tokens_details": {"cached_tokens": 10318, "cache_write_tokens": 21},
            "cost": 0.0012,
        },
        {"cache_read": 10318, "cache_write": 21, "output": 60},
    ),
    ("zero tokens", {"prompt_tokens": 0, "completion_tokens": 0}, {}),
    (
        "more than 2^31",
        {"prompt_tokens": 3_000_000_000, "completion_tokens": 1},
        {"input": 3_000_000_000, "output": 1},
    ),
]
ANTHROPIC: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    (
        "message",
        {
            "input_tokens": 2095,
            "cache_creation_input_tokens": 2051,
            "cache_read_input_tokens": 2051,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 1051,
                "ephemeral_1h_input_tokens": 1000,
            },
            "output_tokens": 503,
            "server_tool_use": {"web_search_requests": 2},
            "service_tier": "standard",
            "inference_geo": "us",
        },
        {
            "input": 2095,
            "cache_read": 2051,
            "cache_write": 1051,
            "cache_write_1h": 1000,
            "output": 503,
        },
    ),
    (
        "last message_delta of a stream",
        {
            "input_tokens": 10682,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 510,
            "server_tool_use": {"web_search_requests": 1},
        },
        {"input": 10682, "output": 510},
    ),
    (
        "cache write without lifetimes is the short one",
        {"input_tokens": 3, "cache_creation_input_tokens": 9, "output_tokens": 1},
        {"input": 3, "cache_write": 9, "output": 1},
    ),
    (
        "lifetimes without the total",
        {
            "input_tokens": 3,
            "cache_creation": {"ephemeral_1h_input_tokens": 7},
            "output_tokens": 1,
        },
        {"input": 3, "cache_write_1h": 7, "output": 1},
    ),
    (
        "nulls, as the SDK writes them",
        {
            "input_tokens": 25,
            "cache_creation": None,
            "cache_creation_input_tokens": None,
            "cache_read_input_tokens": None,
            "output_tokens": 0,
        },
        {"input": 25},
    ),
    ("all from the cache", {"input_tokens": 0, "cache_read_input_tokens": 9}, {"cache_read": 9}),
]
GEMINI: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    (
        "thoughts are beside the candidates",
        {
            "promptTokenCount": 12,
            "candidatesTokenCount": 300,
            "thoughtsTokenCount": 700,
            "totalTokenCount": 1012,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 12}],
        },
        {"input": 12, "output": 300, "reasoning": 700},
    ),
    (
        "cached content is in the prompt",
        {
            "promptTokenCount": 696219,
            "cachedContentTokenCount": 696190,
            "candidatesTokenCount": 214,
            "totalTokenCount": 696433,
            "trafficType": "ON_DEMAND",
        },
        {"input": 29, "cache_read": 696190, "output": 214},
    ),
    (
        "cached audio is counted once",
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 600,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 100},
                {"modality": "AUDIO", "tokenCount": 800},
                {"modality": "IMAGE", "tokenCount": 100},
            ],
            "cacheTokensDetails": [
                {"modality": "TEXT", "tokenCount": 100},
                {"modality": "AUDIO", "tokenCount": 500},
            ],
            "candidatesTokenCount": 30,
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 25}],
        },
        {
            "cache_read": 100,
            "audio_input": 300,
            "audio_cache_read": 500,
            "image_input": 100,
            "output": 5,
            "audio_output": 25,
        },
    ),
    (
        "first chunk of a stream: no candidates yet",
        {"promptTokenCount": 6, "totalTokenCount": 6},
        {"input": 6},
    ),
    (
        "prompts of tools are beside the prompt",
        {"promptTokenCount": 10, "toolUsePromptTokenCount": 40, "candidatesTokenCount": 5},
        {"input": 50, "output": 5},
    ),
]
OTEL: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    (
        "span",
        {
            "gen_ai.usage.input_tokens": 100,
            "gen_ai.usage.output_tokens": 180,
            "gen_ai.usage.cache_read.input_tokens": 50,
            "gen_ai.usage.cache_creation.input_tokens": 25,
            "gen_ai.usage.reasoning.output_tokens": 128,
            "gen_ai.request.model": "gpt-5",
        },
        {"input": 25, "cache_read": 50, "cache_write": 25, "output": 52, "reasoning": 128},
    ),
    (
        "the newer name of cache writes",
        {"gen_ai.usage.input_tokens": 9, "gen_ai.usage.cache_write.input_tokens": 4},
        {"input": 5, "cache_write": 4},
    ),
    (
        "both names of cache writes, of which one counts",
        {
            "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.cache_creation.input_tokens": 4,
            "gen_ai.usage.cache_write.input_tokens": 5,
        },
        {"input": 5, "cache_write": 4},
    ),
    (
        "totals alone",
        {"gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 0},
        {"input": 7},
    ),
]
BUCKETED: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    ("every bucket", dict.fromkeys(BUCKETS, 2), dict.fromkeys(BUCKETS, 2)),
    ("nothing", {}, {}),
    ("zeros and nulls", {"input": 0, "output": None}, {}),
]
TABLES = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "otel": OTEL,
    "buckets": BUCKETED,
}
CASES = [
    pytest.param({"format": name, **usage}, buckets, id=f"{name}: {case}")
    for name, table in TABLES.items()
    for case, usage, buckets in table
]


@pytest.mark.parametrize(("usage", "buckets"), CASES)
def test_a_usage_object_becomes_its_buckets(usage: dict[str, Any], buckets: dict[str, int]) -> None:
    assert read_usage(usage) == buckets
    # As a field of a request, too.
    assert TypeAdapter(TokenUsage).validate_python(usage) == buckets


@pytest.mark.parametrize(("usage", "buckets"), CASES[: -len(BUCKETED)])
def test_a_field_that_is_not_known_changes_nothing(
    usage: dict[str, Any], buckets: dict[str, int]
) -> None:
    extra = {"queue_time": 0.02, "server_tool_use": None, "note": "x", "nested": {"tokens": -1}}
    assert read_usage({**extra, **usage}) == buckets


def test_the_same_call_has_the_same_buckets_in_every_format() -> None:
    """100 fresh input tokens, 900 from the cache, 50 of output: the mix-up costs 10 times."""
    expected = {"input": 100, "cache_read": 900, "output": 50}
    assert expected == read_usage(
        {
            "format": "openai",
            "prompt_tokens": 1000,
            "prompt_tokens_details": {"cached_tokens": 900},
            "completion_tokens": 50,
        }
    )
    assert expected == read_usage(
        {
            "format": "anthropic",
            "input_tokens": 100,
            "cache_read_input_tokens": 900,
            "output_tokens": 50,
        }
    )
    assert expected == read_usage(
        {
            "format": "gemini",
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 900,
            "candidatesTokenCount": 50,
        }
    )


def _openai(**fields: Any) -> dict[str, Any]:
    return {"format": "openai", "prompt_tokens": 10, **fields}


@pytest.mark.parametrize(
    ("usage", "path", "rule"),
    [
        ({"prompt_tokens": 1}, ("format",), "is required"),
        ({"format": "cohere"}, ("format",), "must be one of buckets, openai, anthropic"),
        ({"format": ["openai"]}, ("format",), "must be one of"),
        ({"format": "openai"}, ("input_tokens",), "is required"),
        (_openai(prompt_tokens=None), ("prompt_tokens",), "is required"),
        # The message_delta of an older stream has the output alone.
        ({"format": "anthropic", "output_tokens": 3}, ("input_tokens",), "is required"),
        ({"format": "gemini"}, ("promptTokenCount",), "is required"),
        ({"format": "otel"}, ("gen_ai.usage.input_tokens",), "is required"),
        ({"format": "buckets", "inputs": 1}, ("inputs",), "is not a bucket; use input"),
        ({"format": "buckets", "input": -1}, ("input",), "must be from 0 to"),
        ({"format": "buckets", "input": LARGEST_COUNT + 1}, ("input",), "must be from 0 to"),
        ({"format": "buckets", "input": 1.0}, ("input",), "must be a whole number"),
        ({"format": "buckets", "input": "1"}, ("input",), "must be a whole number"),
        ({"format": "buckets", "input": True}, ("input",), "must be a whole number"),
        (
            _openai(prompt_tokens_details={"cached_tokens": 11}),
            ("prompt_tokens",),
            "must be at least the sum of its parts, which is 11",
        ),
        (
            _openai(prompt_tokens_details={"cached_tokens": 6, "audio_tokens": 6}),
            ("prompt_tokens",),
            "which is 12",
        ),
        (
            _openai(completion_tokens=9, completion_tokens_details={"reasoning_tokens": 10}),
            ("completion_tokens",),
            "which is 10",
        ),
        (
            _openai(prompt_tokens_details=[1]),
            ("prompt_tokens_details",),
            "must be a JSON object",
        ),
        (
            {
                "format": "anthropic",
                "input_tokens": 1,
                "cache_creation_input_tokens": 5,
                "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 3},
            },
            ("cache_creation_input_tokens",),
            "which is 6",
        ),
        (
            {"format": "gemini", "promptTokenCount": 5, "cachedContentTokenCount": 6},
            ("promptTokenCount",),
            "which is 6",
        ),
        (
            {
                "format": "gemini",
                "promptTokenCount": 5,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": "5"}],
            },
            ("promptTokensDetails", 0, "tokenCount"),
            "must be a whole number",
        ),
        (
            {"format": "gemini", "promptTokenCount": 5, "promptTokensDetails": ["AUDIO"]},
            ("promptTokensDetails", 0),
            "must be a JSON object",
        ),
        (
            {
                "format": "otel",
                "gen_ai.usage.input_tokens": 5,
                "gen_ai.usage.cache_read.input_tokens": 3,
                "gen_ai.usage.cache_creation.input_tokens": 3,
            },
            ("gen_ai.usage.input_tokens",),
            "which is 6",
        ),
    ],
)
def test_a_usage_object_that_breaks_a_rule_is_refused_by_its_place(
    usage: dict[str, Any], path: tuple[str | int, ...], rule: str
) -> None:
    with pytest.raises(InvalidUsage, match=rule) as refused:
        read_usage(usage)
    assert refused.value.path == path
    with pytest.raises(ValidationError) as invalid:
        TypeAdapter(TokenUsage).validate_python(usage)
    [error] = invalid.value.errors()
    assert (error["loc"], error["msg"]) == (path, str(refused.value))


_counts = st.integers(0, 10**6)


@given(_counts, _counts, _counts, _counts, _counts, _counts)
def test_no_token_is_lost_or_counted_twice(
    cached: int, audio: int, text: int, reasoning: int, spoken: int, written: int
) -> None:
    buckets = read_usage(
        {
            "format": "openai",
            "prompt_tokens": cached + audio + text,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": audio},
            "completion_tokens": reasoning + spoken + written,
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": spoken},
        }
    )
    assert sum(buckets.values()) == cached + audio + text + reasoning + spoken + written
