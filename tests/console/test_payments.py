"""A person buys credit and pays an invoice in a browser, at the stand-in of the providers."""

import http.server
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import (
    ADDRESS,
    Customers,
    People,
    check_for_everybody,
    go,
    violations,
)
from tests.support.running import Client


class _Shop(http.server.BaseHTTPRequestHandler):
    """Where payers return to."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>Back in the shop</h1>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    """The address of a shop that sells credit."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Shop) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/credit"
        server.shutdown()


@pytest.fixture
def payer(people: People) -> Page:
    return people.stranger()


@pytest.fixture
def organization(client: Client) -> str:
    """The path of an organization of the test's own, which has credit."""
    profile = {"tax": {"label": "VAT", "rate_percent": "19"}, "address": ADDRESS}
    return client.new_organization("50", billing_currency="EUR", **profile)


@pytest.fixture
def in_dollars(client: Client) -> str:
    """The path of one that pays in US dollars."""
    return client.new_organization("50")


def ask(client: Client, path: str, back: str, **wanted: str) -> Any:
    """A new payment of an organization, whose payer returns to this address."""
    body = {"provider": "stripe", "return_url": back, **wanted}
    return client.post(f"{path}/payments", body, f"{path} {wanted}").raise_for_status().json()


def pay(page: Page, number: str) -> None:
    page.get_by_label("Card number").fill(number)
    page.get_by_role("button", name="Pay", exact=True).click()


def look(page: Page, name: str) -> None:
    """Check the page as everybody meets it; keep a picture of it where SCREENSHOTS says."""
    assert violations(page) == []
    expect(page.get_by_role("banner")).to_contain_text("no money moves")
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def settled(client: Client, path: str, payment: Any) -> str:
    shown = client.get(f"{path}/payments/{payment['id']}").raise_for_status()
    return str(shown.json()["status"])


def issued_invoice(client: Client, path: str) -> Any:
    """A postpaid customer's invoice of today, which credit does not settle."""
    client.http.patch(path, json={"credit_limit_usd": "100"}).raise_for_status()
    spent = {"amount_usd": "62.50", "description": "chat"}
    client.post(f"{path}/charges", spent, f"charge {path}").raise_for_status()
    now = datetime.now(UTC)
    period = {
        "period_start": f"{now - timedelta(days=1):%Y-%m-%dT00:00:00Z}",
        "period_end": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",
    }
    drafted = client.post(f"{path}/invoices", period).raise_for_status().json()
    issued = client.post(f"{path}/invoices/{drafted['id']}/issue")
    return issued.raise_for_status().json()


def test_a_payer_is_declined_and_buys_credit_with_another_card(
    client: Client, customers: Customers, organization: str, people: People, payer: Page, shop: str
) -> None:
    payment = ask(client, organization, shop, amount_usd="25")
    payer.goto(payment["checkout_url"])
    expect(payer.get_by_text(f"{payment['amount']} EUR").first).to_be_visible()
    look(payer, "checkout")
    pay(payer, "4000 0000 0000 9995")
    expect(payer.get_by_role("alert")).to_contain_text("insufficient funds")
    look(payer, "declined")
    pay(payer, "4242 4242 4242 4242")
    expect(payer.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert settled(client, organization, payment) == "succeeded"
    payer.goto(payment["checkout_url"])
    expect(payer.get_by_text("It has been paid.")).to_be_visible()
    look(payer, "closed")
    # The customer sees it in the console.
    page = people.finance(organization)
    go(page, f"{customers.home_of(organization)}/transactions?type=topup")
    expect(page.get_by_text("Payment by card").first).to_be_visible()
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / "transactions.png", full_page=True)


def test_a_payer_proves_to_be_the_holder_of_the_card(
    client: Client, organization: str, payer: Page, shop: str
) -> None:
    payment = ask(client, organization, shop, amount_usd="10")
    payer.goto(payment["checkout_url"])
    pay(payer, "4000 0027 6000 3184")
    expect(payer.get_by_role("heading", name="3-D Secure")).to_be_visible()
    look(payer, "authenticate")
    payer.get_by_role("button", name="Refuse").click()
    expect(payer.get_by_role("alert")).to_contain_text("unable to authenticate")
    assert settled(client, organization, payment) == "pending"
    payer.goto(payment["checkout_url"])
    pay(payer, "4000 0027 6000 3184")
    payer.get_by_role("button", name="Confirm").click()
    expect(payer.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert settled(client, organization, payment) == "succeeded"


def test_a_payer_who_leaves_pays_nothing(
    client: Client, organization: str, payer: Page, shop: str
) -> None:
    payment = ask(client, organization, shop, amount_usd="10")
    payer.goto(payment["checkout_url"])
    payer.get_by_role("link", name="Cancel and return").click()
    expect(payer.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert settled(client, organization, payment) == "pending"


def test_an_invoice_is_paid_on_the_providers_page(
    client: Client, organization: str, payer: Page, shop: str
) -> None:
    invoice = issued_invoice(client, organization)
    assert invoice["status"] == "issued"
    payment = ask(client, organization, shop, invoice_id=invoice["id"])
    payer.goto(payment["checkout_url"])
    expect(payer.get_by_text("Invoice").first).to_be_visible()
    pay(payer, "5555 5555 5555 4444")
    expect(payer.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert settled(client, organization, payment) == "succeeded"
    shown = client.get(f"{organization}/invoices/{invoice['id']}").json()
    assert shown["status"] == "paid"


def test_credit_is_bought_by_paypal(
    client: Client, organization: str, payer: Page, shop: str
) -> None:
    payment = ask(client, organization, shop, provider="paypal", amount_usd="10")
    payer.goto(payment["checkout_url"])
    look(payer, "paypal")
    payer.get_by_role("button", name="Pay with balance").click()
    expect(payer.get_by_role("heading", name="Back in the shop")).to_be_visible()
    assert settled(client, organization, payment) == "succeeded"
    payer.goto(payment["checkout_url"].partition("/checkoutnow")[0])
    expect(payer.get_by_role("heading", name="Payments")).to_be_visible()
    look(payer, "overview")


def test_automatic_top_ups_are_switched_on_changed_and_off(
    client: Client, customers: Customers, in_dollars: str, people: People, payer: Page, shop: str
) -> None:
    page = people.finance(in_dollars)
    go(page, f"{customers.home_of(in_dollars)}/payments")
    page.get_by_role("button", name="Switch on").click()
    dialog = page.get_by_role("dialog")
    check_for_everybody(page, "auto-topup-form")
    page.get_by_label("Buy credit up to").fill("20")
    expect(dialog.get_by_role("button", name="Switch on")).to_be_disabled()
    page.get_by_label("Buy credit up to").fill("100")
    dialog.get_by_role("button", name="Switch on").click()
    expect(page.get_by_role("alert")).to_contain_text("No card is saved")
    payer.goto(ask(client, in_dollars, shop, amount_usd="10")["checkout_url"])
    pay(payer, "4242 4242 4242 4242")
    expect(payer.get_by_role("heading", name="Back in the shop")).to_be_visible()
    listed = client.get(f"{in_dollars}/payments").raise_for_status().json()["items"]
    assert settled(client, in_dollars, listed[0]) == "succeeded"
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
    shown = client.get(f"{in_dollars}/auto-topup").raise_for_status().json()
    assert Decimal(shown["threshold_usd"]) == Decimal("30.5")
    page.get_by_role("button", name="Switch off").click()
    dialog.get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("button", name="Switch on")).to_be_visible()
    assert client.get(f"{in_dollars}/auto-topup").json()["code"] == "auto_topup_not_found"


def test_paused_automatic_top_ups_say_why_and_what_ends_the_pause(
    customers: Customers, in_dollars: str, people: People
) -> None:
    page = people.finance(in_dollars)
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
    go(page, customers.home_of(in_dollars))
    expect(page.get_by_text("the card was declined (insufficient funds)")).to_be_visible()
    check_for_everybody(page, "auto-topup-notice")
    page.get_by_role("link", name="Pay once to go on").click()
    expect(page.get_by_role("dialog", name="Add credit")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Any payment that succeeds ends the pause")).to_be_visible()
    check_for_everybody(page, "auto-topup-paused")


def test_credit_that_was_paid_shows_as_added_when_the_payer_returns(
    client: Client, customers: Customers, in_dollars: str, people: People
) -> None:
    page = people.finance(in_dollars)
    go(page, f"{customers.home_of(in_dollars)}/payments?add=1")
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
    balance = client.get(f"{in_dollars}/balance").raise_for_status().json()
    assert Decimal(balance["available_usd"]) == Decimal(150)


def test_a_payment_that_nobody_completed_in_time_says_that_nothing_was_taken(
    client: Client, customers: Customers, in_dollars: str, people: People
) -> None:
    payment = ask(client, in_dollars, "https://shop.example.com", amount_usd="10")
    listed = client.get(f"{in_dollars}/payments").raise_for_status().json()["items"][0]
    page = people.finance(in_dollars)
    expired = {**listed, "status": "expired", "checkout_url": None}
    page.route(f"**/payments/{payment['id']}", lambda route: route.fulfill(json=expired))
    go(page, f"{customers.home_of(in_dollars)}/payments?returned=credit")
    expect(page.get_by_text("Nobody paid $10.00 in time.")).to_be_visible()
    expect(page.get_by_text("Nothing was taken.")).to_be_visible()


def test_an_issued_invoice_is_paid_from_its_page_and_shows_as_paid(
    client: Client, customers: Customers, in_dollars: str, people: People
) -> None:
    invoice = issued_invoice(client, in_dollars)
    page = people.finance(in_dollars)
    go(page, customers.home_of(in_dollars))
    expect(page.get_by_text("An invoice is to be paid by")).to_be_visible()
    go(page, f"{customers.home_of(in_dollars)}/invoices?invoice={invoice['id']}")
    check_for_everybody(page, "invoice-to-pay")
    page.get_by_role("button", name="Pay $12.50").click()
    pay(page, "4242 4242 4242 4242")
    expect(page.get_by_text("$12.50 was paid.")).to_be_visible()
    page.get_by_role("link", name="See the invoice").click()
    drawer = page.get_by_role("dialog", name=invoice["invoice_number"])
    expect(drawer).to_contain_text("Paid")
    expect(drawer.get_by_role("button", name="Pay $12.50")).to_have_count(0)
    assert client.get(f"{in_dollars}/invoices/{invoice['id']}").json()["status"] == "paid"


def test_an_invoice_is_paid_by_paypal(
    client: Client, customers: Customers, in_dollars: str, people: People
) -> None:
    invoice = issued_invoice(client, in_dollars)
    page = people.finance(in_dollars)
    go(page, f"{customers.home_of(in_dollars)}/invoices?invoice={invoice['id']}")
    page.get_by_label("PayPal").check()
    page.get_by_role("button", name="Pay $12.50").click()
    page.get_by_role("button", name="Pay with balance").click()
    expect(page.get_by_text("$12.50 was paid.")).to_be_visible()


def test_who_may_only_read_has_no_button_to_pay(
    client: Client, customers: Customers, in_dollars: str, people: People
) -> None:
    invoice = issued_invoice(client, in_dollars)
    page = people.engineer(in_dollars)
    go(page, f"{customers.home_of(in_dollars)}/invoices?invoice={invoice['id']}")
    expect(page.get_by_role("dialog").locator(".sums").first).to_be_visible()
    expect(page.get_by_role("button", name="Pay $12.50")).to_have_count(0)
