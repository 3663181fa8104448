"""The stand-in of the payment providers, and the providers' own SDKs as its clients."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.payments.server import Standin
from tests.support.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def standin(receiver: Receiver) -> Iterator[Standin]:
    """Both providers; webhooks wait until a test releases them."""
    webhooks = {"stripe": receiver.url, "paypal": receiver.url}
    with Standin(webhooks=webhooks).running() as standin:
        standin.deliveries.configure({"held": True})
        yield standin


@pytest.fixture
def stripe(standin: Standin) -> Any:
    """Stripe's own client, without retries."""
    sdk = pytest.importorskip("stripe", reason="needs Stripe's SDK: make test")
    client = sdk.StripeClient(
        standin.secrets.stripe_api_key, base_addresses={"api": standin.url}, max_network_retries=0
    )
    return client.v1


@pytest.fixture
def paypal(standin: Standin) -> Any:
    """PayPal's own client, without retries."""
    name = "paypalserversdk.paypal_serversdk_client"
    sdk = pytest.importorskip(name, reason="needs PayPal's SDK: make test")
    from paypalserversdk.configuration import Environment, Server
    from paypalserversdk.http.auth.o_auth_2 import ClientCredentialsAuthCredentials

    client = sdk.PaypalServersdkClient(
        client_credentials_auth_credentials=ClientCredentialsAuthCredentials(
            standin.secrets.paypal_client_id, standin.secrets.paypal_client_secret
        ),
        environment=Environment.SANDBOX,
        max_retries=0,
    )
    # The SDK knows no other address than PayPal's.
    client.config.environments = {Environment.SANDBOX: {Server.DEFAULT: standin.url}}
    return client
