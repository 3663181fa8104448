"""Calls payment providers, from where the internet can be reached."""

from typing import Any

from synaxis_billing.edge.invocation import logger, task
from synaxis_billing.edge.payments import call_provider
from synaxis_billing.payments.providers import Call


@task
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the provider's answer to a call."""
    call = Call.model_validate(event)
    answer = call_provider(call)
    logger.info(
        "called",
        provider=call.provider,
        operation=call.operation,
        no_answer=answer.no_answer,
        refused=answer.refused,
    )
    return answer.model_dump(mode="json")
