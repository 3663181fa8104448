"""What the product and its payment providers agree on: the real ones, or the stand-in."""

from collections.abc import Mapping
from typing import NamedTuple


class Secrets(NamedTuple):
    """What the merchant and the providers share."""

    stripe_api_key: str = "sk_test_standin"
    stripe_webhook_secret: str = "whsec_standin"
    paypal_client_id: str = "standin-client"
    paypal_client_secret: str = "standin-secret"
    paypal_webhook_id: str = "WHSTANDIN"


class Provider(NamedTuple):
    """The real provider answers where the variable `chosen_by` is set."""

    name: str
    chosen_by: str
    test_url: str


PROVIDERS = (
    Provider("stripe", "STRIPE_API_KEY", "https://api.stripe.com"),
    Provider("paypal", "PAYPAL_CLIENT_ID", "https://api-m.sandbox.paypal.com"),
)


def choose(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The settings of the real providers, and the names of those to stand in for.

    Raises ValueError for a key of live mode: a trial moves no money.
    """
    if environment.get("STRIPE_API_KEY", "").startswith(("sk_live_", "rk_live_")):
        raise ValueError("STRIPE_API_KEY is of live mode; give one of test mode.")
    if environment.get("PAYPAL_API_URL", "").startswith("https://api-m.paypal.com"):
        raise ValueError("PAYPAL_API_URL is of live mode; leave it out for PayPal's sandbox.")
    settings: dict[str, str] = {}
    missing = []
    for provider in PROVIDERS:
        if not environment.get(provider.chosen_by):
            missing.append(provider.name)
            continue
        url = f"{provider.name.upper()}_API_URL"
        settings[url] = environment.get(url) or provider.test_url
        settings |= {name: environment.get(name, "") for name in variables(provider.name)}
    return settings, missing


def variables(provider: str) -> dict[str, str]:
    """A provider's secrets, by the names of the product's settings, as the stand-in has them."""
    secrets = Secrets()._asdict()
    return {name.upper(): of for name, of in secrets.items() if name.startswith(provider)}


def stand_in(provider: str, url: str) -> dict[str, str]:
    """The settings with which the stand-in at `url` is the provider."""
    return {f"{provider.upper()}_API_URL": url, **variables(provider)}
