"""Credit is bought from the running product, and the providers are the stand-in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.running import (
    PATIENCE_SECONDS,
    Client,
    start,
    stop,
    wait_until,
    wait_until_ready,
)

GOOD, DECLINED, ASKS = "4242424242424242", "4000000000009995", "4000002760003184"
PAYER = {"name": "Ada", "email": "ada@example.com"}


class Shop:
    """A run of the product, and a client of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.start()

    def start(self) -> None:
        self._process = start(self.home)
        self.client = Client(wait_until_ready(self._process, self.home))

    def stop(self) -> None:
        self.client.close()
        stop(self._process)


@pytest.fixture(scope="module")
def shop(new_home: Callable[[], Path]) -> Iterator[Shop]:
    shop = Shop(new_home())
    yield shop
    shop.stop()


@pytest.fixture
def client(shop: Shop) -> Client:
    return shop.client


def buy(client: Client, organization: str, key: str, provider: str = "stripe") -> Any:
    body = {"provider": provider, "amount_usd": "25", "return_url": "https://example.com/back"}
    return client.post(f"{organization}/payments", body, key).raise_for_status().json()


def submit(url: str, **form: str) -> httpx.Response:
    return httpx.post(url, data=form, trust_env=False, timeout=PATIENCE_SECONDS)


def control(checkout: str, name: str, **wanted: Any) -> Any:
    """Tell the stand-in something; it is where the checkout is."""
    parts = urlsplit(checkout)
    url = f"{parts.scheme}://{parts.netloc}/_standin/{name}"
    answered = httpx.post(url, json=wanted, trust_env=False, timeout=PATIENCE_SECONDS)
    return answered.raise_for_status().json()


def balance(client: Client, organization: str) -> str:
    return str(client.get(f"{organization}/balance").json()["balance_usd"])


def topups(client: Client, organization: str) -> int:
    return len(client.get(f"{organization}/transactions", type="topup").json()["items"])


def test_webhooks_that_come_twice_and_late_credit_a_payment_once(client: Client) -> None:
    organization = client.new_organization(billing_currency="EUR")
    bought = buy(client, organization, "one")
    control(bought["checkout_url"], "webhooks", held=True, delays_seconds=[0, 1])
    assert submit(bought["checkout_url"], number=GOOD, **PAYER).status_code == 303
    assert balance(client, organization) == "0.00"
    sent = control(bought["checkout_url"], "deliver", shuffled=True)
    assert {one["status"] for one in sent} == {200}
    # The customer's came to be before.
    events = [one["event_id"] for one in sent if one["type"] != "customer.created"]
    assert sorted(events) == sorted([*set(events), *set(events)])
    wait_until(lambda: balance(client, organization) == "25.00")
    # The same again, after all of it.
    again = control(bought["checkout_url"], "deliver")
    assert again == []
    control(bought["checkout_url"], "webhooks", held=False)
    shown = client.get(f"{organization}/payments/{bought['id']}").json()
    assert (shown["status"], shown["captured"]) == ("succeeded", shown["amount"])
    assert topups(client, organization) == 1


def test_by_themselves_webhooks_bring_the_credit_of_both_providers(client: Client) -> None:
    organization = client.new_organization(billing_currency="EUR")
    card, paypal = buy(client, organization, "one"), buy(client, organization, "two", "paypal")
    assert submit(card["checkout_url"], number=GOOD, **PAYER).status_code == 303
    assert submit(paypal["checkout_url"], funding="balance").status_code == 303
    wait_until(lambda: balance(client, organization) == "50.00")
    assert topups(client, organization) == 2


def test_what_is_declined_or_abandoned_brings_nothing(client: Client) -> None:
    organization = client.new_organization(billing_currency="EUR")
    bought = buy(client, organization, "one")
    url = bought["checkout_url"]
    assert submit(url, number=DECLINED, **PAYER).status_code == 402
    asked = submit(url, number=ASKS, **PAYER).headers["location"]
    assert submit(asked, answer="refuse").status_code == 402
    shown = client.get(f"{organization}/payments/{bought['id']}").json()
    assert (shown["status"], shown["checkout_url"]) == ("pending", url)
    # Nobody comes back: the page closes after a day.
    control(url, "clock", advance_seconds=86400)
    shown = client.get(f"{organization}/payments/{bought['id']}").json()
    assert shown["status"] == "expired"
    assert balance(client, organization) == "0.00"
    again = buy(client, organization, "two")
    asked = submit(again["checkout_url"], number=ASKS, **PAYER).headers["location"]
    assert submit(asked, answer="confirm").status_code == 303
    assert client.get(f"{organization}/payments/{again['id']}").json()["status"] == "succeeded"
    assert balance(client, organization) == "25.00"


def test_the_standin_keeps_its_payments_for_the_next_run(shop: Shop) -> None:
    organization = shop.client.new_organization()
    bought = buy(shop.client, organization, "one")
    assert submit(bought["checkout_url"], number=GOOD, **PAYER).status_code == 303
    shop.stop()
    assert bought["checkout_url"].rpartition("/")[2] in (shop.home / "payments.json").read_text()
    shop.start()
    shown = shop.client.get(f"{organization}/payments/{bought['id']}").json()
    assert (shown["status"], shown["credited_usd"]) == ("succeeded", "25.00")


def test_a_key_of_live_mode_is_refused(refusal: Callable[..., str]) -> None:
    assert "STRIPE_API_KEY is of live mode" in refusal(STRIPE_API_KEY="sk_live_1")
