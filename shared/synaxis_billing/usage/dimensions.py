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
    reference_id: Name | None = None
    request_id: Name | None = None
    team_id: UUID | None = None
    virtual_key_id: UUID | None = None
    model: Name | None = None
    provider: Name | None = None
    tokens: Tokens | None = None
    region: Name | None = None


class Group(Answer):
    """The dimensions of a sum of spend; `day` and `month` are local."""

    day: str | None = None
    month: str | None = None
    model: str | None = None
    provider: str | None = None
    team_id: str | None = None
    virtual_key_id: str | None = None
    region: str | None = None


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
