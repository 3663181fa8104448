"""The billing of a LiteLLM proxy, by one line of its configuration:

    litellm_settings:
      callbacks: synaxis_billing_client.litellm.billing

A hold is made before each call, and captured after it with the provider's usage: once for each
request of a client, however many attempts, fallbacks or chunks it takes. A request that is refused
gets LiteLLM's own error with the product's text. `Settings` are read from the environment.
"""

import contextlib
import logging
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, cast

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import ProxyException

from synaxis_billing_client.calls import Retries
from synaxis_billing_client.client import AsyncBilling, credentials
from synaxis_billing_client.errors import AWAY, Refused
from synaxis_billing_client.gateway import Away, Gateway, GatewayCall, Mode
from synaxis_billing_client.money import usd
from synaxis_billing_client.usage import CHARACTERS_PER_TOKEN, read_usage

log = logging.getLogger("synaxis_billing_client")

PREFIX = "SYNAXIS_BILLING_"
# The metadata of a request that carries the call's id from hook to hook. It replaces what a client
# sent under this name.
FIELD = "synaxis_billing_call_id"
# Calls of a model. Other routes, such as files and lists, cost nothing.
BILLED = {
    *("completion", "acompletion", "text_completion", "atext_completion"),
    *("embedding", "aembedding", "embeddings", "responses", "aresponses"),
    *("anthropic_messages", "aanthropic_messages", "generate_content", "agenerate_content"),
    *("generate_content_stream", "agenerate_content_stream", "moderation", "amoderation"),
    *("image_generation", "aimage_generation", "image_edit", "aimage_edit", "speech", "aspeech"),
    *("transcription", "atranscription", "audio_transcription", "rerank", "arerank"),
}
# Calls of a model whose usage LiteLLM does not report as that of other calls. They would be free.
UNBILLED = {
    *("pass_through_endpoint", "allm_passthrough_route", "_arealtime", "arealtime_calls"),
    *("_aresponses_websocket", "acreate_realtime_client_secret"),
}
EMBEDDINGS = {"embedding", "aembedding", "embeddings"}
# A call that does not say how much it may answer.
DEFAULT_OUTPUT_TOKENS = 4096
TOKENS_OF_A_FILE = 1500
MESSAGE_TOKENS = 8


class Settings(NamedTuple):
    """How the callback reaches the product. Each is a variable SYNAXIS_BILLING_<NAME>."""

    url: str = "http://127.0.0.1:3000"
    token: str = ""
    """A static token, in place of `client_id` and `client_secret`."""
    token_url: str = ""
    """The OAuth2 token endpoint; that of `make run` if it is left out."""
    client_id: str = "gateway"
    client_secret: str = "local"
    organization: str = ""
    """The organization of calls whose key has none: an id or an external id."""
    mode: str = "fail_open"
    """`fail_open` makes calls while the product is away, and charges them later; `fail_closed`
    refuses them."""
    lease_usd: str = ""
    """The amount of a lease per key; without it, each call has a hold of its own."""
    journal: str = "synaxis-billing-journal"
    """The folder of what is charged later. It must outlive the container."""
    timeout_seconds: str = "3"
    """How long a call waits for its hold."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """Raises ValueError for an unknown mode."""
        named = {
            name: environment[PREFIX + name.upper()]
            for name in cls._fields
            if environment.get(PREFIX + name.upper())
        }
        made = cls(**named)
        if made.mode not in ("fail_open", "fail_closed"):
            raise ValueError(f"{PREFIX}MODE must be fail_open or fail_closed, not {made.mode!r}")
        return made

    def gateway(self) -> Gateway:
        auth = self.token or credentials(
            self.url.rstrip("/"), self.token_url or None, self.client_id, self.client_secret
        )
        billing = AsyncBilling(
            self.url,
            auth,
            timeout=float(self.timeout_seconds),
            # A caller waits for the hold; what is owed is sent again later anyway.
            retries=Retries(attempts=2, first_wait_seconds=0.1),
        )
        return Gateway(
            billing,
            mode=cast(Mode, self.mode),
            lease_usd=Decimal(self.lease_usd) if self.lease_usd else None,
            journal=Path(self.journal),
        )


class Billing(CustomLogger):
    """LiteLLM's callbacks of a call: before it, after a success, after its last failure."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        self._settings = settings or Settings.read(os.environ)
        self._gateway: Gateway | None = None

    @property
    def gateway(self) -> Gateway:
        """Made in the event loop of the proxy, at its first call."""
        if self._gateway is None:
            self._gateway = self._settings.gateway()
            self._gateway.start()
        return self._gateway

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> None:
        """Hold the most that the call can cost. Raises LiteLLM's error if it is refused."""
        if call_type in UNBILLED:
            raise _refusal("Calls of this route cannot be billed.", "not_billed", 403)
        if call_type not in BILLED:
            return
        try:
            organization = await self._organization(
                user_api_key_dict.org_id, user_api_key_dict.team_id
            )
            provider, model = _deployment(str(data.get("model")))
            call = GatewayCall(
                organization,
                provider,
                model,
                input_tokens=count_input(data),
                output_tokens=0 if call_type in EMBEDDINGS else count_output(data),
                team_id=user_api_key_dict.team_id,
                virtual_key_id=user_api_key_dict.api_key,
                end_user=user_api_key_dict.end_user_id,
            )
            _metadata(data)[FIELD] = await self.gateway.begin(call)
        except Refused as error:
            raise _refusal(error.detail, error.code or "refused", error.status) from error
        except Away as error:
            raise _refusal(str(error), "temporarily_unavailable", 503) from error

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """Charge a call that was answered, whole or until its client left."""
        payload = kwargs.get("standard_logging_object")
        if payload is None:
            return
        if kwargs.get("call_type") in ("aretrieve_batch", "retrieve_batch"):
            await self._charge_batch(payload, response_obj)
            return
        call_id = _call_id(kwargs)
        if call_id is not None:
            await self.gateway.charge(call_id, cost_of(payload, response_obj))

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: str | None = None,
    ) -> None:
        """Release the hold of a request that failed: after its last attempt, not its first."""
        for name in ("metadata", "litellm_metadata"):
            call_id = (request_data.get(name) or {}).get(FIELD)
            if call_id is not None:
                self.gateway.release(call_id)

    async def _organization(self, org_id: str | None, team_id: str | None) -> str:
        """The organization that pays: LiteLLM's own, a team that is one, or the default."""
        if org_id:
            return str(org_id)
        try:
            if team_id and await self.gateway.knows(team_id):
                return team_id
        except AWAY:
            log.warning("billing is away; team %s is taken for no organization", team_id)
        if self._settings.organization:
            return self._settings.organization
        raise _refusal(
            f"This key belongs to no organization that pays: give it one in LiteLLM, or set "
            f"{PREFIX}ORGANIZATION.",
            "organization_not_found",
            403,
        )

    async def _charge_batch(self, payload: dict[str, Any], batch: Any) -> None:
        """Charge a finished batch of a provider once, however often it is looked at."""
        usage = getattr(batch, "usage", None)
        if usage is None:
            return
        about = payload["metadata"]
        organization = await self._organization(
            about["user_api_key_org_id"], about["user_api_key_team_id"]
        )
        cost = cost_of(payload, batch)
        models = set(batch._hidden_params.get("batch_models") or ())
        if len(models) == 1:
            provider, model = priced_name(payload["custom_llm_provider"], models.pop(), None)
            cost |= {"provider": provider, "model": model, "service_tier": "batch"}
        elif "usage" in cost:
            # LiteLLM sums the usage of all models; only its amount is exact.
            del cost["usage"]
            cost["amount_usd"] = usd(payload["response_cost"])
        call = GatewayCall(
            organization,
            "",
            "",
            0,
            0,
            about["user_api_key_team_id"],
            about["user_api_key_hash"],
            about["user_api_key_end_user_id"],
        )
        await self.gateway.charge_made(f"litellm-batch:{batch.id}", call, cost)


def cost_of(payload: dict[str, Any], response: Any) -> dict[str, Any]:
    """The cost of an answer: the provider's usage; nothing if LiteLLM's cache answered; LiteLLM's
    amount for calls that are not priced by tokens."""
    provider, model = priced_name(
        payload["custom_llm_provider"],
        payload["model"],
        (payload.get("model_map_information") or {}).get("model_map_key"),
    )
    metadata = {
        "litellm_call_id": payload["litellm_call_id"],
        "model_group": payload["model_group"],
    }
    cost: dict[str, Any] = {
        "description": f"{payload['call_type']} {model}".strip(),
        "provider": provider,
        **({"model": model} if model else {}),
        "metadata": {name: str(value)[:200] for name, value in metadata.items() if value},
    }
    if payload.get("cache_hit"):
        cost["metadata"]["cache_hit"] = "true"
        return {**cost, "amount_usd": Decimal(0), "tokens": payload["total_tokens"] or 0}
    usage = response.get("usage") if isinstance(response, Mapping) else None
    usage = usage or getattr(response, "usage", None)
    usage = usage or payload["metadata"].get("usage_object")
    if usage is not None and payload["total_tokens"]:
        with contextlib.suppress(ValueError):
            return {**cost, "usage": read_usage(usage)}
    return {**cost, "amount_usd": usd(payload["response_cost"] or 0)}


def priced_name(provider: str | None, model: str, key: str | None) -> tuple[str, str]:
    """The provider and the model as LiteLLM's price map has them, and so the price book."""
    bare = model.removeprefix(f"{provider}/")
    for name in (key, f"{provider}/{bare}", model, bare):
        # LiteLLM adds an empty entry for each deployment whose model the map does not have.
        known = litellm.model_cost.get(name) if name else None
        if known and name is not None:
            return str(known.get("litellm_provider") or provider), name
    return str(provider or "unknown"), bare


def _deployment(model: str) -> tuple[str, str]:
    """The provider and the model of the first deployment of a model group."""
    from litellm.proxy.proxy_server import llm_router

    listed = (llm_router.get_model_list(model_name=model) if llm_router else None) or []
    chosen = listed[0] if listed else {"litellm_params": {"model": model}}
    params = chosen["litellm_params"]
    base = (chosen.get("model_info") or {}).get("base_model")
    try:
        bare, provider, _, _ = litellm.get_llm_provider(
            params["model"], params.get("custom_llm_provider")
        )
    except litellm.exceptions.BadRequestError:
        # LiteLLM refuses it after this hook.
        return "unknown", model
    return priced_name(provider, bare, base)


def count_input(data: Mapping[str, Any]) -> int:
    """An upper estimate of the tokens of a request, without a tokenizer, which would take longer
    than the hold."""
    inputs = [data.get(name) for name in ("messages", "input", "prompt", "system", "tools")]
    inputs += [data.get("contents"), data.get("instructions"), data.get("query")]
    return sum(_count(value) for value in inputs) + MESSAGE_TOKENS


def _count(value: Any) -> int:
    if isinstance(value, str):
        if value.startswith("data:"):
            return TOKENS_OF_A_FILE
        return len(value.encode()) // CHARACTERS_PER_TOKEN + 1
    if isinstance(value, Mapping):
        if value.get("type") in ("base64", "input_audio"):
            return TOKENS_OF_A_FILE
        return MESSAGE_TOKENS + sum(_count(of) for of in value.values())
    if isinstance(value, list):
        # An embedding may be asked for by tokens.
        return sum(1 if isinstance(of, int) else _count(of) for of in value)
    return 0


def count_output(data: Mapping[str, Any]) -> int:
    """The most tokens that a request may be answered with."""
    names = ("max_completion_tokens", "max_output_tokens", "max_tokens")
    asked = next((data[name] for name in names if isinstance(data.get(name), int)), None)
    choices = data.get("n")
    most = DEFAULT_OUTPUT_TOKENS if asked is None else max(asked, 0)
    return most * (choices if isinstance(choices, int) and choices > 0 else 1)


def _metadata(data: dict[str, Any]) -> dict[str, Any]:
    """LiteLLM's own metadata of a request, which no provider gets."""
    name = "litellm_metadata" if isinstance(data.get("litellm_metadata"), dict) else "metadata"
    if not isinstance(data.get(name), dict):
        data[name] = {}
    return cast(dict[str, Any], data[name])


def _call_id(kwargs: dict[str, Any]) -> str | None:
    params = kwargs.get("litellm_params") or {}
    for name in ("metadata", "litellm_metadata"):
        call_id = (params.get(name) or {}).get(FIELD)
        if call_id is not None:
            return str(call_id)
    return None


def _refusal(text: str, code: str, status: int) -> ProxyException:
    return ProxyException(message=text, type=code, param=None, code=status)


billing = Billing()
