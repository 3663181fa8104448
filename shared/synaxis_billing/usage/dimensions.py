"""What an LLM call used, and who used it: the one list of these fields.

A field of Usage is a field of charges, holds, captures and spend logs; its SQL is the type
`billing.usage_request`. A field of Group is one by which spending can be grouped.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from synaxis_billing.caller import Caller
from synaxis_billing.fields import Answer, ClientId, Name, Request, Text
from synaxis_billing.idempotency import fingerprint

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


class UsageFilter(Request):
    """Which rows a list has: those with every field that is named."""

    request_id: Name | None = None
    """Only what belongs to this LLM call."""
    reference_id: Name | None = None
    """Only what has this reference."""
    team_id: ClientId | None = None
    """Only calls of this team."""
    virtual_key_id: ClientId | None = None
    """Only calls with this virtual key."""
    end_user: ClientId | None = None
    """Only calls of this person."""
    model: Name | None = None
    """Only calls of this model."""
    provider: Name | None = None
    """Only calls of this provider."""


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
