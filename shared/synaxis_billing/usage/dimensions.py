"""What an LLM call used, and who used it: the one list of these fields.

A field of Usage is a field of charges, holds, captures and spend logs; its SQL is the type
`billing.usage_request`. A field of Group is one by which spending can be grouped.
"""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, Name, Request
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
