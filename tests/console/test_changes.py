"""What people change in the console, over the running product."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.console.conftest import (
    ADDRESS,
    NAME,
    Customers,
    People,
    check_for_everybody,
    go,
    shorten_lists,
)
from tests.support.running import Client

OPERATOR_PAGES = ["", "/spending", "/payments", "/payments?view=all", "/payments?view=unmatched"]
OPERATOR_PAGES += ["/prices", "/unpriced", "/revenue", "/month-end", "/health"]


@pytest.fixture
def settings(people: People, client: Client, customers: Customers) -> Page:
    """The settings of an organization of the test's own."""
    path = client.new_organization(address=ADDRESS)
    page = people.finance(path)
    go(page, f"{customers.home_of(path)}/settings")
    return page


@pytest.fixture
def operated(operator: Page, client: Client, customers: Customers) -> Page:
    """What the operator may do to an organization of the test's own."""
    go(operator, f"{customers.home_of(client.new_organization('5'))}/operator")
    return operator


def test_a_payment_shows_net_tax_and_total_before_the_payer_leaves(
    page: Page, customers: Customers
) -> None:
    go(page, f"{customers.home}/payments")
    page.get_by_role("button", name="Add credit").click()
    dialog = page.get_by_role("dialog", name="Add credit")
    expect(dialog).to_contain_text("Tax 19 %")
    expect(dialog.get_by_role("button", name=re.compile("Continue to pay €"))).to_be_enabled()
    page.get_by_label("Other").check()
    page.get_by_label("Credit in US dollars").fill("1,234.50")
    expect(dialog.get_by_role("button", name="Continue")).to_be_disabled()


def test_a_customer_changes_what_invoices_print_and_its_alerts(settings: Page) -> None:
    settings.get_by_role("button", name="Change billing details").click()
    settings.get_by_label("Street and number").fill("Domstr. 5")
    settings.get_by_label("E-mail for invoices").fill("finance@example.com")
    settings.get_by_role("button", name="Save").click()
    expect(settings.get_by_role("main")).to_contain_text("Domstr. 5")
    expect(settings.get_by_role("main")).to_contain_text("finance@example.com")
    settings.get_by_role("button", name="Change alerts").click()
    settings.get_by_label("When the balance is below").fill("25")
    settings.get_by_label("Days before").fill("7")
    settings.get_by_role("button", name="Save").click()
    expect(settings.get_by_role("main")).to_contain_text("below $25.00")
    expect(settings.get_by_role("main")).to_contain_text("7 days before")


def test_a_refused_field_says_why_beside_it(settings: Page) -> None:
    settings.get_by_role("button", name="Change billing details").click()
    settings.get_by_label("Country, two letters").fill("XX")
    settings.get_by_role("button", name="Save").click()
    field = settings.get_by_label("Country, two letters")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(settings.get_by_role("alert")).to_be_visible()


def test_a_webhook_endpoint_shows_its_secret_once(settings: Page) -> None:
    settings.get_by_role("button", name="New endpoint").click()
    settings.get_by_label("Address").fill("http://127.0.0.1:9/billing")
    settings.get_by_role("button", name="Create", exact=True).click()
    expect(settings.get_by_role("dialog", name="The endpoint's secret")).to_contain_text("whsec_")
    settings.get_by_role("button", name="Done").click()
    listed = settings.get_by_role("cell", name="http://127.0.0.1:9/billing", exact=True)
    expect(listed).to_be_visible()
    settings.get_by_role("button", name="Change http://127.0.0.1:9/billing").click()
    settings.get_by_role("button", name="Remove").click()
    expect(listed).to_have_count(0)


def test_granting_again_after_a_lost_answer_grants_once(operated: Page) -> None:
    keys: list[str] = []

    def lose_the_first_answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    operated.route(re.compile("/grants$"), lose_the_first_answer)
    operated.get_by_role("button", name="Grant credit").click()
    operated.get_by_label("Credit in US dollars").fill("1.25")
    operated.get_by_label("What for").fill("Sorry")
    operated.get_by_role("button", name="Grant $1.25").click()
    expect(operated.get_by_role("alert")).to_contain_text("could not be reached")
    operated.get_by_role("button", name="Grant $1.25").click()
    expect(operated.get_by_role("status")).to_contain_text("The credit was granted")
    expect(operated.get_by_text("$6.25")).to_be_visible()
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_the_operator_suspends_adjusts_and_multiplies(operated: Page) -> None:
    operated.get_by_role("button", name="Adjust the balance").click()
    operated.get_by_label("Amount in US dollars").fill("-0.50")
    operated.get_by_label("Why").fill("Correction")
    operated.get_by_role("button", name="Adjust by").click()
    expect(operated.get_by_role("status")).to_contain_text("The balance was adjusted")
    operated.get_by_role("button", name="Change the multiplier").click()
    operated.get_by_label("Everyone's prices").fill("1.2")
    operated.get_by_role("button", name="Save").click()
    expect(operated.get_by_role("main")).to_contain_text("× 1.2")  # noqa: RUF001
    operated.get_by_role("button", name="Suspend").click()
    operated.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    expect(operated.get_by_role("main")).to_contain_text("Suspended")
    operated.get_by_role("link", name="Overview").click()
    expect(operated.get_by_text("This organization is suspended")).to_be_visible()
    operated.get_by_role("link", name="Operator", exact=True).click()
    operated.get_by_role("button", name="Activate").click()
    operated.get_by_role("dialog").get_by_role("button", name="Activate").click()
    expect(operated.get_by_role("status")).to_contain_text("is active")


def test_prices_are_imported_after_a_look_at_what_changes(
    operator: Page, customers: Customers
) -> None:
    go(operator, f"{customers.url}/console/prices")
    operator.get_by_role("button", name="Import").click()
    operator.get_by_label("Prices, as LiteLLM's JSON").fill(
        '{"test-model": {"litellm_provider": "test", "mode": "chat",'
        ' "input_cost_per_token": "2.5e-06", "output_cost_per_token": "1e-05"}}'
    )
    operator.get_by_role("button", name="Show what would change").click()
    expect(operator.get_by_role("dialog")).to_contain_text("1 new, 0 changed")
    lists: list[Route] = []
    operator.route("**/v1/prices?*", lambda route: lists.append(route))
    operator.get_by_role("button", name="Import for good").click()
    expect(operator.get_by_role("dialog")).to_have_count(0)
    # The list comes while a name is being typed, which stays.
    operator.get_by_label("Model").fill("test-model")
    expect(operator.locator("section[aria-busy=true]")).to_have_count(1)
    for one in lists:
        one.continue_()
    operator.unroute("**/v1/prices?*")
    expect(operator.locator("section[aria-busy=true]")).to_have_count(0)
    operator.keyboard.press("Enter")
    expect(operator.locator(".rows tbody tr")).to_have_count(1)
    expect(operator.locator(".rows tbody tr")).to_contain_text("$2.50")
    operator.get_by_role("button", name="Quote").click()
    operator.get_by_label("Provider").last.fill("test")
    operator.get_by_label("Model").last.fill("test-model")
    operator.get_by_role("dialog").get_by_role("button", name="Quote").click()
    expect(operator.get_by_role("dialog")).to_contain_text("$0.0075")


@pytest.mark.parametrize("path", OPERATOR_PAGES)
def test_everybody_can_use_an_operators_page(
    operator: Page, customers: Customers, path: str
) -> None:
    shorten_lists(operator)
    go(operator, f"{customers.url}/console{path}")
    check_for_everybody(operator)


def test_a_customer_has_no_page_of_the_operator(page: Page, customers: Customers) -> None:
    go(page, f"{customers.home}/operator")
    expect(page.get_by_role("heading", name="No such page")).to_be_visible()
    go(page, f"{customers.url}/console/prices")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.get_by_text(NAME).first).to_be_visible()
