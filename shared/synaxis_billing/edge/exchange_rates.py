"""The sources of exchange rates that the template names, and what is measured of them."""

from datetime import UTC, datetime

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing import fx, fx_sources
from synaxis_billing.edge import config, credentials

logger = Logger()
metrics = Metrics()


def fetch() -> fx.Fetch:
    """Raises NoRates, LookupError (no key)."""
    sources = fx_sources.chain(
        config.fx_sources(),
        api_url=config.fx_api_url().replace("{key}", credentials.fx_api_key()),
        ecb_url=config.fx_ecb_url(),
        seed=config.fx_seed(),
    )
    return fx_sources.fetch(sources, datetime.now(UTC))


def measure_age(fetched: fx.Fetch) -> None:
    """How old the rates are that are used now."""
    age = datetime.now(UTC) - fetched.as_of
    metrics.add_metric("RateAge", MetricUnit.Seconds, age.total_seconds())


def measure(stored: fx.Stored) -> None:
    """The metrics that the alarms watch: no RatesStored for two hours, any RatesHeld."""
    metrics.add_metric("RatesStored", MetricUnit.Count, len(stored.stored))
    metrics.add_metric("RatesHeld", MetricUnit.Count, len(stored.held))
    if stored.held:
        logger.error("rates held back", currencies=stored.held, fetch_id=str(stored.fetch_id))
