"""Each page of the console while it loads, when it fails, with nothing to show and with very much,
and as people set their browsers."""

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Error, Page, Route, expect
from pypdf import PdfReader

from tests.console.conftest import (
    DESKTOP,
    NAME,
    PHONE,
    Customers,
    People,
    go,
    id_of,
    open_within,
    sign_in,
    violations,
    wait_until_shown,
)
from tests.support.running import Client

MANY_NAME = "Very busy"
MANY = 10_000
ROWS = ".rows tbody tr:not(.day)"
PROBLEM = {"detail": "The database is switching over.", "request_id": "0330eff2"}
API = re.compile("/v1/|/health$")
# How far the page scrolls sideways, once what follows its width has been drawn.
SIDEWAYS = """async () => {
    for (const _ of 'ab') await new Promise(requestAnimationFrame);
    return document.documentElement.scrollWidth - innerWidth;
}"""
# Texts that are longer than the place that they are cut to.
CUT = """[...document.querySelectorAll('main *, dialog *')].filter(of => {
    const { overflowX, clipPath } = getComputedStyle(of);
    return ['hidden', 'clip'].includes(overflowX) && clipPath === 'none'
        && of.scrollWidth > of.clientWidth + 1;
}).map(of => of.outerHTML.slice(0, 100))"""
# 1280 pixels at 200 %, and at 400 % (WCAG 1.4.10).
ENLARGED = (640, 320)
# https://www.w3.org/WAI/WCAG22/Understanding/text-spacing.html
SPACED = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important;
        word-spacing: 0.16em !important; } p { margin-block-end: 2em !important; }`);
    document.adoptedStyleSheets = [sheet];
}"""
# Each page, and its text for nothing.
CUSTOMER_PAGES = {
    "": "No transactions yet",
    "/transactions": "No transactions yet",
    "/credit": "No credit is left",
    "/budgets": "No budgets yet",
    "/invoices": "No invoices yet",
    "/payments": "No payments yet",
    "/settings": "No events yet",
}
OPERATOR_PAGES = [
    *("", "/spending", "/payments", "/prices"),
    *("/unpriced", "/revenue", "/month-end", "/health"),
]
# The same, with a query by which there is nothing.
EMPTY = {
    "": ("?q=unheard-of", "No organization has this name"),
    "/spending": ("", "Nothing was spent in this period"),
    "/payments": ("", "No payment is in doubt"),
    "/prices": ("?provider=nobody", "No price matches"),
    "/unpriced": ("", "Every call has a price"),
    "/revenue": ("?month=2020-01", "No entries"),
    "/month-end": ("?month=2020-01", "No organization is billed for this month"),
}


@pytest.fixture(scope="module")
def many(client: Client, customers: Customers) -> str:
    """The path of an organization with ten thousand transactions, which were copied from one."""
    path = client.new_organization("100", name=MANY_NAME)
    with psycopg.connect(customers.admin_url) as database:
        database.execute(
            "INSERT INTO billing.credit_transactions SELECT copied.*"
            " FROM billing.credit_transactions AS t, generate_series(1, %s) AS n,"
            " jsonb_populate_record(t, jsonb_build_object('id', uuidv7(), 'version', 1000 + n,"
            " 'created_at', t.created_at - interval '1 minute' * n)) AS copied"
            " WHERE t.organization_id = %s",
            [MANY - 1, id_of(path)],
        )
    return path


@pytest.fixture
def newcomer(people: People, customers: Customers) -> Page:
    return people.finance(customers.empty_path)


@contextlib.contextmanager
def answering(page: Page, answer: Callable[[Route], Any]) -> Iterator[None]:
    """The API's answers to what the page asks are these."""
    page.route(API, answer)
    try:
        yield
    finally:
        page.unroute(API)


def check_states(page: Page, base: str, path: str) -> None:
    """A page keeps the place of what loads, says what failed, and gets it when asked again."""
    waiting: list[Route] = []
    answers: list[Callable[[Route], None]] = [waiting.append]

    def refuse(route: Route) -> None:
        # The page may have given up a request meanwhile.
        with contextlib.suppress(Error):
            route.fulfill(status=503, json=PROBLEM)

    go(page, f"{base}/nowhere")
    with answering(page, lambda route: answers[-1](route)):
        go(page, base + path)
        expect(page.locator(".skeleton").first).to_be_visible()
        expect(page.locator("h1")).to_have_count(1)
        expect(page.get_by_role("alert")).to_have_count(0)
        answers.append(refuse)
        for route in waiting:
            refuse(route)
        expect(page.locator(".skeleton")).to_have_count(0)
        alert = page.get_by_role("alert").first
        expect(alert).to_contain_text(PROBLEM["detail"])
        expect(alert).to_contain_text(PROBLEM["request_id"])
        if path == "":
            assert violations(page) == []
    page.get_by_role("button", name="Try again").evaluate_all(
        "all => all.forEach(of => of.click())"
    )
    expect(page.get_by_role("alert")).to_have_count(0)
    wait_until_shown(page)


@pytest.mark.parametrize("path", CUSTOMER_PAGES)
def test_a_customers_page_loads_fails_and_is_tried_again(
    page: Page, customers: Customers, path: str
) -> None:
    check_states(page, customers.home, path)


@pytest.mark.parametrize("path", OPERATOR_PAGES)
def test_an_operators_page_loads_fails_and_is_tried_again(
    operator: Page, customers: Customers, path: str
) -> None:
    check_states(operator, f"{customers.url}/console", path)


@pytest.mark.parametrize(("path", "text"), CUSTOMER_PAGES.items())
def test_a_customers_page_says_that_there_is_nothing_yet(
    newcomer: Page, customers: Customers, path: str, text: str
) -> None:
    go(newcomer, f"{customers.home_of(customers.empty_path)}{path}")
    expect(newcomer.get_by_text(text)).to_be_visible()
    wait_until_shown(newcomer)
    expect(newcomer.get_by_role("alert")).to_have_count(0)
    if path == "":
        # Without a forecast, no day is named.
        expect(newcomer.locator(".runs-out")).to_contain_text("too early to say")
        assert violations(newcomer) == []


@pytest.mark.parametrize(("path", "query", "text"), [(path, *of) for path, of in EMPTY.items()])
def test_an_operators_page_says_that_there_is_nothing(
    operator: Page, path: str, query: str, text: str
) -> None:
    def long_ago(route: Route) -> None:
        month = "from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z"
        route.continue_(url=re.sub("from=[^&]*&to=[^&]*", month, route.request.url))

    with answering(operator, long_ago):
        go(operator, f"/console{path}{query}")
        expect(operator.get_by_text(text)).to_be_visible()
        wait_until_shown(operator)
    expect(operator.get_by_role("alert")).to_have_count(0)


def test_a_profile_that_cannot_be_read_is_asked_for_again(
    operator: Page, customers: Customers
) -> None:
    go(operator, "/console")
    with answering(operator, lambda route: route.fulfill(status=503, json=PROBLEM)):
        go(operator, f"{customers.home}/settings")
        expect(operator.get_by_role("alert")).to_contain_text(PROBLEM["detail"])
    operator.get_by_role("button", name="Try again").click()
    expect(operator.get_by_role("heading", name="Settings")).to_be_visible()
    wait_until_shown(operator)


def test_who_may_not_pay_is_offered_nothing_to_pay(people: People, customers: Customers) -> None:
    page = people.engineer(customers.path)
    go(page, customers.home)
    wait_until_shown(page)
    pages = page.get_by_role("navigation", name="Pages")
    expect(pages.get_by_role("link", name="Invoices")).to_be_visible()
    expect(pages.get_by_role("link", name="Payments")).to_have_count(0)
    expect(page.get_by_role("link", name="Add credit")).to_have_count(0)
    go(page, f"{customers.home}/payments?add=1")
    expect(page.get_by_role("heading", name="No such page")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    go(page, f"{customers.home}/invoices")
    page.locator(".rows .what > a").first.click()
    expect(page.locator("dialog .sums").first).to_be_visible()
    expect(page.get_by_role("dialog").get_by_role("button", name=re.compile("^Pay"))).to_have_count(
        0
    )


def test_ten_thousand_transactions_are_paged_in_both_directions(
    operator: Page, client: Client, customers: Customers, many: str
) -> None:
    def shown(of: dict[str, Any]) -> None:
        """The page has the rows of this answer, and no other."""
        times = [item["created_at"] for item in of["items"]]
        expect(operator.locator(".rows time").first).to_have_attribute("datetime", times[0])
        found = operator.locator(".rows time").evaluate_all("all => all.map(of => of.dateTime)")
        assert found == times

    def nodes() -> int:
        return int(operator.evaluate("document.querySelectorAll('*').length"))

    def answer(**query: str) -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"{many}/transactions", limit=50, **query).json()
        return found

    newest = answer()
    # One minute lies between two of them.
    middle = datetime.fromisoformat(newest["items"][0]["created_at"]) - timedelta(minutes=5000)
    before = answer(to=middle.isoformat())
    linked = answer(cursor=before["next_cursor"])
    after = answer(cursor=linked["next_cursor"])
    oldest = answer(to=(middle - timedelta(minutes=MANY - 5030)).isoformat())
    go(operator, f"{customers.home_of(many)}/transactions")
    shown(newest)
    first = nodes()
    go(operator, f"{customers.home_of(many)}/transactions?cursor={before['next_cursor']}")
    shown(linked)
    older, newer = (operator.get_by_role("button", name=name) for name in ("Older", "Newer"))
    older.click()
    shown(after)
    newer.click()
    shown(linked)
    newer.click()
    shown(before)
    expect(newer).to_be_enabled()
    # A page takes the place of the one before.
    assert abs(nodes() - first) < 50
    assert oldest["next_cursor"] is None


def test_what_is_printed_has_the_rows_of_the_page(page: Page, customers: Customers) -> None:
    go(page, f"{customers.home}/transactions")
    wait_until_shown(page)
    page.emulate_media(media="print")
    rows = page.locator(ROWS)
    texts = rows.locator("time, .number").evaluate_all("all => all.map(of => of.innerText)")
    pdf = PdfReader(BytesIO(page.pdf(format="A4")))
    page.emulate_media(media="null")
    printed = "".join(page.extract_text() for page in pdf.pages)
    assert rows.count() == 50
    assert len(texts) == 150
    assert Counter({text: printed.count(text) for text in texts}) >= Counter(texts)
    assert NAME in pdf.pages[0].extract_text()
    assert len(pdf.pages) > 1


@pytest.mark.parametrize(
    ("locale", "limit", "day"),
    [
        ("de-DE", "100,00\xa0$", r".+, \d+\. .+"),
        ("pt-BR", "$\xa0100,00", r".+, \d+ de .+"),
        ("ja-JP", "$100.00", r"\d+月\d+日.曜日"),
    ],
)
def test_amounts_and_days_are_written_as_the_person_reads_them(
    people: People, customers: Customers, locale: str, limit: str, day: str
) -> None:
    viewport = {"width": PHONE, "height": 844}
    page = people.finance(customers.path, locale=locale, viewport=viewport)
    go(page, f"{customers.home}/budgets")
    expect(page.locator(".budget").first).to_contain_text(f"of {limit} a month")
    go(page, f"{customers.home}/transactions")
    expect(page.locator(".rows .day th").first).to_have_text(re.compile(f"^{day}$"))
    # The texts are English, whatever the numbers are.
    assert page.evaluate("document.documentElement.lang") == "en"
    go(page, customers.home)
    wait_until_shown(page)
    assert page.evaluate(SIDEWAYS) == 0


@pytest.mark.parametrize("path", [*CUSTOMER_PAGES, "/transactions#row", "/payments#Add credit"])
def test_an_enlarged_or_wider_spaced_page_is_cut_nowhere_and_never_scrolls_sideways(
    page: Page, customers: Customers, path: str
) -> None:
    address, _, opened = path.partition("#")
    go(page, customers.home + address)
    wait_until_shown(page)
    open_within(page, opened)
    for width in ENLARGED:
        check_width(page, width, "enlarged")
    page.evaluate(SPACED)
    for width in (DESKTOP, PHONE):
        check_width(page, width, "wider spaced")
    page.evaluate("document.adoptedStyleSheets = []")


def check_width(page: Page, width: int, how: str) -> None:
    page.set_viewport_size({"width": width, "height": 512})
    assert page.evaluate(SIDEWAYS) == 0, (how, width)
    assert page.evaluate(CUT) == [], (how, width)


def test_forced_colours_leave_what_colours_say(page: Page, customers: Customers) -> None:
    go(page, customers.home)
    wait_until_shown(page)
    page.emulate_media(forced_colors="active")
    assert page.evaluate("matchMedia('(forced-colors: active)').matches")
    drawn = """all => all.map(of => {
        const { backgroundColor, color, outlineStyle } = getComputedStyle(of);
        return [backgroundColor, color, outlineStyle].join(' ');
    })"""
    swatches = page.locator(".legend .swatch").evaluate_all(drawn)
    assert len(set(swatches)) == len(swatches) > 2
    for few in (".choice span", 'nav[aria-label="Pages"] a'):
        looks = page.locator(few).evaluate_all(drawn)
        # The chosen one looks like none of the others.
        assert sorted(Counter(looks).values())[0] == 1, few
        assert len(set(looks)) == 2, few


def test_going_back_shows_the_page_as_it_was(page: Page, customers: Customers) -> None:
    go(page, f"{customers.home}/transactions?type=refund")
    expect(page.locator(ROWS)).to_have_count(3)
    page.goto(f"{customers.url}/health")
    page.go_back()
    expect(page.locator(ROWS)).to_have_count(3)
    assert page.url == f"{customers.home}/transactions?type=refund"


def test_a_page_that_the_browser_kept_is_loaded_again(people: People, customers: Customers) -> None:
    """Browsers show a page from memory when a person goes back; the person may have signed out."""
    page = sign_in(people.stranger(), customers.url)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Who do you want to be?")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Who do you want to be?")).to_be_visible()
    sign_in(page, customers.url)
    page.context.clear_cookies()
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.get_by_role("heading", name="Who do you want to be?")).to_be_visible()
