"""The console in a real browser, over the running product."""

import csv
import json
import re
from collections.abc import Iterable
from io import StringIO
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.console.conftest import (
    NAME,
    OTHER_NAME,
    PHONE,
    Customers,
    People,
    check_for_everybody,
    go,
    open_within,
    shorten_lists,
    sign_in,
    violations,
)
from tests.support.running import Client

ROWS = ".rows tbody tr:not(.day)"


def values(page: Page, name: str, expression: str, cases: Iterable[object]) -> list[object]:
    """The values of a JavaScript expression of a module `m` for each `a` of the cases."""
    found: list[object] = page.evaluate(
        f"""async cases => {{
            const boot = document.querySelector('script').src;
            const m = await import(boot.replace('boot.js', '{name}'));
            return cases.map(a => ({expression}));
        }}""",
        list(cases),
    )
    return found


def test_signing_in_leaves_no_code_or_token_where_another_script_could_read_it(
    people: People, customers: Customers
) -> None:
    page = sign_in(people.stranger(), customers.url)
    assert "code=" not in page.url
    stored = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert json.loads(stored) == [{}, {}, ""]


def test_a_reload_signs_in_again_by_the_issuers_own_session(
    page: Page, customers: Customers
) -> None:
    go(page, f"{customers.home}/transactions?type=refund")
    expect(page.locator(ROWS)).to_have_count(3)
    page.reload()
    expect(page.locator(ROWS)).to_have_count(3)
    assert page.url == f"{customers.home}/transactions?type=refund"


def test_signing_out_asks_who_to_be_again(people: People, customers: Customers) -> None:
    page = sign_in(people.stranger(), customers.url)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Who do you want to be?")).to_be_visible()
    page.goto(customers.home)
    expect(page.get_by_role("heading", name="Who do you want to be?")).to_be_visible()


def test_a_refused_sign_in_says_so_and_does_not_go_round(
    people: People, customers: Customers
) -> None:
    page = people.stranger()
    page.route(
        re.compile("/_local/token"),
        lambda route: route.fulfill(status=400, json={"error": "invalid_grant"}),
    )
    page.goto(customers.home)
    page.get_by_role("button").filter(has_text=re.compile(f"^{NAME}finance")).click()
    expect(page.get_by_role("alert")).to_contain_text("Signing in failed")
    page.unroute_all()
    page.get_by_role("link", name="Sign in again").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_amounts_are_exact(page: Page) -> None:
    units = {
        "25.50": "2550000000",
        "8.25e-05": "8250",
        "-0.00000001": "-1",
        "9999999999.99999999": "999999999999999999",
        "0": "0",
    }
    found = values(page, "lib/money.js", "String(m.units(a))", units)
    assert dict(zip(units, found, strict=True)) == units


def test_amounts_are_printed_from_their_decimals(page: Page) -> None:
    cases: list[tuple[str, dict[str, object], str]] = [
        ("9999999999.99999999", {"digits": 8}, "$9,999,999,999.99999999"),
        ("0.000005", {}, "< $0.01"),
        ("-0.004", {}, "> −$0.01"),  # noqa: RUF001
        ("0", {}, "$0.00"),
        ("-1.005", {}, "−$1.01"),  # noqa: RUF001
        ("1234.5", {"locale": "ja-JP", "currency": "JPY"}, "¥1,235"),
        ("1234.5", {"locale": "de-DE", "currency": "EUR"}, "1.234,50\xa0€"),
        ("1234.5", {"locale": "pt-BR", "currency": "BRL"}, "R$\xa01.234,50"),
    ]
    asked = [[amount, {"locale": "en-US", **options}] for amount, options, _ in cases]
    found = values(page, "lib/money.js", "m.money(...a).replace('￥', '¥')", asked)
    printed = [(*case[:2], text) for case, text in zip(cases, found, strict=True)]
    assert printed == cases


def test_one_of_a_thing_is_said_as_one(page: Page) -> None:
    said = {0: "0 calls", 1: "1 call", 2: "2 calls", 1200: "1,200 calls"}
    found = values(page, "lib/money.js", "m.counted(a, 'call', 'en-US')", said)
    assert dict(zip(said, found, strict=True)) == said


def test_no_text_counts_things_without_their_singular() -> None:
    for path in Path("console").rglob("*.js"):
        # Such as `${count(n, locale)} calls` or `${n} days`.
        found = re.findall(
            r"\$\{[^{}]*\} [a-z]*(?:call|token|day|line|charge|event)s\b(?!=)", path.read_text()
        )
        assert found == [], path


def test_a_typed_amount_is_taken_with_point_or_comma_and_nothing_else(page: Page) -> None:
    taken = {"75": "75", "75.5": "75.5", "75,50": "75.50", "0.01": "0.01"}
    refused = ["0", "0.001", "1,234.50", "-5", "1e3", ""]
    amounts = {**taken, **dict.fromkeys(refused)}
    found = values(page, "lib/money.js", "m.typedAmount(a)", amounts)
    assert dict(zip(amounts, found, strict=True)) == amounts


def test_days_begin_where_the_organization_is(page: Page) -> None:
    instants = {
        ("2026-10-25", "Europe/Berlin"): "2026-10-24T22:00:00.000Z",
        ("2026-10-26", "Europe/Berlin"): "2026-10-25T23:00:00.000Z",
        ("2026-03-08", "America/New_York"): "2026-03-08T05:00:00.000Z",
        ("2026-03-09", "America/New_York"): "2026-03-09T04:00:00.000Z",
        ("2026-11-26", "Pacific/Kiritimati"): "2026-11-25T10:00:00.000Z",
        ("2026-11-26", "Asia/Kathmandu"): "2026-11-25T18:15:00.000Z",
    }
    found = values(page, "lib/dates.js", "m.startOfDay(...a)", map(list, instants))
    assert dict(zip(instants, found, strict=True)) == instants


def test_amounts_never_become_floats() -> None:
    sources = [path for path in Path("console").rglob("*.js") if path.parent.name != "vendor"]
    assert len(sources) > 10
    found = [
        f"{path}: {line.strip()}"
        for path in sources
        for line in path.read_text().splitlines()
        if re.search(r"parseFloat|toFixed", line)
        or re.search(r"Number\([^)]*_usd|[+*/-] *\w+_usd\b", line)
    ]
    assert found == []


def test_the_chart_its_legend_and_its_table_say_the_same_total(
    page: Page, customers: Customers
) -> None:
    go(page, customers.home)
    legend = page.locator(".legend tfoot td").first.inner_text()
    assert legend == page.locator("[aria-labelledby=spending] .figure").inner_text()
    page.get_by_role("radio", name="Table").check()
    assert page.locator(".scroll tfoot td").first.inner_text() == legend


def test_what_is_not_among_the_largest_is_summed_as_others(page: Page) -> None:
    answer = {
        "items": [
            {"model": "b", "day": "2026-11-01", "amount_usd": "2"},
            {"model": "a", "day": "2026-11-02", "amount_usd": "3"},
            {"model": None, "day": "2026-11-01", "amount_usd": "0.5"},
        ],
        "others": [{"day": "2026-11-02", "amount_usd": "9999999999.99999999"}],
    }
    expression = (
        "m.series(a, 'model', ['2026-11-01', '2026-11-02'])"
        ".map(of => [of.name, of.tone, String(of.total), of.daily.map(String)])"
    )
    [found] = values(page, "ui/chart.js", expression, [answer])
    assert found == [
        ["a", 0, "300000000", ["0", "300000000"]],
        ["b", 1, "200000000", ["200000000", "0"]],
        ["not given", 2, "50000000", ["50000000", "0"]],
        ["All others", "rest", "999999999999999999", ["0", "999999999999999999"]],
    ]


def test_arrow_keys_tell_each_day_of_the_chart(page: Page, customers: Customers) -> None:
    go(page, customers.home)
    slider = page.get_by_role("slider", name="Day")
    slider.focus()
    last = slider.get_attribute("aria-valuetext")
    page.keyboard.press("ArrowLeft")
    expect(slider).not_to_have_attribute("aria-valuetext", str(last))
    expect(page.locator(".legend caption")).not_to_have_text("All days")


def test_a_custom_period_is_in_the_address(page: Page, customers: Customers) -> None:
    go(page, customers.home)
    page.get_by_label("Period").select_option("custom")
    page.get_by_label("From").fill("2020-01-01")
    page.get_by_label("To, inclusive").fill("2020-01-31")
    expect(page.get_by_text("Nothing was spent in this period")).to_be_visible()
    asked = parse_qs(urlsplit(page.url).query)
    assert (asked["from"], asked["to"]) == (["2020-01-01"], ["2020-01-31"])


def test_filters_are_in_the_address_and_back_undoes_them(page: Page, customers: Customers) -> None:
    go(page, f"{customers.home}/transactions")
    page.get_by_label("Type").select_option("refund")
    expect(page).to_have_url(re.compile("type=refund"))
    expect(page.locator(ROWS)).to_have_count(3)
    page.go_back()
    expect(page).not_to_have_url(re.compile("type="))
    expect(page.locator(ROWS)).to_have_count(50)


def test_a_call_is_found_by_its_request(page: Page, customers: Customers) -> None:
    go(page, f"{customers.home}/transactions")
    page.get_by_role("button", name="More filters").click()
    page.get_by_label("Request id").fill("request-3-1")
    page.keyboard.press("Enter")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(ROWS)).to_contain_text("claude-sonnet-5")


def to_older_transactions(page: Page, customers: Customers) -> str:
    """Go to the second page of transactions; return the time of the first page's newest."""
    go(page, f"{customers.home}/transactions")
    first = str(page.locator(".rows time").first.get_attribute("datetime"))
    page.get_by_role("button", name="Older").click()
    expect(page.locator(".rows time").first).not_to_have_attribute("datetime", first)
    return first


def test_pages_go_on_and_come_back(page: Page, customers: Customers) -> None:
    first = to_older_transactions(page, customers)
    page.get_by_role("button", name="Newer").click()
    expect(page.locator(".rows time").first).to_have_attribute("datetime", first)


def test_a_later_page_that_was_linked_to_leads_back_to_newer_ones(
    page: Page, customers: Customers
) -> None:
    first = to_older_transactions(page, customers)
    page.reload()
    page.get_by_role("button", name="Newer").click()
    expect(page.locator(".rows time").first).to_have_attribute("datetime", first)
    expect(page.get_by_role("button", name="Newer")).to_be_disabled()


def test_a_receipt_on_a_later_page_leaves_the_way_to_newer_ones(
    page: Page, customers: Customers
) -> None:
    first = to_older_transactions(page, customers)
    page.locator(".rows .what > a").first.click()
    expect(page.get_by_role("dialog", name="Receipt")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Newer").click()
    expect(page.locator(".rows time").first).to_have_attribute("datetime", first)


def test_a_receipt_opens_by_keyboard_and_gives_the_focus_back(
    page: Page, customers: Customers
) -> None:
    go(page, f"{customers.home}/transactions")
    link = page.locator(".rows .what > a").nth(2)
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Receipt")).to_be_visible()
    expect(page).to_have_url(re.compile("transaction="))
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(link).to_be_focused()


def test_a_receipt_can_be_linked_to_and_its_fingerprint_is_computed_again(
    page: Page, customers: Customers
) -> None:
    go(page, f"{customers.home}/transactions?type=charge")
    page.locator(".rows .what > a").nth(2).click()
    expect(page.get_by_role("dialog", name="Receipt")).to_contain_text("Checked by your browser")
    page.goto(page.url.replace("type=charge", "type=refund"))
    dialog = page.get_by_role("dialog", name="Receipt")
    expect(dialog).to_contain_text("chat completion")
    expect(dialog).to_contain_text("Checked by your browser")


def test_a_receipt_that_was_tampered_with_is_shown_as_such(
    page: Page, customers: Customers
) -> None:
    def tamper(route: Route) -> None:
        answer = route.fetch()
        receipt = answer.json()
        receipt["proof"]["text"] = receipt["proof"]["text"].replace("charge", "refund")
        route.fulfill(response=answer, json=receipt)

    page.route(re.compile("/receipt$"), tamper)
    go(page, f"{customers.home}/transactions?type=charge")
    page.locator(".rows .what > a").nth(2).click()
    expect(page.get_by_role("dialog", name="Receipt")).to_contain_text("Does not match")


def test_an_invoice_is_saved_as_a_pdf(page: Page, customers: Customers) -> None:
    go(page, f"{customers.home}/invoices")
    with page.expect_download() as saved:
        page.get_by_role("button", name=re.compile("^PDF of INV")).first.click()
    assert re.fullmatch(r"INV-\d{4}-\d{6}\.pdf", saved.value.suggested_filename)
    assert Path(saved.value.path()).read_bytes().startswith(b"%PDF")


def test_transactions_are_saved_as_csv(page: Page, customers: Customers) -> None:
    go(page, f"{customers.home}/transactions?type=refund")
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    assert saved.value.suggested_filename == "transactions refund.csv"
    assert len(Path(saved.value.path()).read_text().strip().splitlines()) == 4


def test_a_csv_has_the_rows_of_all_pages_once(
    page: Page, client: Client, customers: Customers
) -> None:
    listed: list[str] = []
    of: dict[str, str] = {}
    while of.get("cursor") or not listed:
        answer = client.get(f"{customers.path}/transactions", limit=100, **of).json()
        listed += [item["id"] for item in answer["items"]]
        of = {"cursor": answer["next_cursor"]}
    assert len(listed) > 100
    go(page, f"{customers.home}/transactions")
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    text = Path(saved.value.path()).read_text(encoding="utf-8-sig")
    assert [row["id"] for row in csv.DictReader(StringIO(text))] == listed
    expect(page.get_by_role("button", name="CSV")).to_be_enabled()


def test_a_refusal_is_shown_with_its_request_and_can_be_tried_again(
    page: Page, customers: Customers
) -> None:
    problem = {"detail": "The database is switching over.", "request_id": "0330eff2"}
    page.route(re.compile("/v1/.*/invoices"), lambda route: route.fulfill(status=503, json=problem))
    go(page, f"{customers.home}/invoices")
    expect(page.get_by_role("alert")).to_contain_text("switching over")
    expect(page.get_by_role("alert")).to_contain_text("0330eff2")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("cell", name=re.compile("^INV-")).first).to_be_visible()


def test_a_customer_sees_no_other_organization(page: Page, customers: Customers) -> None:
    go(page, customers.home_of(customers.other_path))
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator(".rows")).to_have_count(0)


def test_credit_is_listed_in_the_order_in_which_it_is_used(
    page: Page, customers: Customers
) -> None:
    go(page, f"{customers.home}/credit")
    expect(page.locator(ROWS)).to_have_count(1)
    page.get_by_role("radio", name="Past").check()
    expect(page.locator(ROWS).first).to_contain_text("Promotional")
    page.get_by_role("radio", name="Current").check()
    expect(page.locator(ROWS).first).to_contain_text("never")


def test_a_budget_is_made_changed_and_removed(
    people: People, client: Client, customers: Customers
) -> None:
    path = client.new_organization()
    page = people.finance(path)
    go(page, f"{customers.home_of(path)}/budgets")
    page.get_by_role("button", name="New budget").click()
    page.get_by_label("Whose spending").select_option("end_user")
    page.get_by_label("End user id").fill("ada")
    page.get_by_label("Limit in US dollars").fill("0,05")
    page.get_by_role("button", name="Create the budget").click()
    made = page.locator(".budget").filter(has_text="End user ada")
    expect(made).to_contain_text("$0.00 of $0.05 a month")
    made.get_by_role("button", name="Change").click()
    page.get_by_label("Limit in US dollars").fill("0.5")
    page.get_by_role("button", name="Save").click()
    expect(made).to_contain_text("of $0.50")
    made.get_by_role("button", name="Change").click()
    page.get_by_role("button", name="Remove this budget").click()
    page.get_by_role("button", name="Remove it").click()
    expect(made).to_have_count(0)


def test_an_engineer_reads_and_is_offered_no_change(people: People, customers: Customers) -> None:
    page = people.engineer(customers.path)
    go(page, f"{customers.home}/budgets")
    expect(page.locator(".budget").first).to_be_visible()
    expect(page.get_by_role("button", name="New budget")).to_have_count(0)


def test_a_change_after_the_token_has_expired_loses_no_form(
    page: Page, customers: Customers
) -> None:
    go(page, f"{customers.home}/budgets")
    page.get_by_role("button", name="New budget").click()
    page.get_by_label("Limit in US dollars").fill("7.77")
    page.evaluate("globalThis.now = Date.now; Date.now = () => now() + 7_200_000")
    page.get_by_role("button", name="Create the budget").click()
    expect(page.get_by_role("alert")).to_contain_text("nothing was sent")
    expect(page.get_by_role("button", name="Sign in again")).to_be_visible()
    expect(page.get_by_label("Limit in US dollars")).to_have_value("7.77")
    page.evaluate("Date.now = now")


def test_the_operator_finds_an_organization_and_acts_visibly_as_the_operator(
    operator: Page, customers: Customers
) -> None:
    go(operator, f"{customers.url}/console")
    operator.get_by_label("Find by name").fill("halden")
    expect(operator.locator(ROWS)).to_have_count(1)
    operator.get_by_role("link", name=NAME).click()
    expect(operator.get_by_text("as operator")).to_be_visible()
    operator.get_by_role("link", name="All organizations").click()
    expect(operator.get_by_role("link", name=OTHER_NAME)).to_be_visible()


def test_organizations_are_sorted_by_who_runs_out_first_and_summed(
    operator: Page, client: Client, customers: Customers
) -> None:
    totals = client.get("/v1/organizations", sort="balance", limit=1).json()["totals"]
    go(operator, f"{customers.url}/console")
    both = operator.get_by_role("link", name=re.compile(f"^({NAME}|{OTHER_NAME})$"))
    expect(operator.get_by_label("Sort by")).to_have_value("runs_out")
    expect(operator.get_by_text(f"{totals['organizations']} organizations · $")).to_be_visible()
    expect(both).to_have_text([NAME, OTHER_NAME])
    operator.get_by_label("Sort by").select_option("balance")
    expect(both).to_have_text([OTHER_NAME, NAME])
    operator.get_by_label("Sort by").select_option("spent")
    expect(both).to_have_text([NAME, OTHER_NAME])
    assert "sort=spent" in operator.url


def test_a_labelled_team_is_shown_by_its_name(page: Page, customers: Customers) -> None:
    go(page, f"{customers.home}?by=team_id&as=table")
    spending = page.get_by_role("region", name="Spending by day")
    expect(spending.get_by_text("Search (team-1)")).to_be_visible()
    expect(spending.get_by_text("team-0")).to_be_visible()
    go(page, f"{customers.home}/transactions?team_id=team-1")
    expect(page.locator(ROWS).first).to_contain_text("Search (team-1)")
    page.locator(".rows .what > a").first.click()
    expect(page.get_by_role("dialog", name="Receipt")).to_contain_text("Search")


PAGES = [
    "",
    "?as=table&period=7",
    "/transactions",
    "/transactions#row",
    "/credit",
    "/budgets",
    "/budgets#New budget",
    "/invoices",
    "/invoices#row",
    "/payments",
    "/payments#Add credit",
    "/settings",
]


@pytest.mark.parametrize("path", PAGES)
def test_everybody_can_use_a_page_which_never_scrolls_sideways(
    page: Page, customers: Customers, path: str
) -> None:
    address, _, opened = path.partition("#")
    shorten_lists(page)
    go(page, customers.home + address)
    open_within(page, opened)
    check_for_everybody(page)


def test_the_page_of_the_sign_in_is_usable_by_everybody(
    people: People, customers: Customers
) -> None:
    page = people.stranger(viewport={"width": PHONE, "height": 844})
    page.goto(f"{customers.url}/console/")
    expect(page.get_by_role("button").first).to_be_visible()
    assert violations(page) == []


def test_a_route_that_answers_slowly_keeps_the_place_of_what_comes(
    page: Page, customers: Customers
) -> None:
    waiting: list[Route] = []
    page.route(re.compile("/v1/.*/invoices"), lambda route: waiting.append(route))
    go(page, f"{customers.home}/invoices")
    expect(page.get_by_role("status", name="Loading the invoices")).to_be_visible()
    # The place is drawn before the browser asks.
    while not waiting:
        page.wait_for_timeout(50)
    waiting[-1].continue_()
    expect(page.get_by_role("status", name="Loading the invoices")).to_have_count(0)
