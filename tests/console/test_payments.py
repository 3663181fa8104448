"""A person buys credit and pays an invoice in a browser, at the stand-in of the providers."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.conftest import (
    NAME,
    Customers,
    check_for_everybody,
    open_context,
    sign_in,
    violations,
)
from tests.support.running import Client

TOPPED_UP = "Arden Labs"
BACK = "https://shop.example.com/credit"


@pytest.fixture
def client(customers: Customers) -> Iterator[Client]:
    client = Client(customers.url)
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


@pytest.fixture
def topped_up(client: Client, customers: Customers) -> Customers:
    """An organization that only this test uses."""
    return customers._replace(path=client.new_organization("50", name=f"{TOPPED_UP} {uuid4()}"))


def as_finance(client: Client, browser: Browser, customers: Customers, **options: Any) -> Page:
    name = client.get(customers.path).raise_for_status().json()["name"]
    return sign_in(open_context(browser, **options).new_page(), customers.url, name)


def test_automatic_top_ups_are_switched_on_changed_and_off(
    client: Client, topped_up: Customers, browser: Browser, payer: Page
) -> None:
    page = as_finance(client, browser, topped_up)
    page.goto(f"{topped_up.home}/payments")
    page.get_by_role("button", name="Switch on").click()
    dialog = page.get_by_role("dialog")
    check_for_everybody(page, "auto-topup-form")
    page.get_by_label("Buy credit up to").fill("20")
    expect(dialog.get_by_role("button", name="Switch on")).to_be_disabled()
    page.get_by_label("Buy credit up to").fill("100")
    dialog.get_by_role("button", name="Switch on").click()
    expect(page.get_by_role("alert")).to_contain_text("No card is saved")
    payer.goto(ask(client, topped_up, "save a card", amount_usd="10")["checkout_url"])
    pay(payer, "4242 4242 4242 4242")
    expect(payer.get_by_role("heading", name="Back in the shop")).to_be_visible()
    listed = client.get(f"{topped_up.path}/payments").raise_for_status().json()["items"]
    assert settled(client, topped_up, listed[0]) == "succeeded"
    dialog.get_by_role("button", name="Switch on").click()
    main = page.get_by_role("main")
    expect(main).to_contain_text(
        "When less than $20.00 is available, buy credit up to $100.00,"
        " at most $500.00 a month, with visa 4242."
    )
    check_for_everybody(page, "auto-topup-on")
    page.get_by_role("button", name="Change the automatic top-ups").click()
    page.get_by_label("When less than this is available").fill("30,5")
    dialog.get_by_role("button", name="Save").click()
    expect(main).to_contain_text("When less than $30.50 is available")
    shown = client.get(f"{topped_up.path}/auto-topup").raise_for_status().json()
    assert Decimal(shown["threshold_usd"]) == Decimal("30.5")
    page.get_by_role("button", name="Switch off").click()
    dialog.get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("button", name="Switch on")).to_be_visible()
    assert client.get(f"{topped_up.path}/auto-topup").json()["code"] == "auto_topup_not_found"
    page.context.close()


def test_paused_automatic_top_ups_say_why_and_what_ends_the_pause(
    client: Client, topped_up: Customers, browser: Browser
) -> None:
    page = as_finance(client, browser, topped_up)
    paused = {
        "threshold_usd": "20",
        "target_usd": "100",
        "monthly_limit_usd": "500",
        "charged_this_month_usd": "0",
        "card": "visa 0341",
        "declines": 4,
        "next_attempt_at": None,
        "paused_at": "2026-11-20T08:00:00Z",
        "paused_reason": "insufficient_funds",
    }
    page.route("**/auto-topup", lambda route: route.fulfill(json=paused))
    page.goto(topped_up.home)
    expect(page.get_by_text("the card was declined (insufficient funds)")).to_be_visible()
    check_for_everybody(page, "auto-topup-notice")
    page.get_by_role("link", name="Pay once to go on").click()
    expect(page.get_by_role("dialog", name="Add credit")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Any payment that succeeds ends the pause")).to_be_visible()
    check_for_everybody(page, "auto-topup-paused")
    page.context.close()


def test_credit_that_was_paid_shows_as_added_when_the_payer_returns(
    client: Client, topped_up: Customers, browser: Browser
) -> None:
    page = as_finance(client, browser, topped_up)
    page.goto(f"{topped_up.home}/payments?add=1")
    page.get_by_role("button", name="Continue to pay $100.00").click()
    page.get_by_role("link", name="Cancel and return").click()
    expect(page.get_by_text("The payment of $100.00 is pending.")).to_be_visible()
    check_for_everybody(page, "returned-pending")
    page.get_by_role("link", name="Go on paying").click()
    pay(page, "4242 4242 4242 4242")
    expect(page.get_by_text("$100.00 was paid.")).to_be_visible()
    expect(page.get_by_text("$100.00 of credit was added")).to_be_visible()
    expect(page.get_by_role("cell", name="Succeeded")).to_be_visible()
    check_for_everybody(page, "returned-paid")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("$100.00 was paid.")).to_have_count(0)
    balance = client.get(f"{topped_up.path}/balance").raise_for_status().json()
    assert Decimal(balance["available_usd"]) == Decimal(150)
    page.context.close()


def test_a_payment_that_nobody_completed_in_time_says_that_nothing_was_taken(
    client: Client, topped_up: Customers, browser: Browser
) -> None:
    payment = ask(client, topped_up, "expires", amount_usd="10")
    listed = client.get(f"{topped_up.path}/payments").raise_for_status().json()["items"][0]
    page = as_finance(client, browser, topped_up)
    expired = {**listed, "status": "expired", "checkout_url": None}
    page.route(f"**/payments/{payment['id']}", lambda route: route.fulfill(json=expired))
    page.goto(f"{topped_up.home}/payments?returned=credit")
    expect(page.get_by_text("Nobody paid $10.00 in time.")).to_be_visible()
    expect(page.get_by_text("Nothing was taken.")).to_be_visible()
    page.context.close()


def issued_invoice(client: Client, customers: Customers) -> Any:
    """A postpaid customer's invoice of today, which credit does not settle."""
    client.http.patch(customers.path, json={"credit_limit_usd": "100"}).raise_for_status()
    spent = {"amount_usd": "62.50", "description": "chat"}
    client.post(f"{customers.path}/charges", spent, "charge").raise_for_status()
    now = datetime.now(UTC)
    period = {
        "period_start": f"{now - timedelta(days=1):%Y-%m-%dT00:00:00Z}",
        "period_end": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",
    }
    drafted = client.post(f"{customers.path}/invoices", period).raise_for_status().json()
    issued = client.post(f"{customers.path}/invoices/{drafted['id']}/issue")
    return issued.raise_for_status().json()


def test_an_issued_invoice_is_paid_from_its_page_and_shows_as_paid(
    client: Client, topped_up: Customers, browser: Browser
) -> None:
    invoice = issued_invoice(client, topped_up)
    page = as_finance(client, browser, topped_up)
    page.goto(topped_up.home)
    expect(page.get_by_text("An invoice is to be paid by")).to_be_visible()
    page.goto(f"{topped_up.home}/invoices?invoice={invoice['id']}")
    check_for_everybody(page, "invoice-to-pay")
    page.get_by_role("button", name="Pay $12.50").click()
    pay(page, "4242 4242 4242 4242")
    expect(page.get_by_text("$12.50 was paid.")).to_be_visible()
    page.get_by_role("link", name="See the invoice").click()
    drawer = page.get_by_role("dialog", name=invoice["invoice_number"])
    expect(drawer).to_contain_text("Paid")
    expect(drawer.get_by_role("button", name="Pay $12.50")).to_have_count(0)
    assert client.get(f"{topped_up.path}/invoices/{invoice['id']}").json()["status"] == "paid"
    page.context.close()


def test_an_invoice_is_paid_by_paypal(
    client: Client, topped_up: Customers, browser: Browser
) -> None:
    invoice = issued_invoice(client, topped_up)
    page = as_finance(client, browser, topped_up)
    page.goto(f"{topped_up.home}/invoices?invoice={invoice['id']}")
    page.get_by_label("PayPal").check()
    page.get_by_role("button", name="Pay $12.50").click()
    page.get_by_role("button", name="Pay with balance").click()
    expect(page.get_by_text("$12.50 was paid.")).to_be_visible()
    page.context.close()


def test_who_may_only_read_has_no_button_to_pay(
    client: Client, topped_up: Customers, browser: Browser
) -> None:
    invoice = issued_invoice(client, topped_up)
    name = client.get(topped_up.path).json()["name"]
    page = sign_in(open_context(browser).new_page(), topped_up.url, name, "engineer")
    page.goto(f"{topped_up.home}/invoices?invoice={invoice['id']}")
    expect(page.get_by_role("dialog").locator(".sums").first).to_be_visible()
    expect(page.get_by_role("button", name="Pay $12.50")).to_have_count(0)
    page.context.close()
