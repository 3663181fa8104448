"""Stores fetched exchange rates, from where the database can be reached."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from synaxis_billing.edge.aws import queue
from synaxis_billing.edge.cache import drain
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.invocation import logger, metrics, task
from synaxis_billing.rates import rates


@task
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a queue's batch of what `fetch` returned; or, from an operator, {"accept": the id of a
    fetch whose rates were held back}."""
    if "accept" in event:
        accepted = rates.accept_rates(connection(), UUID(event["accept"]))
        return _measured(accepted).model_dump(mode="json")
    return queue.each(event, context, _store)


def _store(record: SQSRecord) -> None:
    fetched = rates.Fetch.model_validate(record.json_body["responsePayload"])
    _measured(rates.store_rates(connection(), fetched))
    age = datetime.now(UTC) - fetched.as_of
    metrics.add_metric("RateAge", MetricUnit.Seconds, age.total_seconds())


def _measured(stored: rates.Stored) -> rates.Stored:
    """Count what the alarms watch: no RatesStored for two hours, any RatesHeld."""
    metrics.add_metric("RatesStored", MetricUnit.Count, len(stored.stored))
    metrics.add_metric("RatesHeld", MetricUnit.Count, len(stored.held))
    if stored.held:
        logger.error("rates held back", currencies=stored.held, fetch_id=str(stored.fetch_id))
    drain()
    return stored
