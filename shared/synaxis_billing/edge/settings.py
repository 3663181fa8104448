"""Settings: the environment that the template gives a function, as one typed model."""

import functools
import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Json, ValidationError


class SettingsError(Exception):
    """The environment is not valid; the message names each variable and its rule."""


def _split(text: object) -> object:
    if isinstance(text, str):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


class Settings(BaseModel):
    """Each field is the environment variable of the same name in capitals."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    aws_region: str = ""

    # PostgreSQL: a URL (on a developer's machine), a secret that holds one, or a host that takes
    # tokens of the function's role.
    database_url: str = ""
    database_url_secret: str = ""
    database_host: str = ""
    database_name: str = ""
    # The same of an administrator; the host is the database itself, past the proxy.
    admin_database_url: str = ""
    admin_database_secret: str = ""
    admin_database_host: str = ""

    # Redis: a URL, a secret that holds one, or a cache that takes tokens of the function's role.
    redis_url: str = ""
    redis_url_secret: str = ""
    redis_cluster: bool = False
    redis_endpoint: str = ""
    redis_name: str = ""
    redis_user: str = ""

    # The bus between regions: Kafka, or an SNS topic.
    kafka_brokers: str = ""
    msk_cluster_arn: str = ""
    kafka_secret: str = ""
    invalidation_topic_arn: str = ""
    # The URL at which each region's API answers, by the region's name.
    region_endpoints: Json[dict[str, str]] = {}

    # Where clients get tokens, for the API's document; its own where this is empty.
    oauth_endpoint: str = ""

    # JSON of `invoices.Party`.
    invoice_seller: str = "{}"
    invoice_series: str = "INV"
    credit_note_series: str = "CN"
    fonts_folder: Path = Path("/opt/python/fonts")

    month_end_queue_url: str = ""
    webhook_queue_url: str = ""
    webhook_results_queue_url: str = ""
    # Webhooks may also go to http:// URLs and to addresses that are not on the public internet.
    webhooks_to_private: bool = False

    # The sources of exchange rates, in the order in which they are asked.
    fx_sources: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    fx_api_url: str = ""
    fx_api_key: str = ""
    fx_api_key_secret: str = ""
    fx_ecb_url: str = ""
    fx_seed: str = ""

    @property
    def other_regions(self) -> dict[str, str]:
        """The URL of each other region's API, by the region's name."""
        return {name: url for name, url in self.region_endpoints.items() if name != self.aws_region}


@functools.cache
def settings() -> Settings:
    """Return the settings of this process. Raises SettingsError."""
    given: dict[str, Any] = {
        name: os.environ[name.upper()]
        for name in Settings.model_fields
        # An unset parameter of the template is an empty variable.
        if os.environ.get(name.upper())
    }
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        rules = "; ".join(
            f"{str(found['loc'][0]).upper()}: {found['msg']}"
            for found in error.errors(include_url=False, include_input=False)
        )
        raise SettingsError(rules) from None
