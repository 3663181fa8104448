"""Payment providers: where they are called from, and with whose credentials.

In a network without a way to the internet, a function outside of it makes the calls.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

from synaxis_billing.caller import Caller
from synaxis_billing.edge.aws import secrets
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.settings import settings
from synaxis_billing.payments.advancing import Access
from synaxis_billing.payments.paypal import PayPal
from synaxis_billing.payments.providers import (
    Call,
    Provider,
    ProviderName,
    Result,
    perform,
)
from synaxis_billing.payments.stripe import Stripe

_SECRETS = (
    "stripe_api_key",
    "stripe_webhook_secret",
    "paypal_client_id",
    "paypal_client_secret",
    "paypal_webhook_id",
)


def access(caller: Caller) -> Access:
    """Return how a caller's payments are reached."""
    return Access(connection, call, caller)


def call(asked: Call) -> Result:
    """Call a provider from here, or by the function that can reach it."""
    if function := settings().payment_calls_function:
        return _invoke(function, asked)
    return call_provider(asked)


def call_provider(asked: Call) -> Result:
    """Call a provider from here."""
    return perform(_providers(), asked)


@functools.cache
def _providers() -> Mapping[ProviderName, Provider]:
    """Return the providers that are configured. Raises LookupError."""
    given = {name: getattr(settings(), name) for name in _SECRETS}
    if arn := settings().payment_secret:
        stored = _read_secret(arn)
        given = {name: stored.get(name, of) for name, of in given.items()}
    found: dict[ProviderName, Provider] = {}
    if given["stripe_api_key"]:
        webhook_secrets = [text.strip() for text in given["stripe_webhook_secret"].split(",")]
        found["stripe"] = Stripe(
            settings().stripe_api_url,
            given["stripe_api_key"],
            [text for text in webhook_secrets if text],
        )
    if given["paypal_client_id"]:
        found["paypal"] = PayPal(
            settings().paypal_api_url,
            given["paypal_client_id"],
            given["paypal_client_secret"],
            given["paypal_webhook_id"],
        )
    return found


def _read_secret(arn: str) -> dict[str, str]:
    """Return the members of the secret. Raises LookupError, whose message shows none of them."""
    try:
        stored = json.loads(secrets.secret(arn))
    except ValueError:
        stored = None
    if not isinstance(stored, dict) or not stored.keys() <= set(_SECRETS):
        raise LookupError(f"the secret {arn} must be JSON with some of {', '.join(_SECRETS)}")
    return {name: str(text) for name, text in stored.items()}


def _invoke(function: str, asked: Call) -> Result:
    """Call a provider by a function. What it did not answer may have happened."""
    # Not at the top: only in a network.
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = _lambda().invoke(FunctionName=function, Payload=asked.model_dump_json().encode())
        body: Any = json.loads(answer["Payload"].read())
        if "FunctionError" not in answer:
            return Result.model_validate(body)
    except (BotoCoreError, ClientError) as error:
        return Result(no_answer=f"the call was not made: {type(error).__name__}")
    return Result(no_answer=f"the call failed: {body.get('errorType')}")


@functools.cache
def _lambda() -> Any:
    import boto3
    from botocore.config import Config

    # A second try is made by who settles, under the provider's own key.
    once = Config(connect_timeout=2, read_timeout=28, retries={"total_max_attempts": 1})
    return boto3.client("lambda", region_name=settings().aws_region, config=once)
