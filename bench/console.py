"""The console in the machine's Chromium: what each page costs to open, beside a blank page."""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import CDPSession, Page, sync_playwright

from tests.support.browser import FLAGS, browser_path
from tests.support.running import PATIENCE_SECONDS, Client, running

PAGES = ("", "transactions", "credit", "budgets", "invoices", "payments", "settings")
ROUNDS = 3
KILOBYTE = 1024
# Of the overview, which is where people arrive.
MOST_KILOBYTES, MOST_REQUESTS = 60, 32
# A page of the same server, which is one text.
BLANK = "/_local/.well-known/jwks.json"
# The newest paint of the largest element, in seconds since the navigation began.
LARGEST_PAINT = """() => new Promise(resolve => new PerformanceObserver(list =>
  resolve(list.getEntries().at(-1).startTime / 1000))
  .observe({type: 'largest-contentful-paint', buffered: true}))"""


class Opened(NamedTuple):
    """What opening a page took: bytes on the wire, requests, those to the API, and the seconds to
    the largest paint, of which the ratio is to a blank page's."""

    page: str
    static_bytes: int
    requests: int
    api_calls: int
    seconds: float
    ratio: float


def rows() -> Iterator[tuple[str, str, str, float | None, str, bool | None]]:
    """Yield the rows of the report: what was measured, against what, the ratio, and the budget."""
    for of in _measure():
        size, is_first = of.static_bytes / KILOBYTE, of.page == "overview"
        yield (
            f"console, {of.page}: files",
            f"{size:.1f} KB",
            f"{of.requests} requests, {of.api_calls} of them to the API",
            None,
            f"<= {MOST_KILOBYTES} KB, {MOST_REQUESTS} requests" if is_first else "",
            size <= MOST_KILOBYTES and of.requests <= MOST_REQUESTS if is_first else None,
        )
        paint = f"{of.seconds * 1e3:,.0f} ms"
        yield f"console, {of.page}: largest paint", paint, "a blank page's", of.ratio, "", None


def _measure() -> list[Opened]:
    """Open each page of a customer with nothing cached, in turns with a blank page.

    Returns none where there is no browser.
    """
    path = browser_path()
    if path is None:
        return []
    with tempfile.TemporaryDirectory(prefix="synaxis-bench-") as folder:
        # PostgreSQL refuses to be root.
        Path(folder).chmod(0o711)
        return _in_browser(path, Path(folder))


def _in_browser(path: str, state: Path) -> list[Opened]:
    with running(state / "console") as url, sync_playwright() as playwright:
        home = _customer(url)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.goto(f"{url}/console/")
        page.get_by_role("button").filter(has_text="finance").first.click()
        page.get_by_role("heading", level=1).wait_for()
        wire = _Wire(page)
        return [_opened(page, wire, url, home, name) for name in PAGES]


class _Wire:
    """Counts what a page asks the server for, with the sign-in that comes before it."""

    def __init__(self, page: Page) -> None:
        self.session: CDPSession = page.context.new_cdp_session(page)
        self.session.send("Network.enable")
        self._urls: dict[str, str] = {}
        self._bytes: dict[str, int] = {}
        self.session.on("Network.requestWillBeSent", self._sent)
        self.session.on("Network.loadingFinished", self._finished)

    def clear(self) -> None:
        self.session.send("Network.clearBrowserCache")
        self._urls.clear()
        self._bytes.clear()

    def _sent(self, event: dict[str, Any]) -> None:
        self._urls[event["requestId"]] = event["request"]["url"]

    def _finished(self, event: dict[str, Any]) -> None:
        self._bytes[event["requestId"]] = int(event["encodedDataLength"])

    def bytes_of(self, part: str) -> int:
        return sum(size for of, size in self._bytes.items() if part in self._urls.get(of, ""))

    def requests_of(self, part: str) -> int:
        return sum(size > 0 and part in self._urls.get(of, "") for of, size in self._bytes.items())


def _opened(page: Page, wire: _Wire, url: str, home: str, name: str) -> Opened:
    seconds, ratios = [], []
    for _ in range(ROUNDS):
        page.goto(f"{url}{BLANK}")
        blank = page.evaluate(LARGEST_PAINT)
        wire.clear()
        page.goto(f"{home}/{name}")
        page.get_by_role("heading", level=1).wait_for()
        page.wait_for_load_state("networkidle")
        seconds.append(page.evaluate(LARGEST_PAINT))
        ratios.append(seconds[-1] / blank)
    return Opened(
        name or "overview",
        wire.bytes_of("/console/release/"),
        wire.requests_of("/console/") + wire.requests_of("/v1/"),
        wire.requests_of("/v1/"),
        statistics.median(seconds),
        statistics.median(ratios),
    )


def _customer(url: str) -> str:
    """Return the console's address of a customer with some calls."""
    client = Client(url)
    path = client.new_organization("100", name="Aurora Labs")
    organization_id = path.rpartition("/")[2]
    charge = {"organization_id": organization_id, "amount_usd": "0.0123", "description": "chat"}
    charges = [
        {**charge, "model": f"model-{number % 9}", "idempotency_key": f"bench {number}"}
        for number in range(200)
    ]
    client.post("/v1/charges/batch", {"charges": charges}).raise_for_status()
    client.close()
    return f"{url}/console/o/{organization_id}"
