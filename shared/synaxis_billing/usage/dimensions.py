"""What an LLM call used, and who used it: the one list of these fields.

A field here is a field of charges, holds, captures and spend logs. Its SQL is the type
`billing.usage_request`.
"""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from synaxis_billing.caller import Caller
from synaxis_billing.fields import Name, Request, Usd
from synaxis_billing.idempotency import fingerprint
from synaxis_billing.prices.usage import ServiceTier, TokenUsage

Tokens = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000, examples=[418])]


class Usage(Request):
    reference_id: Name | None = None
    request_id: Name | None = None
    team_id: UUID | None = None
    virtual_key_id: UUID | None = None
    model: Name | None = None
    provider: Name | None = None
    tokens: Tokens | None = None
    region: Name | None = None


class PricedUsage(Usage):
    """Usage that costs an amount, or what the price book makes of its tokens."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {
                    "required": ["amount_usd"],
                    "properties": {
                        "amount_usd": {"type": "string"},
                        "usage": {"type": "null"},
                        "service_tier": {"type": "null"},
                    },
                },
                {
                    "required": ["usage", "provider", "model"],
                    "properties": {
                        "amount_usd": {"type": "null"},
                        "usage": {"type": "object"},
                        "provider": {"type": "string"},
                        "model": {"type": "string"},
                        "tokens": {"type": "null"},
                    },
                },
            ]
        }
    )

    amount_usd: Usd | None = None
    usage: TokenUsage | None = None
    service_tier: ServiceTier | None = None

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
