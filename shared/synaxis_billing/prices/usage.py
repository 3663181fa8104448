"""Usage: tokens by bucket, read from a provider's own usage object.

Buckets are disjoint, so that each token has one rate. Providers count differently: some include the
tokens read from the cache in the input, others list them beside it. The caller therefore names the
format and sends the object unchanged. Each format is a pure function.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from synaxis_billing.errors import Unprocessable

# Each bucket, and the one whose rate applies where a price has none of its own.
PARENTS = {
    "input": None,
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "input",
    "cache_write_12h": "input",
    "audio_input": "input",
    "audio_cache_read": "cache_read",
    "image_input": "input",
    "citation": "input",
    "output": None,
    "reasoning": "output",
    "audio_output": "output",
    "image_output": "output",
}
BUCKETS = tuple(PARENTS)
LARGEST_COUNT = 10**12
STANDARD = "standard"
# Names of providers for the tiers that others of them name otherwise.
_TIERS = {"default": STANDARD, "auto": STANDARD, "batches": "batch"}

Buckets = dict[str, int]
Path = tuple[str | int, ...]


class InvalidUsage(ValueError):
    """A usage object that breaks a rule at a path; the message completes "<field> ..."."""

    def __init__(self, path: Path, rule: str) -> None:
        self.path = path
        self.rule = rule
        super().__init__(rule)


def read_usage(usage: Mapping[str, Any]) -> Buckets:
    """Return the tokens of a usage object by bucket, in the order of BUCKETS, without zeros.

    `usage` is the provider's object with `format` beside its fields. Counts that are absent or null
    are zero; fields that count no tokens are ignored. Raises InvalidUsage.
    """
    name = usage.get("format")
    if name is None:
        raise InvalidUsage(("format",), "is required")
    if not isinstance(name, str) or name not in _FORMATS:
        raise InvalidUsage(("format",), f"must be one of {', '.join(_FORMATS)}")
    counts = _FORMATS[name](usage)
    return {bucket: counts[bucket] for bucket in BUCKETS if counts.get(bucket)}


def _buckets(usage: Mapping[str, Any]) -> Buckets:
    for name in usage:
        if name != "format" and name not in PARENTS:
            raise InvalidUsage((name,), f"is not a bucket; use {', '.join(BUCKETS)}")
    return {bucket: _count(usage, bucket) for bucket in BUCKETS}


def _openai(usage: Mapping[str, Any]) -> Buckets:
    """Chat Completions, Responses and Realtime: each total includes all of its details."""
    chat = "prompt_tokens" in usage
    whole, result = (
        ("prompt_tokens", "completion_tokens") if chat else ("input_tokens", "output_tokens")
    )
    inside = _first(usage, f"{whole}_details", "input_token_details")
    outside = _first(usage, f"{result}_details", "output_token_details")
    cached = _count(usage, inside, "cached_tokens")
    if _value(usage, (inside, "cached_tokens")) is None:
        # DeepSeek's name.
        cached = _count(usage, "prompt_cache_hit_tokens")
    cached_audio = _count(usage, inside, "cached_tokens_details", "audio_tokens")
    cached_image = _count(usage, inside, "cached_tokens_details", "image_tokens")
    written = _count(usage, inside, "cache_write_tokens")
    audio = _rest(usage, (inside, "audio_tokens"), cached_audio)
    image = _rest(usage, (inside, "image_tokens"), cached_image)
    reasoning = _count(usage, outside, "reasoning_tokens")
    audio_output = _count(usage, outside, "audio_tokens")
    image_output = _count(usage, outside, "image_tokens")
    _require(usage, whole)
    return {
        "input": _rest(usage, (whole,), cached, written, audio, image),
        "cache_read": _part(cached, cached_audio, (inside, "cached_tokens")),
        "cache_write": written,
        "audio_input": audio,
        "audio_cache_read": cached_audio,
        "image_input": image,
        # Perplexity's, beside the totals.
        "citation": _count(usage, "citation_tokens"),
        "output": _rest(usage, (result,), reasoning, audio_output, image_output),
        "reasoning": reasoning,
        "audio_output": audio_output,
        "image_output": image_output,
    }


def _anthropic(usage: Mapping[str, Any]) -> Buckets:
    """Messages: the input excludes what was read from the cache and written to it."""
    total = ("cache_creation_input_tokens",)
    short = _count(usage, "cache_creation", "ephemeral_5m_input_tokens")
    long = _count(usage, "cache_creation", "ephemeral_1h_input_tokens")
    written = short + long
    if _value(usage, total) is not None:
        written = _rest(usage, total, short, long) + short + long
    _require(usage, "input_tokens")
    return {
        "input": _count(usage, "input_tokens"),
        "cache_read": _count(usage, "cache_read_input_tokens"),
        # Five minutes is the lifetime of what has no lifetime of its own.
        "cache_write": written - long,
        "cache_write_1h": long,
        "output": _count(usage, "output_tokens"),
    }


def _gemini(usage: Mapping[str, Any]) -> Buckets:
    """generateContent: the prompt includes cached content, the candidates exclude thoughts.

    The prompts of tools are counted beside the prompt. A cached token of audio is an
    `audio_cache_read`; video and documents have the rate of text.
    """
    prompt, candidates = ("promptTokenCount",), ("candidatesTokenCount",)
    cached = _count(usage, "cachedContentTokenCount")
    audio, image = (_modality(usage, "promptTokensDetails", kind) for kind in ("AUDIO", "IMAGE"))
    cached_audio, cached_image = (
        _modality(usage, "cacheTokensDetails", kind) for kind in ("AUDIO", "IMAGE")
    )
    audio = _part(audio, cached_audio, ("promptTokensDetails",))
    image = _part(image, cached_image, ("promptTokensDetails",))
    audio_output, image_output = (
        _modality(usage, "candidatesTokensDetails", kind) for kind in ("AUDIO", "IMAGE")
    )
    _require(usage, "promptTokenCount")
    return {
        "input": _rest(usage, prompt, cached, audio, image)
        + _count(usage, "toolUsePromptTokenCount"),
        "cache_read": _part(cached, cached_audio, ("cachedContentTokenCount",)),
        "audio_input": audio,
        "audio_cache_read": cached_audio,
        "image_input": image,
        "output": _rest(usage, candidates, audio_output, image_output),
        "reasoning": _count(usage, "thoughtsTokenCount"),
        "audio_output": audio_output,
        "image_output": image_output,
    }


def _otel(usage: Mapping[str, Any]) -> Buckets:
    """OpenTelemetry's attributes of a span: each total includes all of its parts."""
    prefix = "gen_ai.usage."
    cached = _count(usage, f"{prefix}cache_read.input_tokens")
    written = _count(
        usage,
        _first(usage, f"{prefix}cache_creation.input_tokens", f"{prefix}cache_write.input_tokens"),
    )
    reasoning = _count(usage, f"{prefix}reasoning.output_tokens")
    _require(usage, f"{prefix}input_tokens")
    return {
        "input": _rest(usage, (f"{prefix}input_tokens",), cached, written),
        "cache_read": cached,
        "cache_write": written,
        "output": _rest(usage, (f"{prefix}output_tokens",), reasoning),
        "reasoning": reasoning,
    }


_FORMATS: dict[str, Callable[[Mapping[str, Any]], Buckets]] = {
    "buckets": _buckets,
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "otel": _otel,
}


def _value(usage: Mapping[str, Any], path: Path) -> Any:
    found: Any = usage
    for position, name in enumerate(path):
        if found is None:
            return None
        if not isinstance(found, Mapping):
            raise InvalidUsage(path[:position], "must be a JSON object")
        found = found.get(name)
    return found


def _count(usage: Mapping[str, Any], *path: str) -> int:
    """Return the count at a path; zero where it is absent or null."""
    return _whole_number(_value(usage, path), path)


def _whole_number(value: Any, path: Path) -> int:
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidUsage(path, "must be a whole number")
    if not 0 <= value <= LARGEST_COUNT:
        raise InvalidUsage(path, f"must be from 0 to {LARGEST_COUNT}")
    return value


def _require(usage: Mapping[str, Any], name: str) -> None:
    if usage.get(name) is None:
        raise InvalidUsage((name,), "is required")


def _first(usage: Mapping[str, Any], name: str, other: str) -> str:
    return other if name not in usage and other in usage else name


def _rest(usage: Mapping[str, Any], path: tuple[str, ...], *parts: int) -> int:
    """Return what is left of the count at a path when its parts are taken out."""
    return _part(_count(usage, *path), sum(parts), path)


def _part(whole: int, parts: int, path: Path) -> int:
    if parts > whole:
        raise InvalidUsage(path, f"must be at least the sum of its parts, which is {parts}")
    return whole - parts


def _modality(usage: Mapping[str, Any], name: str, kind: str) -> int:
    """Return the tokens of one modality of a list of [{modality, tokenCount}]."""
    listed = usage.get(name)
    if listed is None:
        return 0
    if not isinstance(listed, list):
        raise InvalidUsage((name,), "must be a JSON array")
    total = 0
    for position, entry in enumerate(listed):
        if not isinstance(entry, Mapping):
            raise InvalidUsage((name, position), "must be a JSON object")
        if entry.get("modality") == kind:
            total += _whole_number(entry.get("tokenCount"), (name, position, "tokenCount"))
    return total


def _validated(usage: Any) -> Buckets:
    if not isinstance(usage, Mapping):
        raise ValueError("must be a JSON object")
    try:
        return read_usage(usage)
    except InvalidUsage as error:
        # pydantic adds the path to the field's own.
        place = InitErrorDetails(
            type=PydanticCustomError("usage", "{rule}", {"rule": error.rule}),
            loc=error.path,
            input=None,
        )
        raise ValidationError.from_exception_data("usage", [place]) from error


_TOTAL = {"type": "integer", "minimum": 0, "maximum": LARGEST_COUNT}
# Some SDKs write null for a count that there is not.
_COUNT = {**_TOTAL, "type": ["integer", "null"]}


def _schema(name: str, required: str, *counts: str) -> dict[str, Any]:
    """Describe the counts of one format; other fields of the provider are allowed."""
    return {
        "type": "object",
        "title": name,
        "properties": {
            "format": {"const": name},
            required: _TOTAL,
            **dict.fromkeys(counts, _COUNT),
        },
        "required": ["format", required],
    }


_SCHEMA = {
    "description": "The provider's usage object, unchanged, with `format`: how it counts tokens.",
    "examples": [{"format": "openai", "prompt_tokens": 374, "completion_tokens": 44}],
    "oneOf": [
        {
            "type": "object",
            "title": "buckets",
            "properties": {"format": {"const": "buckets"}, **dict.fromkeys(BUCKETS, _COUNT)},
            "required": ["format"],
            "additionalProperties": False,
        },
        _schema("openai", "prompt_tokens", "completion_tokens")
        | {"title": "openai (Chat Completions)"},
        _schema("openai", "input_tokens", "output_tokens")
        | {"title": "openai (Responses)", "not": {"required": ["prompt_tokens"]}},
        _schema(
            "anthropic",
            "input_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
            "output_tokens",
        ),
        _schema(
            "gemini",
            "promptTokenCount",
            "cachedContentTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
        ),
        _schema("otel", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
    ],
}

# A usage object of a request; its value is its buckets.
TokenUsage = Annotated[Buckets, BeforeValidator(_validated), WithJsonSchema(_SCHEMA)]
ServiceTier = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9_-]*$"),
    AfterValidator(lambda name: _TIERS.get(name, name)),
    Field(examples=["standard"]),
]


class PriceUnknown(Unprocessable):
    """The model has no price."""

    code = "price_unknown"
    members: ClassVar = {
        "provider": "Provider of the model.",
        "model": "Name of the model that has no price.",
    }
