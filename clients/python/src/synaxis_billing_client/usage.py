"""A provider's usage object, made ready for `usage` of the API; and the usage of a stream.

Known are the objects of OpenAI (Chat Completions, Responses, Embeddings), Anthropic and Gemini, as
JSON or as their SDKs' objects, and the objects that LiteLLM makes of them.
"""

from collections.abc import Mapping
from typing import Any

# Characters of text per token, to estimate what a cancelled stream delivered.
CHARACTERS_PER_TOKEN = 3


def read_usage(usage: Any) -> dict[str, Any]:
    """The usage object with its `format`. Raises ValueError if it is of no known provider."""
    found = as_json(usage)
    if "format" in found:
        return found
    if "promptTokenCount" in found or "prompt_token_count" in found:
        return {"format": "gemini", **{_camel(name): value for name, value in found.items()}}
    if "prompt_tokens" in found:
        return _chat(found)
    if "input_tokens" in found:
        names = ("cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation")
        anthropic = any(name in found for name in names) or "total_tokens" not in found
        return {**found, "format": "anthropic" if anthropic else "openai"}
    raise ValueError(f"a usage object of no known provider: {', '.join(found) or 'it is empty'}")


def as_json(value: Any) -> dict[str, Any]:
    """An SDK's object as JSON."""
    if isinstance(value, Mapping):
        return dict(value)
    for name in ("model_dump", "to_dict", "dict"):
        if hasattr(value, name):
            return dict(getattr(value, name)())
    raise ValueError(f"a usage object must be JSON or an SDK's object, not {type(value).__name__}")


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def _chat(usage: dict[str, Any]) -> dict[str, Any]:
    """Chat Completions. LiteLLM states there what was written to Anthropic's cache, by lifetime."""
    inside = as_json(usage.get("prompt_tokens_details") or {})
    outside = as_json(usage.get("completion_tokens_details") or {})
    lifetimes = as_json(inside.get("cache_creation_token_details") or {})
    long = lifetimes.get("ephemeral_1h_input_tokens") or 0
    written = inside.get("cache_creation_tokens") or usage.get("cache_creation_input_tokens") or 0
    written = inside.get("cache_write_tokens") or written
    if not long:
        inside = {**inside, "cache_write_tokens": written} if written else inside
        details = {"prompt_tokens_details": inside, "completion_tokens_details": outside}
        return {**usage, **details, "format": "openai"}
    read, prompt = inside.get("cached_tokens") or 0, usage["prompt_tokens"] or 0
    reasoning = outside.get("reasoning_tokens") or 0
    return {
        "format": "buckets",
        "input": prompt - read - written,
        "cache_read": read,
        "cache_write": written - long,
        "cache_write_1h": long,
        "output": (usage.get("completion_tokens") or 0) - reasoning,
        "reasoning": reasoning,
    }


class StreamUsage:
    """The usage of a stream, read from its chunks: the provider's own, or an estimate of what came.

    Chunks are those of OpenAI's and Anthropic's SDKs, or their JSON. `usage` is None until
    something was delivered.
    """

    def __init__(self, input_tokens: int) -> None:
        self._input_tokens = input_tokens
        self._told: dict[str, Any] = {}
        self._final = False
        self._characters = 0
        self._started = False

    def read(self, chunk: Any) -> None:
        """Count a chunk."""
        self._started = True
        event = as_json(chunk)
        kind = event.get("type")
        if kind == "message_start":
            self._told = as_json(as_json(event["message"]).get("usage") or {})
        elif kind == "message_delta":
            known = as_json(event.get("usage") or {})
            self._told |= {name: value for name, value in known.items() if value is not None}
            self._final = True
        elif usage := event.get("usage") or _response_usage(event):
            self._told, self._final = as_json(usage), True
        self._characters += sum(len(text) for text in _texts(event))

    @property
    def estimated(self) -> bool:
        return not self._final

    @property
    def usage(self) -> dict[str, Any] | None:
        if self._final:
            return read_usage(self._told)
        if not self._started:
            return None
        output = -(-self._characters // CHARACTERS_PER_TOKEN)
        if self._told:
            # Anthropic's first event states the input, and a first token of output.
            return read_usage({**self._told, "output_tokens": output})
        return {"format": "buckets", "input": self._input_tokens, "output": output}


def _response_usage(event: dict[str, Any]) -> Any:
    """The usage of the last event of OpenAI's Responses."""
    response = event.get("response")
    return as_json(response).get("usage") if response else None


def _texts(event: dict[str, Any]) -> list[str]:
    """What a chunk delivers: text, arguments of tools, reasoning."""
    deltas = [event.get("delta")]
    deltas += [as_json(choice).get("delta") for choice in event.get("choices") or ()]
    return [text for delta in deltas for text in _strings(delta)]


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        named = {name: of for name, of in value.items() if name not in {"type", "role", "id"}}
        return [text for of in named.values() for text in _strings(of)]
    if isinstance(value, list):
        return [text for of in value for text in _strings(of)]
    return []
