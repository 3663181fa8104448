"""Fetches exchange rates from their sources, hourly, from where the internet can be reached."""

from datetime import UTC, datetime
from typing import Any

from synaxis_billing.edge.aws import credentials
from synaxis_billing.edge.invocation import logger, task
from synaxis_billing.edge.settings import settings
from synaxis_billing.rates import sources


@task
def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Return the answer of the first source whose answer is plausible. Raises NoRates, LookupError
    (no key)."""
    chain = sources.chain(
        settings().fx_sources,
        api_url=settings().fx_api_url.replace("{key}", credentials.fx_api_key()),
        ecb_url=settings().fx_ecb_url,
        seed=settings().fx_seed,
    )
    fetched = sources.fetch(chain, datetime.now(UTC))
    logger.info("fetched", source=fetched.source, as_of=fetched.as_of, refused=fetched.refused)
    return fetched.model_dump(mode="json")
