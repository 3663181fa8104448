"""Forecasts each organization's spend once per local day: hourly, those whose day has begun."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, task
from synaxis_billing.usage.forecasts import make_forecasts

# A forecast takes milliseconds; the invocation ends well before its time.
RESERVE_MILLISECONDS = 30_000


@task
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Return how many forecasts were made; the next run makes the rest. Raises Unforecast after
    all that can be made are made."""
    made = make_forecasts(
        connection(), lambda: context.get_remaining_time_in_millis() > RESERVE_MILLISECONDS
    )
    logger.info("forecast", made=made)
    return {"made": made}
