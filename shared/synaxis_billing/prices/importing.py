"""Import of LiteLLM's price map, by its exact field names and suffixes.

A field is a rate's cell: `cache_read_input_token_cost_above_200k_tokens_batches` is the rate of
`cache_read` in the tier `batch` for requests of more than 200,000 input tokens. A model with a
field that is not understood, or with a price that is not one of tokens, is refused whole, by name.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field, ValidationError

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, Instant, Money, Name, Request
from synaxis_billing.paging import LARGEST_PAGE_BYTES, fitting
from synaxis_billing.prices.book import NewPrice, parse_rate

LARGEST_LIST = 10_000

# The bucket of each price per token.
_BUCKETS = {
    "input_cost_per_token": "input",
    "input_cost_per_token_cache_hit": "cache_read",
    "cache_read_input_token_cost": "cache_read",
    "cache_read_input_audio_token_cost": "audio_cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "cache_creation_input_token_cost_above_12hr": "cache_write_12h",
    "input_cost_per_audio_token": "audio_input",
    "input_cost_per_image_token": "image_input",
    "citation_cost_per_token": "citation",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "output_cost_per_audio_token": "audio_output",
    "output_cost_per_image_token": "image_output",
}
# A price of video is that of text in no list, and has no bucket of its own here.
_TIERS = {
    "": "standard",
    "_batches": "batch",
    "_flex": "flex",
    "_priority": "priority",
    "_ultrafast": "ultrafast",
    "_decisions": "decisions",
}
_FIELD = re.compile(
    rf"({'|'.join(sorted(_BUCKETS, key=len, reverse=True))})"
    rf"(?:_above_([0-9]{{1,6}})k_tokens)?({'|'.join(filter(None, _TIERS))}|)"
)
# What a model is or can do, which has no price.
_FACTS = re.compile(
    r"supports_\w+|supported_\w+|(?:max|default_max)_\w+|litellm_provider|provider|mode|source|metadata"
    r"|comment|deprecation_date|rpm|tpm|rpd|output_vector_size|tool_use_system_prompt_tokens"
)


class PriceImport(Request):
    """A price list of everyone, in force from an instant on."""

    format: Literal["litellm"]
    """Format of the list: LiteLLM's price map."""
    effective_from: Instant
    """Time from which the prices apply."""
    prices: Annotated[
        dict[str, Any],
        Field(
            max_length=LARGEST_LIST,
            examples=[
                {
                    "gpt-4o": {
                        "litellm_provider": "openai",
                        "input_cost_per_token": "2.5e-06",
                        "output_cost_per_token": "1e-05",
                    }
                }
            ],
        ),
    ]
    """The map: a model's name to its fields, prices as strings."""
    dry_run: Annotated[bool, Field(strict=True)] = False
    """Whether to answer the changes without making them."""
    source: Name = "litellm"
    """Where the list was taken from."""


class RefusedModel(Answer):
    model: str
    """Name of the model in the list."""
    reason: str
    """Why it was refused: the field that is not understood, and the rule."""


class RateChange(Answer):
    bucket: str
    """Kind of the tokens."""
    service_tier: str
    """Service tier at the provider."""
    above_input_tokens: int
    """The rate applies to calls of more input tokens than this."""
    before_usd_per_million: Money | None
    """Rate before, in US dollars per million tokens; null for a new rate."""
    usd_per_million: Money | None
    """Rate now, in US dollars per million tokens; null for a rate that is gone."""


class PriceChange(Answer):
    provider: str
    """Name of the model's provider, such as openai."""
    model: str
    """Name of the model at the provider, such as gpt-4o."""
    rates: list[RateChange]
    """The rates that differ."""


class PriceImported(Answer):
    """How many models were added, changed and left as they were, and which were refused."""

    added: int
    """Number of models that had no price."""
    changed: int
    """Number of models whose price differs."""
    unchanged: int
    """Number of models whose price is the same."""
    refused: list[RefusedModel]
    """The models that were not imported: the first of them, if they are very many."""
    changes: list[PriceChange]
    """The rates that changed: the first of them, if they are very many."""


class _RefusedModelError(Exception):
    """Why a model is refused, in words."""


class _Cell(NamedTuple):
    bucket: str
    service_tier: str
    above_input_tokens: int


def import_prices(db: psycopg.Connection, caller: Caller, request: PriceImport) -> PriceImported:
    """Add the prices of a list that differ from those in force; the same list again adds none.

    Raises Forbidden (not the platform's token).
    """
    accepted, refused = [], []
    for model, fields in request.prices.items():
        try:
            price = _price(model, fields, request)
        except _RefusedModelError as error:
            refused.append(RefusedModel(model=model[:255], reason=str(error)[:500]))
            continue
        accepted.append(
            price.model_dump(mode="json", include={"provider", "model", "rates"}),
        )
    outcome = procedures.call(
        db,
        "import_prices",
        tenant=caller.tenant,
        prices=Jsonb(accepted),
        effective_from=request.effective_from,
        source=request.source,
        dry_run=request.dry_run,
    )
    imported = procedures.accepted(outcome)[0]
    changes = [PriceChange.model_validate(change) for change in imported["changes"]]
    return PriceImported.model_validate(
        {
            **imported,
            "refused": refused[: fitting(refused, LARGEST_PAGE_BYTES // 2)],
            "changes": changes[: fitting(changes, LARGEST_PAGE_BYTES // 2)],
        }
    )


def _price(model: str, fields: Any, request: PriceImport) -> NewPrice:
    """Return the price of one model of the list. Raises _RefusedModelError."""
    if not isinstance(fields, Mapping):
        raise _RefusedModelError("must be a JSON object")
    try:
        return NewPrice.model_validate(
            {
                "provider": fields.get("litellm_provider") or fields.get("provider"),
                "model": model,
                "effective_from": request.effective_from.isoformat(),
                "rates": [
                    {**cell._asdict(), "usd_per_million": f"{rate:f}"}
                    for cell, rate in _rates(fields).items()
                ],
                "source": request.source,
            }
        )
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False, include_input=False, include_context=False)
        place = ".".join(str(name) for name in first["loc"])
        raise _RefusedModelError(f"{place} {first['msg'].removeprefix('Value error, ')}") from error


def _rates(fields: Mapping[str, Any]) -> dict[_Cell, Decimal]:
    rates: dict[_Cell, Decimal] = {}
    for name, value in fields.items():
        found = _FIELD.fullmatch(name)
        if found is None:
            if not _FACTS.fullmatch(name):
                raise _RefusedModelError(f"{name} is not a price per token that is understood")
            continue
        # LiteLLM writes null for a price that there is not.
        if value is None:
            continue
        try:
            # Per token in the list, per million tokens in the book.
            rate = parse_rate(value, exponent=6)
        except ValueError as error:
            raise _RefusedModelError(f"{name} {error}") from error
        cell = _Cell(_BUCKETS[found[1]], _TIERS[found[3]], int(found[2] or 0) * 1000)
        if rates.setdefault(cell, rate) != rate:
            raise _RefusedModelError(f"{name} contradicts another field of the same price")
    return rates
