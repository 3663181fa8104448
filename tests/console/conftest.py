"""A browser, people who are signed in, and a product with customers that have a history."""

import contextlib
import os
import re
from collections.abc import Generator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from local.traffic import set_clock_back
from tests.conftest import Database, temporary
from tests.support.browser import FLAGS, browser_path
from tests.support.running import PATIENCE_SECONDS, Client, running

DAYS = 40
ZONE = "Europe/Berlin"
NAME = "Halden Research"
OTHER_NAME = "Dover Legal"
EMPTY_NAME = "Nobody yet"
ADDRESS = {"line1": "Hauptstr. 1", "postal_code": "10115", "city": "Berlin", "country": "DE"}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("dark", "light")
PHONE, DESKTOP = 390, 1280
VIEWPORT: ViewportSize = {"width": DESKTOP, "height": 720}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTRAST = ["color-contrast"]
# The rules that are broken, each with its first elements.
AXE = """runOnly => axe.run({runOnly, resultTypes: ['violations'], preload: false}).then(found =>
  found.violations.map(rule => [rule.id, ...rule.nodes.slice(0, 4).map(node => node.target)]))"""
MODELS = [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-5"), ("google", "gemini-2.5-pro")]
# Anything that the content security policy blocks.
WATCH = """globalThis.blocked = [];
addEventListener('securitypolicyviolation',
  event => blocked.push(`${event.violatedDirective} ${event.blockedURI}`));"""


FAILED = pytest.StashKey[bool]()


class Customers(NamedTuple):
    """Organizations that tests only read, by their paths below the API: one with a history, one
    that has credit alone, and one that has nothing at all. A test that changes something makes an
    organization of its own."""

    path: str
    other_path: str
    empty_path: str
    url: str
    admin_url: str

    @property
    def home(self) -> str:
        return self.home_of(self.path)

    def home_of(self, path: str) -> str:
        """The address of an organization's pages."""
        return f"{self.url}/console/o/{id_of(path)}"


class People:
    """Opens pages on which people are signed in.

    Signing in loads the application anew, which takes longer than most tests. The pages of those
    who only read are kept for the next test, unless a test fails.
    """

    def __init__(self, browser: Browser, customers: Customers) -> None:
        self._browser, self._customers = browser, customers
        shared = (customers.path, customers.other_path, customers.empty_path)
        roles = ("finance", "engineer")
        self._kept: dict[str, Page | None] = dict.fromkeys(
            ["operator:", *(f"{role}:{id_of(path)}" for role in roles for path in shared)]
        )
        self._lent: list[tuple[Page, str]] = []
        self._errors: list[str] = []

    def operator(self, **options: Any) -> Page:
        return self.page("operator:", **options)

    def finance(self, path: str, **options: Any) -> Page:
        return self.page(f"finance:{id_of(path)}", **options)

    def engineer(self, path: str) -> Page:
        return self.page(f"engineer:{id_of(path)}")

    def page(self, who: str, **options: Any) -> Page:
        """Return a page of whom the issuer remembers by this text, in a browser with options. It
        shows nothing yet."""
        page = None if options else self._kept.get(who)
        if page is None:
            page = self.stranger(**options)
            page.context.add_cookies(
                [{"name": "session", "value": who, "url": f"{self._customers.url}/_local/"}]
            )
            page.goto(f"{self._customers.url}/console/")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            go_nowhere(page)
            self._lent[-1] = (page, "" if options else who)
        else:
            self._kept[who] = None
            self._lent.append((page, who))
        return page

    def stranger(self, **options: Any) -> Page:
        """Return an empty page, on which nobody is signed in."""
        page = open_context(self._browser, **options).new_page()
        page.on("pageerror", lambda error: self._errors.append(str(error)))
        self._lent.append((page, ""))
        return page

    def end_test(self, failed: bool) -> None:
        """Check that the policy blocked nothing and no script failed, and keep what can be kept."""
        lent, self._lent = self._lent, []
        errors, self._errors = self._errors, []
        blocked = [] if failed else [of for page, _ in lent for of in page.evaluate("blocked")]
        clean = not (failed or errors or blocked)
        console = f"{self._customers.url}/console"
        for page, who in lent:
            if clean and who in self._kept and page.url.startswith(console):
                self._kept[who] = _tidied(page)
            else:
                page.context.close()
        assert (blocked, errors) == ([], [])


def _tidied(page: Page) -> Page:
    page.unroute_all()
    page.emulate_media(media="null", color_scheme="null", forced_colors="null")
    if page.viewport_size != VIEWPORT:
        page.set_viewport_size(VIEWPORT)
    go_nowhere(page)
    return page


def id_of(path: str) -> str:
    """The id of an organization whose path below the API this is."""
    return path.rpartition("/")[2]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = browser_path() or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no browser is here: install chromium, or set CHROMIUM to its path")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def customers(
    browser: Browser,
    state: Path,
    server_url: str,
    redis_url: str,
    template_database: Database,
) -> Iterator[Customers]:
    assert browser
    with (
        temporary(server_url, "console", template_database.admin_url) as admin_url,
        running(state / f"console-{uuid4()}", DATABASE_URL=admin_url, REDIS_URL=redis_url) as url,
        psycopg.connect(admin_url, autocommit=True) as database,
        contextlib.closing(Client(url)) as client,
    ):
        yield Customers(*_customers(client, database), url, admin_url)


@pytest.fixture(scope="session")
def client(customers: Customers) -> Iterator[Client]:
    """A client with every scope, for all organizations."""
    with contextlib.closing(Client(customers.url)) as client:
        yield client


def _customers(client: Client, database: psycopg.Connection) -> tuple[str, str, str]:
    """The paths of an organization with credit, forty days of charges, a refund, grants, a team's
    label, budgets and last month's invoice, of one that has credit alone, and of an empty one."""
    set_clock_back(database, DAYS)
    profile = {
        "name": NAME,
        "billing_currency": "EUR",
        "timezone": ZONE,
        "tax": {"label": "VAT", "rate_percent": "19", "tax_id": "DE811234567"},
        "address": ADDRESS,
    }
    path = client.new_organization("400", **profile)
    other_path = client.new_organization("5", name=OTHER_NAME)
    empty_path = client.new_organization(name=EMPTY_NAME)
    label = {"kind": "team", "id": "team-1", "name": "Search"}
    client.http.put(f"{path}/labels", json=label).raise_for_status()
    _ok(
        client.post(
            f"{path}/grants",
            {
                "amount_usd": "20",
                "priority": 10,
                "kind": "promotional",
                "description": "Welcome",
                "expires_at": f"{datetime.now(UTC) + timedelta(days=20):%Y-%m-%dT%H:%M:%SZ}",
            },
            "welcome",
        )
    )
    last = ""
    for back in range(DAYS, -1, -1):
        set_clock_back(database, back)
        charges = [
            {
                "organization_id": id_of(path),
                "idempotency_key": f"{back} {number}",
                "amount_usd": f"{(number + 1) * 0.4 + back % 7 / 10:.2f}31",
                "description": "chat completion",
                "provider": provider,
                "model": model,
                "tokens": 1200 + back,
                "team_id": f"team-{number % 2}",
                "request_id": f"request-{back}-{number}",
            }
            for number, (provider, model) in enumerate(MODELS)
        ]
        [*_, charged] = _ok(client.post("/v1/charges/batch", {"charges": charges}))["results"]
        last = charged["transaction"]["id"]
    for number in range(3):
        refund = {"transaction_id": last, "amount_usd": "0.01", "description": "Goodwill"}
        _ok(client.post(f"{path}/refunds", refund, f"refund {number}"))
    budget = {
        "subject": "team",
        "subject_id": "team-0",
        "window": "month",
        "limit_usd": "100",
        "mode": "hard",
    }
    _ok(client.post(f"{path}/budgets", budget))
    start, end = _last_month()
    invoice = _ok(client.post(f"{path}/invoices", {"period_start": start, "period_end": end}))
    _ok(client.post(f"{path}/invoices/{invoice['id']}/issue"))
    return path, other_path, empty_path


def _ok(answer: object) -> dict[str, Any]:
    assert hasattr(answer, "json")
    assert getattr(answer, "is_success", False), answer.json()
    found: dict[str, Any] = answer.json()
    return found


def _last_month() -> tuple[str, str]:
    zone = ZoneInfo(ZONE)
    end = datetime.now(zone).date().replace(day=1)
    start = (end - timedelta(days=1)).replace(day=1)

    def midnight(day: date) -> str:
        return datetime(day.year, day.month, day.day, tzinfo=zone).isoformat()

    return midnight(start), midnight(end)


def open_context(browser: Browser, **options: Any) -> BrowserContext:
    settings: dict[str, Any] = {
        "locale": "en-US",
        "timezone_id": "America/Los_Angeles",
        "viewport": VIEWPORT,
        # The tests wait for no movement.
        "reduced_motion": "reduce",
        **options,
    }
    context = browser.new_context(**settings)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    context.add_init_script(WATCH)
    return context


def sign_in(page: Page, url: str) -> Page:
    """Sign in as a person does, as finance of the organization with a history."""
    page.goto(f"{url}/console/")
    choice = page.get_by_role("button").filter(has_text=re.compile(f"^{NAME}finance"))
    choice.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


@pytest.fixture(scope="session", autouse=True)
def _console_patience() -> None:
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)


@pytest.fixture(scope="session")
def _people(browser: Browser, customers: Customers) -> People:
    return People(browser, customers)


@pytest.fixture
def people(_people: People, request: pytest.FixtureRequest) -> Iterator[People]:
    yield _people
    _people.end_test(request.node.stash.get(FAILED, False))


@pytest.fixture
def page(people: People, customers: Customers) -> Page:
    """A page of finance of the organization with a history."""
    return people.finance(customers.path)


@pytest.fixture
def operator(people: People) -> Page:
    return people.operator()


def wait_until_shown(page: Page) -> None:
    """Wait for the page itself: a document whose scripts are still to come has no skeletons
    either."""
    expect(page.locator("h1").first).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)


def go(page: Page, path: str) -> None:
    """Open a page of the console as a link in it does, without loading the application again."""
    page.evaluate(
        """path => import(document.querySelector('script').src.replace('boot.js', 'lib/router.js'))
            .then(router => router.go(path))""",
        path,
    )


def go_nowhere(page: Page) -> None:
    """Go where there is no page, so that what is opened next begins anew."""
    go(page, re.sub(r"(/console(/o/[^/?]+)?).*", r"\1/nowhere", page.url))
    page.get_by_role("heading", name="No such page").wait_for()


def open_within(page: Page, opened: str) -> None:
    """Open the first row of a page's list ("row"), or the dialog of the button of this name, if
    one is given."""
    if opened == "row":
        page.locator(".rows .what > a").first.click()
        expect(page.locator("dialog .sums").first).to_be_visible()
    elif opened:
        page.get_by_role("button", name=opened).click()
        expect(page.get_by_role("dialog")).to_be_visible()


def shorten_lists(page: Page) -> None:
    """Have lists answer with eight rows, which axe looks at in a fifth of the time of fifty."""
    page.route(
        re.compile(r"[?&]limit=50\b"),
        lambda route: route.continue_(url=route.request.url.replace("limit=50", "limit=8")),
    )


def check_for_everybody(page: Page, name: str = "") -> None:
    """Check the page as everybody meets it: light and dark, wide and on a phone. Keep pictures of
    one that has a name where SCREENSHOTS says."""
    for width in (PHONE, DESKTOP):
        page.set_viewport_size({"width": width, "height": 844})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            wait_until_shown(page)
            # A scheme changes colors alone.
            assert violations(page, RULES if scheme == "light" else CONTRAST) == [], (scheme, width)
            if name and (folder := os.environ.get("SCREENSHOTS")):
                page.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


def violations(page: Page, rules: list[str] = RULES) -> list[object]:
    """What axe finds wrong with the page as it is now."""
    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(Path(AXE_FILE_PATH).read_text())
    found: list[object] = page.evaluate(AXE, rules)
    return found
