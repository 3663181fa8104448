"""A person buys credit and pays an invoice in a browser, at the stand-in of the providers."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.conftest import NAME, Customers, open_context, sign_in, violations
from tests.support.running import EVERYTHING, Client

BACK = "https://shop.example.com/credit"


@pytest.fixture
def client(customers: Customers) -> Iterator[Client]:
    client = Client(customers.url, f"{EVERYTHING} billing:pay")
    yield client
    client.close()


@pytest.fixture
def payer(browser: Browser) -> Iterator[Page]:
    """The page of a payer, whose shop answers."""
    context = open_context(browser)
    page = context.new_page()
    page.route(f"{BACK}**", lambda route: route.fulfill(body="<h1>Back in the shop</h1>"))
    yield page
    context.close()


def ask(client: Client, customers: Customers, key: str, **wanted: str) -> Any:
    body = {"provider": "stripe", "return_url": BACK, **wanted}
    return client.post(f"{customers.path}/payments", body, key).raise_for_status().json()


def pay(page: Page, number: str) -> None:
    page.get_by_label("Card number").fill(number)
    page.get_by_role("button", name="Pay", exact=True).click()


def look(page: Page, name: str) -> None:
    """Check the page as everybody meets it; keep a picture of it where SCREENSHOTS says."""
    assert violations(page) == []
    expect(page.get_by_role("banner")).to_contain_text("no money moves")
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def settled(client: Client, customers: Customers, payment: Any) -> str:
    shown = client.get(f"{customers.path}/payments/{payment['id']}").raise_for_status()
    return str(shown.json()["status"])


def test_a_payer_is_declined_and_buys_credit_with_another_card(
    client: Client, customers: Customers, payer: Page, browser: Browser
) -> None:
    payment = ask(client, customers, "decline, then buy", amount_usd="25")
    payer.goto(payment["checkout_url"])
    expect(payer.get_by_text(f"{payment['amount']} EUR").first).to_be_visible()
    look(payer, "checkout")
    pay(payer, "4000 0000 0000 9995")
    expect(payer.get_by_role("alert")).to_contain_text("insufficient funds")
    look(payer, "declined")
    pay(payer, "4242 4242 4242 4242")
    expect(payer.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert settled(client, customers, payment) == "succeeded"
    payer.goto(payment["checkout_url"])
    expect(payer.get_by_text("It has been paid.")).to_be_visible()
    look(payer, "closed")
    # The customer sees it in the console.
    context = open_context(browser)
    page = sign_in(context.new_page(), customers.url, NAME)
    page.goto(f"{customers.home}/transactions?type=topup")
    expect(page.get_by_text("Payment by card").first).to_be_visible()
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / "transactions.png", full_page=True)
    context.close()


def test_a_payer_proves_to_be_the_holder_of_the_card(
    client: Client, customers: Customers, payer: Page
) -> None:
    payment = ask(client, customers, "3-D Secure", amount_usd="10")
    payer.goto(payment["checkout_url"])
    pay(payer, "4000 0027 6000 3184")
    expect(payer.get_by_role("heading", name="3-D Secure")).to_be_visible()
    look(payer, "authenticate")
    payer.get_by_role("button", name="Refuse").click()
    expect(payer.get_by_role("alert")).to_contain_text("unable to authenticate")
    assert settled(client, customers, payment) == "pending"
    payer.goto(payment["checkout_url"])
    pay(payer, "4000 0027 6000 3184")
    payer.get_by_role("button", name="Confirm").click()
    expect(payer.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert settled(client, customers, payment) == "succeeded"


def test_a_payer_who_leaves_pays_nothing(client: Client, customers: Customers, payer: Page) -> None:
    payment = ask(client, customers, "leave", amount_usd="10")
    payer.goto(payment["checkout_url"])
    payer.get_by_role("link", name="Cancel and return").click()
    expect(payer.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert settled(client, customers, payment) == "pending"


def test_an_invoice_is_paid_on_the_providers_page(
    client: Client, customers: Customers, payer: Page
) -> None:
    path = client.new_organization(name="Postpaid", billing_currency="EUR", credit_limit_usd="100")
    client.post(
        f"{path}/charges", {"amount_usd": "12.50", "description": "chat"}, "charge"
    ).raise_for_status()
    now = datetime.now(UTC)
    period = {
        "period_start": f"{now - timedelta(days=1):%Y-%m-%dT00:00:00Z}",
        "period_end": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",
    }
    drafted = client.post(f"{path}/invoices", period).raise_for_status().json()
    issued = client.post(f"{path}/invoices/{drafted['id']}/issue").raise_for_status().json()
    assert issued["status"] == "issued"
    postpaid = customers._replace(path=path)
    payment = ask(client, postpaid, "invoice", invoice_id=issued["id"])
    payer.goto(payment["checkout_url"])
    expect(payer.get_by_text("Invoice").first).to_be_visible()
    pay(payer, "5555 5555 5555 4444")
    expect(payer.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert settled(client, postpaid, payment) == "succeeded"
    shown = client.get(f"{path}/invoices/{issued['id']}").json()
    assert shown["status"] == "paid"


def test_credit_is_bought_by_paypal(client: Client, customers: Customers, payer: Page) -> None:
    payment = ask(client, customers, "paypal", provider="paypal", amount_usd="10")
    payer.goto(payment["checkout_url"])
    look(payer, "paypal")
    payer.get_by_role("button", name="Pay with balance").click()
    expect(payer.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert settled(client, customers, payment) == "succeeded"
    payer.goto(payment["checkout_url"].partition("/checkoutnow")[0])
    expect(payer.get_by_role("heading", name="Payments")).to_be_visible()
    look(payer, "overview")
