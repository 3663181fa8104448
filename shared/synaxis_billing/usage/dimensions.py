"""What an LLM call used, and who used it: the one list of these fields.

A field here is a field of charges, holds, captures and spend logs. Its SQL is the type
`billing.usage_request`.
"""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from synaxis_billing.caller import Caller
from synaxis_billing.fields import Name, Request
from synaxis_billing.idempotency import fingerprint

Tokens = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000, examples=[418])]


class Usage(Request):
    """The usage of an LLM call."""

    reference_id: Name | None = None
    """Your own reference, of up to 255 characters, stored and returned as it is."""
    request_id: Name | None = None
    """Id of the LLM call at the provider or the gateway. It is counted once per organization."""
    team_id: UUID | None = None
    """Id of the team that made the call."""
    virtual_key_id: UUID | None = None
    """Id of the virtual key that made the call."""
    model: Name | None = None
    """Name of the model, such as gpt-4o."""
    provider: Name | None = None
    """Name of the model's provider, such as openai."""
    tokens: Tokens | None = None
    """Number of tokens that the call used, input and output together."""
    region: Name | None = None
    """Region in which the call was made."""


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
