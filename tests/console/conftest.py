"""A browser, and a product with customers that have a history."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from local.traffic import set_clock_back
from tests.conftest import Database, temporary
from tests.support.browser import FLAGS, browser_path
from tests.support.running import PATIENCE_SECONDS, Client, running

DAYS = 40
ZONE = "Europe/Berlin"
NAME = "Halden Research"
VIEWS: list[tuple[Literal["light", "dark"], int]] = [
    (scheme, width) for width in (390, 1280) for scheme in ("dark", "light")
]
MODELS = [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-5"), ("google", "gemini-2.5-pro")]
# Anything that the content security policy blocks.
WATCH = """globalThis.blocked = [];
addEventListener('securitypolicyviolation',
  event => blocked.push(`${event.violatedDirective} ${event.blockedURI}`));"""


class Customers(NamedTuple):
    """Paths of organizations below the API, the address of the console, and the database."""

    url: str
    path: str
    other_path: str
    admin_url: str

    @property
    def home(self) -> str:
        return f"{self.url}/console/o/{self.path.rpartition('/')[2]}"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = browser_path() or playwright.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no browser is here: install chromium, or set CHROMIUM to its path")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


# A product for each file: what payments add, the lists of others would show.
@pytest.fixture(scope="module")
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
    ):
        client = Client(url)
        try:
            yield Customers(url, *_customers(client, database), admin_url)
        finally:
            client.close()


def _customers(client: Client, database: psycopg.Connection) -> tuple[str, str]:
    """The paths of an organization with credit, forty days of charges, a refund, grants, budgets
    and last month's invoice, and of one that has credit alone."""
    set_clock_back(database, DAYS)
    profile = {
        "name": NAME,
        "billing_currency": "EUR",
        "timezone": ZONE,
        "tax": {"label": "VAT", "rate_percent": "19", "tax_id": "DE811234567"},
        "address": {
            "line1": "Hauptstr. 1",
            "postal_code": "10115",
            "city": "Berlin",
            "country": "DE",
        },
    }
    path = client.new_organization("400", **profile)
    other_path = client.new_organization("5", name="Dover Legal")
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
                "organization_id": path.rpartition("/")[2],
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
    return path, other_path


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
    settings: dict[str, Any] = {"locale": "en-US", "timezone_id": "America/Los_Angeles", **options}
    context = browser.new_context(**settings)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    context.add_init_script(WATCH)
    return context


def sign_in(page: Page, url: str, name: str = NAME, role: str = "finance") -> Page:
    page.goto(f"{url}/console/")
    choice = page.get_by_role("button").filter(has_text=name)
    choice.filter(has_text=re.compile(f"^{name}{role}")).first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    return page


def sign_in_as_operator(page: Page, url: str) -> Page:
    page.goto(f"{url}/console/")
    page.get_by_role("button").filter(has_text="The operator").click()
    expect(page.get_by_role("heading", name="Organizations")).to_be_visible()
    return page


@pytest.fixture(scope="package", autouse=True)
def _patience() -> None:
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)


@pytest.fixture
def page(browser: Browser, customers: Customers) -> Iterator[Page]:
    """Signed in as finance. The policy blocks nothing, and no script fails."""
    context = open_context(browser)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield sign_in(page, customers.url)
    assert page.evaluate("blocked") == []
    assert wrong == []
    context.close()


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


def check_for_everybody(page: Page, name: str = "") -> None:
    """Check the page as everybody meets it: light and dark, wide and on a phone. Keep pictures of
    one that has a name where SCREENSHOTS says."""
    for scheme, width in VIEWS:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 844})
        wait_until_shown(page)
        assert violations(page) == [], (scheme, width)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (scheme, width)
        if name and (folder := os.environ.get("SCREENSHOTS")):
            page.screenshot(path=Path(folder) / f"{name}-{scheme}-{width}.png", full_page=True)
    assert page.evaluate("blocked") == []


def violations(page: Page) -> list[object]:
    """What axe finds wrong with the page as it is now."""
    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(Path(AXE_FILE_PATH).read_text())
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("tags => axe.run({runOnly: tags})", tags)
    return [
        (rule["id"], [node["target"] for node in rule["nodes"]][:4]) for rule in found["violations"]
    ]
