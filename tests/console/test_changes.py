"""What people change in the console, over the running product."""

import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.console.conftest import (
    NAME,
    Customers,
    check_for_everybody,
    open_context,
    sign_in_as_operator,
)

OTHER = "Dover Legal"
OPERATOR_PAGES = ["", "/spending", "/payments", "/payments?view=all", "/payments?view=unmatched"]
OPERATOR_PAGES += ["/prices", "/unpriced", "/revenue", "/month-end", "/health"]


def _of_other(page: Page, customers: Customers) -> Page:
    sign_in_as_operator(page, customers.url)
    page.goto(f"{customers.url}/console/o/{customers.other_path.rpartition('/')[2]}/operator")
    expect(page.get_by_role("heading", name="Operator")).to_be_visible()
    return page


def test_a_payment_shows_net_tax_and_total_before_the_payer_leaves(
    page: Page, customers: Customers
) -> None:
    page.goto(f"{customers.home}/payments")
    page.get_by_role("button", name="Add credit").click()
    dialog = page.get_by_role("dialog", name="Add credit")
    expect(dialog).to_contain_text("Tax 19 %")
    expect(dialog.get_by_role("button", name=re.compile("Continue to pay €"))).to_be_enabled()
    page.get_by_label("Other").check()
    page.get_by_label("Credit in US dollars").fill("1,234.50")
    expect(dialog.get_by_role("button", name="Continue")).to_be_disabled()


def test_a_customer_changes_what_invoices_print_and_its_alerts(
    page: Page, customers: Customers
) -> None:
    page.goto(f"{customers.home}/settings")
    page.get_by_role("button", name="Change billing details").click()
    page.get_by_label("Street and number").fill("Domstr. 5")
    page.get_by_label("E-mail for invoices").fill("finance@example.com")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("main")).to_contain_text("Domstr. 5")
    expect(page.get_by_role("main")).to_contain_text("finance@example.com")
    page.get_by_role("button", name="Change alerts").click()
    page.get_by_label("When the balance is below").fill("25")
    page.get_by_label("Days before").fill("7")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("main")).to_contain_text("below $25.00")
    expect(page.get_by_role("main")).to_contain_text("7 days before")


def test_a_refused_field_says_why_beside_it(page: Page, customers: Customers) -> None:
    page.goto(f"{customers.home}/settings")
    page.get_by_role("button", name="Change billing details").click()
    page.get_by_label("Country, two letters").fill("XX")
    page.get_by_role("button", name="Save").click()
    field = page.get_by_label("Country, two letters")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert")).to_be_visible()


def test_a_webhook_endpoint_shows_its_secret_once(page: Page, customers: Customers) -> None:
    page.goto(f"{customers.home}/settings")
    page.get_by_role("button", name="New endpoint").click()
    page.get_by_label("Address").fill("http://127.0.0.1:9/billing")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("dialog", name="The endpoint's secret")).to_contain_text("whsec_")
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("cell", name="http://127.0.0.1:9/billing", exact=True)).to_be_visible()
    page.get_by_role("button", name="Change http://127.0.0.1:9/billing").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("cell", name="http://127.0.0.1:9/billing", exact=True)).to_have_count(0)


def test_granting_again_after_a_lost_answer_grants_once(
    browser: Browser, customers: Customers
) -> None:
    context = open_context(browser)
    page = _of_other(context.new_page(), customers)
    keys: list[str] = []

    def lose_the_first_answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route(re.compile("/grants$"), lose_the_first_answer)
    page.get_by_role("button", name="Grant credit").click()
    page.get_by_label("Credit in US dollars").fill("1.25")
    page.get_by_label("What for").fill("Sorry")
    page.get_by_role("button", name="Grant $1.25").click()
    expect(page.get_by_role("alert")).to_contain_text("could not be reached")
    page.get_by_role("button", name="Grant $1.25").click()
    expect(page.get_by_role("status")).to_contain_text("The credit was granted")
    expect(page.get_by_text("$6.25")).to_be_visible()
    assert len(keys) == 2
    assert len(set(keys)) == 1
    context.close()


def test_the_operator_suspends_adjusts_and_multiplies(
    browser: Browser, customers: Customers
) -> None:
    context = open_context(browser)
    page = _of_other(context.new_page(), customers)
    page.get_by_role("button", name="Adjust the balance").click()
    page.get_by_label("Amount in US dollars").fill("-0.50")
    page.get_by_label("Why").fill("Correction")
    page.get_by_role("button", name="Adjust by").click()
    expect(page.get_by_role("status")).to_contain_text("The balance was adjusted")
    page.get_by_role("button", name="Change the multiplier").click()
    page.get_by_label("Everyone's prices").fill("1.2")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("main")).to_contain_text("× 1.2")  # noqa: RUF001
    page.get_by_role("button", name="Suspend").click()
    page.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    expect(page.get_by_role("main")).to_contain_text("Suspended")
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_text("This organization is suspended")).to_be_visible()
    page.get_by_role("link", name="Operator", exact=True).click()
    page.get_by_role("button", name="Activate").click()
    page.get_by_role("dialog").get_by_role("button", name="Activate").click()
    expect(page.get_by_role("status")).to_contain_text("is active")
    context.close()


def test_prices_are_imported_after_a_look_at_what_changes(
    browser: Browser, customers: Customers
) -> None:
    context = open_context(browser)
    page = sign_in_as_operator(context.new_page(), customers.url)
    page.goto(f"{customers.url}/console/prices")
    page.get_by_role("button", name="Import").click()
    page.get_by_label("Prices, as LiteLLM's JSON").fill(
        '{"test-model": {"litellm_provider": "test", "mode": "chat",'
        ' "input_cost_per_token": "2.5e-06", "output_cost_per_token": "1e-05"}}'
    )
    page.get_by_role("button", name="Show what would change").click()
    expect(page.get_by_role("dialog")).to_contain_text("1 new, 0 changed")
    lists: list[Route] = []
    page.route("**/v1/prices?*", lambda route: lists.append(route))
    page.get_by_role("button", name="Import for good").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    # The list comes while a name is being typed, which stays.
    page.get_by_label("Model").fill("test-model")
    expect(page.locator("section[aria-busy=true]")).to_have_count(1)
    for one in lists:
        one.continue_()
    page.unroute("**/v1/prices?*")
    expect(page.locator("section[aria-busy=true]")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.locator(".rows tbody tr")).to_have_count(1)
    expect(page.locator(".rows tbody tr")).to_contain_text("$2.50")
    page.get_by_role("button", name="Quote").click()
    page.get_by_label("Provider").last.fill("test")
    page.get_by_label("Model").last.fill("test-model")
    page.get_by_role("dialog").get_by_role("button", name="Quote").click()
    expect(page.get_by_role("dialog")).to_contain_text("$0.0075")
    context.close()


@pytest.mark.parametrize("path", OPERATOR_PAGES)
def test_everybody_can_use_an_operators_page(
    browser: Browser, customers: Customers, path: str
) -> None:
    context = open_context(browser)
    page = sign_in_as_operator(context.new_page(), customers.url)
    page.goto(f"{customers.url}/console{path}")
    check_for_everybody(page)
    context.close()


def test_a_customer_has_no_page_of_the_operator(page: Page, customers: Customers) -> None:
    page.goto(f"{customers.home}/operator")
    expect(page.get_by_role("heading", name="No such page")).to_be_visible()
    page.goto(f"{customers.url}/console/prices")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.get_by_text(NAME).first).to_be_visible()
