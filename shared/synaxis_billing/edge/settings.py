"""Settings: the environment that the template gives a function, as one typed model.

Importing this module validates them, so a function with a bad setting does not start.
"""

import functools
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from synaxis_billing.fields import matching
from synaxis_billing.validation import pointer, rule


class SettingsError(Exception):
    """The environment is not valid; the message names each variable and its rule."""


def _split(text: object) -> object:
    if isinstance(text, str):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


PostgresUrl = Annotated[
    str,
    matching(
        r"postgres(ql)?://\S+|\w+=.*",
        "must be postgresql://user@host/name, or host=... user=... dbname=...",
    ),
]
RedisUrl = Annotated[
    str, matching(r"(rediss?|unix)://\S+", "must be a URL such as rediss://host:6379")
]
WebUrl = Annotated[str, matching(r"https?://\S+", "must be a URL such as https://example.com")]
Arn = Annotated[str, matching(r"arn:\S+", "must be an ARN, arn:...")]
TopicArn = Annotated[
    str,
    matching(r"arn:[\w-]+:sns:[\w-]+:\d+:\S+", "must be an ARN, arn:aws:sns:region:account:name"),
]
Brokers = Annotated[
    str, matching(r"[^\s,:]+:\d+(,[^\s,:]+:\d+)*", "must be host:port, or several with commas")
]
FxSource = Literal["exchangerate-api", "ecb", "simulated"]
Claim = Annotated[str, matching(r"\S+", "must be the name of a claim, such as scope")]
Series = Annotated[str, matching("[A-Z0-9]{1,10}", "must be 1 to 10 of A-Z and 0-9")]
Days = Annotated[int, Field(ge=1, le=3650)]


def _of_region(arns: tuple[str, ...], region: str) -> str | None:
    return next((arn for arn in arns if arn.split(":")[3] == region), None)


class Settings(BaseModel):
    """Each field is the environment variable of the same name in capitals."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    aws_region: str = ""
    # Lambda's: on-demand, provisioned-concurrency or snap-start; empty on a developer's machine.
    aws_lambda_initialization_type: str = ""

    # PostgreSQL: a URL (on a developer's machine), a secret that holds one, or a host that takes
    # tokens of the function's role.
    database_url: PostgresUrl = ""
    database_url_secret: Arn = ""
    database_host: str = ""
    database_name: str = ""
    # The same of an administrator; the host is the database itself, past the proxy.
    admin_database_url: PostgresUrl = ""
    admin_database_secret: Arn = ""
    admin_database_host: str = ""

    # Redis: a URL, a secret that holds one, or a cache that takes tokens of the function's role.
    redis_url: RedisUrl = ""
    redis_url_secret: Arn = ""
    redis_cluster: bool = False
    redis_endpoint: str = ""
    redis_name: str = ""
    redis_user: str = ""

    # The bus between regions: Kafka, or an SNS topic.
    kafka_brokers: Brokers = ""
    msk_cluster_arn: Arn = ""
    kafka_secret: Arn = ""
    # One topic in each region; this region's functions publish to its own.
    invalidation_topic_arns: Annotated[tuple[TopicArn, ...], BeforeValidator(_split)] = ()
    # The URL at which each region's API answers, by the region's name.
    region_endpoints: Json[dict[str, WebUrl]] = {}

    # The claims of a token that name its scopes and its organization.
    scope_claim: Claim = "scope"
    organization_claim: Claim = "organization_id"
    # The user pool, its endpoint of tokens, and the client that the organizations' clients share;
    # on a developer's machine there is no pool.
    user_pool_id: str = ""
    user_pool_endpoint: WebUrl = ""
    tenants_client_id: str = ""
    # Where clients get tokens, for the API's document; its own where this is empty.
    oauth_endpoint: WebUrl = ""

    # JSON, which edge/invoicing.py validates.
    invoice_seller: str = '{"name": "Synaxis Billing"}'
    invoice_series: Series = "INV"
    credit_note_series: Series = "CN"
    fonts_folder: Path = Path("/opt/python/fonts")

    # How long credit lives that a refund gives back of a grant that has ended.
    refund_grace_days: Days = 30
    # Whether an organization is suspended when an invoice of it is given up.
    suspend_uncollectible: bool = False

    month_end_queue_url: WebUrl = ""
    webhook_queue_url: WebUrl = ""
    webhook_results_queue_url: WebUrl = ""
    # Webhooks may also go to http:// URLs and to addresses that are not on the public internet.
    webhooks_to_private: bool = False

    # The sources of exchange rates, in the order in which they are asked.
    fx_sources: Annotated[tuple[FxSource, ...], BeforeValidator(_split)] = ()
    fx_api_url: WebUrl = ""
    fx_api_key: str = ""
    fx_api_key_secret: Arn = ""
    fx_ecb_url: WebUrl = ""
    fx_seed: str = ""

    # Payment providers: what a developer gives, or a secret that contains it as JSON. In a network
    # another function calls them.
    stripe_api_url: WebUrl = ""
    stripe_api_key: str = ""
    stripe_webhook_secret: str = ""
    paypal_api_url: WebUrl = ""
    paypal_client_id: str = ""
    paypal_client_secret: str = ""
    paypal_webhook_id: str = ""
    payment_secret: Arn = ""
    payment_calls_function: str = ""
    payment_queue_url: WebUrl = ""

    @field_validator("invalidation_topic_arns")
    @classmethod
    def _one_is_here(cls, arns: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if arns and _of_region(arns, info.data["aws_region"]) is None:
            raise PydanticCustomError("no_topic_here", "must name a topic in the function's region")
        return arns

    @property
    def invalidation_topic(self) -> str | None:
        """The topic of this region; None where there is no topic."""
        return _of_region(self.invalidation_topic_arns, self.aws_region)

    @property
    def may_connect_at_start(self) -> bool:
        """Whether a connection made before the first request is good in it: a snapshot's is not."""
        return self.aws_lambda_initialization_type in ("on-demand", "provisioned-concurrency")

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
        raise SettingsError(broken_rules(error)) from None


def broken_rules(error: ValidationError, variable: str = "") -> str:
    """Return the rules that an environment breaks, each behind its variable and the place in it."""
    rules = []
    for found in error.errors(include_url=False, include_input=False):
        name, *path = (variable, *found["loc"]) if variable else found["loc"]
        rules.append(f"{str(name).upper()}{pointer(path)} {rule(found)}")
    return "; ".join(rules)


settings()
