"""What an LLM call used, and who used it: the one list of these fields.

A field here is a field of charges, holds, captures and spend logs. Its SQL is the type
`billing.usage_request`.
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
    reference_id: Name | None = None
    request_id: Name | None = None
    team_id: ClientId | None = None
    virtual_key_id: ClientId | None = None
    end_user: ClientId | None = None
    model: Name | None = None
    provider: Name | None = None
    tokens: Tokens | None = None
    region: Name | None = None
    metadata: Metadata | None = None


class Used(Answer):
    """The fields of Usage, as an answer has them; its tokens may be a number always."""

    reference_id: str | None
    request_id: str | None
    team_id: str | None
    virtual_key_id: str | None
    end_user: str | None
    model: str | None
    provider: str | None
    region: str | None
    metadata: dict[str, str] | None


class UsageFilter(Request):
    """Which rows a list has: those with every field that is named."""

    request_id: Name | None = None
    reference_id: Name | None = None
    team_id: ClientId | None = None
    virtual_key_id: ClientId | None = None
    end_user: ClientId | None = None
    model: Name | None = None
    provider: Name | None = None


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
