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
    reference_id: Name | None = None
    request_id: Name | None = None
    team_id: UUID | None = None
    virtual_key_id: UUID | None = None
    model: Name | None = None
    provider: Name | None = None
    tokens: Tokens | None = None
    region: Name | None = None


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
