"""What an LLM call used, and who used it: the one list of these fields.

A field of Usage is a field of charges, holds, captures and spend logs; its SQL is the type
`billing.usage_request`. A field of Group is one by which spending can be grouped.
"""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, ClientId, Money, Name, Request, Text, Time, UsdOrZero
from synaxis_billing.idempotency import fingerprint
from synaxis_billing.prices.usage import ServiceTier, TokenUsage

Tokens = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000, examples=[418])]


MOST_METADATA = 20
MOST_METADATA_BYTES = 2048


def _small(metadata: dict[str, str]) -> dict[str, str]:
    if len(metadata) > MOST_METADATA:
        raise ValueError(f"must have at most {MOST_METADATA} members")
    size = sum(len(text.encode()) for member in metadata.items() for text in member)
    if size > MOST_METADATA_BYTES:
        raise ValueError(f"must have at most {MOST_METADATA_BYTES} bytes")
    return metadata


# The client's own facts, kept with the transaction and erased with its personal fields.
Metadata = Annotated[dict[ClientId, Text], AfterValidator(_small)]


class Usage(Request):
    """The usage of an LLM call."""

    reference_id: Name | None = None
    """Your own reference, of up to 255 characters, stored and returned as it is."""
    request_id: Name | None = None
    """Id of the LLM call at the provider or the gateway. It is counted once per organization."""
    team_id: ClientId | None = None
    """Your id of the team that made the call."""
    virtual_key_id: ClientId | None = None
    """Your id of the virtual key that made the call."""
    end_user: ClientId | None = None
    """Your id of the person who made the call."""
    model: Name | None = None
    """Name of the model, such as gpt-4o."""
    provider: Name | None = None
    """Name of the model's provider, such as openai."""
    tokens: Tokens | None = None
    """Number of tokens that the call used, input and output together."""
    region: Name | None = None
    """Region in which the call was made."""
    metadata: Metadata | None = None
    """Your own facts: up to 20 texts, 2 KB in all, which an erasure empties."""


class PricedUsage(Usage):
    """Usage that costs an amount, or what the price book makes of its tokens: give `amount_usd`, or
    `usage` with `provider` and `model`."""

    amount_usd: UsdOrZero | None = None
    """Cost of the call in US dollars; "0" counts a call that is free."""
    usage: TokenUsage | None = None
    """Tokens of the call, which the price book prices, in place of `amount_usd`."""
    service_tier: ServiceTier | None = None
    """The provider's service tier, whose rates apply; standard if it is left out."""

    @model_validator(mode="after")
    def _amount_or_tokens(self) -> Self:
        if self.usage is None:
            missing = ["amount_usd"] if self.amount_usd is None else []
            excess = ["service_tier"] if self.service_tier is not None else []
            rule = "is for usage in tokens, and not for an amount"
        else:
            missing = [name for name in ("provider", "model") if getattr(self, name) is None]
            excess = [name for name in ("amount_usd", "tokens") if getattr(self, name) is not None]
            rule = "must not be given beside usage"
        errors = [InitErrorDetails(type="missing", loc=(name,), input=None) for name in missing]
        errors += [
            InitErrorDetails(type=PydanticCustomError("usage", rule), loc=(name,), input=None)
            for name in excess
        ]
        if errors:
            raise ValidationError.from_exception_data("usage", errors)
        return self


class Used(Answer):
    """The fields of Usage, as an answer has them; its tokens may be a number always."""

    reference_id: str | None
    """Reference that the request gave, such as the id of a payment."""
    request_id: str | None
    """Id of the LLM call."""
    team_id: str | None
    """Id of the team that made the call."""
    virtual_key_id: str | None
    """Id of the virtual key that made the call."""
    end_user: str | None
    """Id of the person who made the call."""
    model: str | None
    """Name of the model."""
    provider: str | None
    """Name of the provider."""
    region: str | None
    """Region in which the call was made."""
    metadata: dict[str, str] | None
    """Facts that the request gave."""


class Rated(Used):
    """Usage with what made its amount, where the amount was not given."""

    usage: dict[str, int] | None
    """Tokens by bucket that were priced; null where the request gave the amount."""
    service_tier: str | None
    """Service tier whose rates applied."""
    price_id: UUID | None
    """Id of the price whose rates applied."""
    price_multiplier: Money | None
    """Multiplier of the organization that applied to the price."""


class SpendFilter(Request):
    """Which calls a report counts: those with every field that is named."""

    team_id: ClientId | None = None
    """Only calls of this team."""
    virtual_key_id: ClientId | None = None
    """Only calls with this virtual key."""
    model: Name | None = None
    """Only calls of this model."""
    provider: Name | None = None
    """Only calls of this provider."""


class UsageFilter(SpendFilter):
    """Which rows a list has: those with every field that is named."""

    request_id: Name | None = None
    """Only what belongs to this LLM call."""
    reference_id: Name | None = None
    """Only what has this reference."""
    end_user: ClientId | None = None
    """Only calls of this person."""


class Group(Answer):
    """The dimensions of a sum of spend; `day` and `month` are local."""

    model: str | None = None
    """Name of the model."""
    provider: str | None = None
    """Name of the provider."""
    team_id: str | None = None
    """Id of the team that made the calls."""
    virtual_key_id: str | None = None
    """Id of the virtual key that made the calls."""
    region: str | None = None
    """Region in which the calls were made."""
    day: str | None = None
    """Day in the time zone of the organization, such as 2026-02-28."""
    month: str | None = None
    """Month in the time zone of the organization, such as 2026-02."""


class OwnGroup(Group):
    """The dimensions of a sum of one organization's spend; `hour` is local too."""

    hour: Time | None = None
    """Start of the hour by the clocks of the organization's time zone."""


class PlatformGroup(Group):
    """The dimensions of a sum of the spend of all organizations."""

    organization_id: UUID | None = None
    """Id of the organization that made the calls."""


def usage_arguments(
    operation: str, caller: Caller, request: Request, **more: Any
) -> dict[str, Any]:
    """Return a request as the JSON of `billing.usage_request`."""
    return {
        "initiated_by": caller.subject,
        **request.model_dump(mode="json", exclude_none=True),
        "fingerprint": "\\x" + fingerprint(operation, request).hex(),
        **more,
    }
