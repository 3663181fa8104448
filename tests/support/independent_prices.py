"""What usage costs by LiteLLM's price map, computed from the map's own names, in Decimal.

It shares no code with the product, so that a rule which one of them gets wrong differs.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal, localcontext

TIERS = ("", "_batches", "_flex", "_priority", "_ultrafast", "_decisions")

# The names of the map that price each kind of token, the kind's own first.
INPUT = ("input_cost_per_token",)
OUTPUT = ("output_cost_per_token",)
CACHED = ("cache_read_input_token_cost", "input_cost_per_token_cache_hit", *INPUT)
NAMES = {
    "input": INPUT,
    "cache_read": CACHED,
    "cache_write": ("cache_creation_input_token_cost", *INPUT),
    "cache_write_1h": ("cache_creation_input_token_cost_above_1hr", *INPUT),
    "cache_write_12h": ("cache_creation_input_token_cost_above_12hr", *INPUT),
    "audio_input": ("input_cost_per_audio_token", *INPUT),
    "audio_cache_read": ("cache_read_input_audio_token_cost", *CACHED),
    "image_input": ("input_cost_per_image_token", *INPUT),
    "citation": ("citation_cost_per_token", *INPUT),
    "output": OUTPUT,
    "reasoning": ("output_cost_per_reasoning_token", *OUTPUT),
    "audio_output": ("output_cost_per_audio_token", *OUTPUT),
    "image_output": ("output_cost_per_image_token", *OUTPUT),
}
PRODUCED = {"output", "reasoning", "audio_output", "image_output"}


def steps(fields: Mapping[str, str]) -> list[int]:
    """The context steps of a model, in thousands of tokens, highest first."""
    found = {int(step) for name in fields for step in re.findall(r"_above_(\d+)k_tokens", name)}
    return sorted(found, reverse=True)


def per_token(fields: Mapping[str, str], bucket: str, tier: str, size: int) -> Decimal:
    """The price of one token, where a request's input is of `size` tokens."""
    reached = [f"_above_{step}k_tokens" for step in steps(fields) if size > step * 1000]
    for name in NAMES[bucket]:
        for step in (*reached, ""):
            for suffix in (tier, ""):
                if f"{name}{step}{suffix}" in fields:
                    return Decimal(fields[f"{name}{step}{suffix}"])
    raise LookupError(bucket)


def costs(
    fields: Mapping[str, str], tier: str, usages: Iterable[Mapping[str, int]]
) -> list[Decimal]:
    """The costs of requests, each rounded half-up to eight decimals."""
    limits = [step * 1000 for step in steps(fields)]
    unit, found = Decimal("0.00000001"), []
    # By how many steps a request's input exceeds.
    known: list[dict[str, Decimal]] = [{} for _ in (*limits, 0)]
    with localcontext(prec=60):
        for usage in usages:
            size = sum(count for bucket, count in usage.items() if bucket not in PRODUCED)
            prices = known[sum(size > limit for limit in limits)]
            exact = Decimal(0)
            for bucket, count in usage.items():
                if bucket not in prices:
                    prices[bucket] = per_token(fields, bucket, tier, size)
                exact += count * prices[bucket]
            found.append(exact.quantize(unit, ROUND_HALF_UP))
    return found
