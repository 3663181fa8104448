"""Exchange rates, hourly: `fetch` asks the providers, from where the internet can be reached;
`store` keeps what it brought, from where the database can."""

from typing import Any
from uuid import UUID

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from synaxis_billing import fx
from synaxis_billing.edge import cache as caching
from synaxis_billing.edge import exchange_rates, queue
from synaxis_billing.edge.database import connection

logger = Logger()


@logger.inject_lambda_context(clear_state=True)
def fetch(_event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """What the first source said that can be believed. Raises NoRates."""
    fetched = exchange_rates.fetch()
    logger.info("fetched", source=fetched.source, as_of=fetched.as_of, refused=fetched.refused)
    return fetched.model_dump(mode="json")


@exchange_rates.metrics.log_metrics
def store(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Takes a queue's batch of what `fetch` returned; or, from an operator, {"accept": the id of a
    fetch whose rates were held back}."""
    if "accept" in event:
        accepted = fx.accept(connection(), UUID(event["accept"]))
        return _kept(accepted).model_dump(mode="json")
    return queue.each(event, context, _store)


def _store(record: SQSRecord) -> None:
    fetched = fx.Fetch.model_validate(record.json_body["responsePayload"])
    _kept(fx.store(connection(), fetched))
    exchange_rates.measure_age(fetched)


def _kept(stored: fx.Stored) -> fx.Stored:
    exchange_rates.measure(stored)
    caching.drain()
    return stored
