"""Six views look as they did, light and dark, with the answers of the API's document.

A picture is compared by the ratio of pixels that differ. It depends on the browser and on the fonts
of the machine, so it is compared only where both are those of the baseline. To make the baseline
anew, after you have looked at the change:

    PICTURES=write make test ARGS="tests/console/test_pictures.py -n0"

A picture that differs is kept below the folder that PICTURES names.
"""

import base64
import json
import os
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from local.openapi.document import PATH
from tests.console.conftest import (
    SCHEMES,
    Customers,
    People,
    go,
    go_nowhere,
    open_within,
    wait_until_shown,
)

BASELINE = Path(__file__).parent / "pictures"
MADE_BY = BASELINE / "made_by.json"
MODE = os.environ.get("PICTURES", "")
# A pixel differs if a channel does by more than 8 of 255.
MOST_DIFFERING = 0.001

NOW = "2026-02-20T12:00:00Z"
# The width of a text in each family that the style sheet names, which is that of the font found.
FONTS = """() => ['system-ui', 'sans-serif', 'ui-monospace', 'monospace'].map(family => {
  const text = Object.assign(document.createElement('span'), {textContent: 'Quick €1,234.50 fox'});
  Object.assign(text.style, {font: `40px ${family}`, position: 'absolute'});
  document.body.append(text);
  const {width, height} = text.getBoundingClientRect();
  text.remove();
  return [family, Math.round(width * 8), Math.round(height * 8)];
})"""
COMPARE = """async pictures => {
  const [before, after] = await Promise.all(pictures.map(async base64 => {
    const image = Object.assign(new Image(), {src: `data:image/png;base64,${base64}`});
    await image.decode();
    const {width, height} = image;
    const canvas = Object.assign(document.createElement('canvas'), {width, height});
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, width, height);
  }));
  if (before.width !== after.width || before.height !== after.height) return 1;
  const differs = at => Math.abs(before.data[at] - after.data[at]) > 8;
  let differing = 0;
  for (let at = 0; at < before.data.length; at += 4)
    if (differs(at) || differs(at + 1) || differs(at + 2)) differing += 1;
  return differing / (before.width * before.height);
}"""
# Counts the answers that the page waits for.
COUNT = """const ask = fetch;
globalThis.waiting = 0;
globalThis.fetch = async (...asked) => {
  waiting += 1;
  try {
    const answer = await ask(...asked);
    await answer.clone().arrayBuffer();
    return answer;
  } finally {
    waiting -= 1;
  }
};"""
# Resolves when it has waited for none during three frames.
SETTLED = """async () => {
  for (let frames = 0; frames < 3; frames = waiting ? 0 : frames + 1)
    await new Promise(requestAnimationFrame);
}"""
type Answers = list[tuple[re.Pattern[str], Any]]
# A view: who sees it, its address, and what is opened there.
VIEWS = {
    "overview": ("finance", "", ""),
    "transactions": ("finance", "/transactions", ""),
    "receipt": ("finance", "/transactions", "row"),
    "invoice": ("finance", "/invoices", "row"),
    "payments": ("finance", "/payments", "Add credit"),
    "organizations": ("operator", "", ""),
}


def _answers() -> Answers:
    """The example of each answer of the API's document, by the method and the path."""
    found = []
    for path, operations in json.loads(PATH.read_text())["paths"].items():
        for method in operations.keys() & {"get", "post"}:
            content = operations[method]["responses"].get("200", {}).get("content", {})
            example = content.get("application/json", {}).get("example")
            if example is not None:
                pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))
                found.append((re.compile(rf"{method.upper()} {pattern}$"), example))
    # The document's example is a total of a month.
    return [(re.compile(r"GET .*/spending$"), _spending()), *found]


def _spending() -> dict[str, Any]:
    """Thirty days of three models, and of others."""
    days = [date(2026, 1, 22) + timedelta(days=number) for number in range(30)]

    def sums(model: str | None, size: int) -> list[dict[str, str]]:
        return [
            {"day": str(day), "amount_usd": f"{(number * size) % 11 / 2 + size}"}
            | ({"model": model} if model else {})
            for number, day in enumerate(days)
        ]

    items = [row for size in (3, 2, 1) for row in sums(f"model-{size}", size)]
    return {"items": items, "others": sums(None, 1), "total": {"amount_usd": "495"}}


@pytest.fixture(scope="module")
def pages(browser: Browser, customers: Customers) -> Iterator[dict[str, Page]]:
    """A page of each person at half of its size, at a time that stands still."""
    people = People(browser, customers)
    half: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "device_scale_factor": 0.5}
    pages = {
        "finance": people.finance(customers.path, **half),
        "operator": people.operator(**half),
    }
    _skip_unless_comparable(browser, pages["finance"])
    answers = _answers()
    for page in pages.values():
        page.clock.set_fixed_time(NOW)
        page.add_init_script(COUNT)
        _answer_as_documented(page, answers)
        page.reload()
    yield pages
    people.end_test(failed=False)


@pytest.fixture(scope="module")
def canvas(browser: Browser) -> Iterator[Page]:
    """A page on which pictures are compared."""
    page = browser.new_page()
    yield page
    page.close()


def _answer_as_documented(page: Page, answers: Answers) -> None:
    def answer(route: Route) -> None:
        asked = f"{route.request.method} {urlsplit(route.request.url).path}"
        for pattern, example in answers:
            if pattern.match(asked):
                return route.fulfill(json=example)
        return route.fulfill(status=404, json={"detail": "It does not exist."})

    page.route(re.compile(r"/v1/"), answer)


def _skip_unless_comparable(browser: Browser, page: Page) -> None:
    made_by = {"browser": browser.version, "fonts": page.evaluate(FONTS)}
    if MODE == "write":
        BASELINE.mkdir(exist_ok=True)
        MADE_BY.write_text(json.dumps(made_by, indent=2) + "\n")
        return
    baseline = json.loads(MADE_BY.read_text())
    for what, value in made_by.items():
        if value != baseline[what]:
            pytest.skip(f"the baseline was made by another {what}: {baseline[what]}, not {value}")


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_looks_as_it_did(
    pages: dict[str, Page], canvas: Page, customers: Customers, name: str
) -> None:
    who, path, opened = VIEWS[name]
    page, home = pages[who], f"{customers.url}/console" if who == "operator" else customers.home
    wait_until_shown(page)
    go_nowhere(page)
    go(page, home + path)
    expect(page.locator(".panel").first).to_be_visible()
    wait_until_shown(page)
    open_within(page, opened)
    differing = {}
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.evaluate(SETTLED)
        picture = page.screenshot(animations="disabled", caret="hide")
        baseline = BASELINE / f"{name}-{scheme}.png"
        if MODE == "write":
            baseline.write_bytes(picture)
            continue
        ratio = _differing(canvas, baseline.read_bytes(), picture)
        if ratio > MOST_DIFFERING:
            differing[baseline.name] = f"{ratio:.2%} of the pixels differ"
            if MODE:
                Path(MODE).mkdir(parents=True, exist_ok=True)
                (Path(MODE) / baseline.name).write_bytes(picture)
    assert differing == {}


def _differing(canvas: Page, *pictures: bytes) -> float:
    encoded = [base64.b64encode(picture).decode() for picture in pictures]
    return float(canvas.evaluate(COMPARE, encoded))


def test_a_change_of_a_picture_is_measured(browser: Browser, canvas: Page) -> None:
    page = browser.new_page(viewport={"width": 100, "height": 100})
    page.set_content(
        "<body style='margin: 0; background: white'><p style='height: 10px; margin: 0'>"
    )
    before = page.screenshot()
    page.evaluate("document.querySelector('p').style.background = 'black'")
    after = page.screenshot()
    page.close()
    assert _differing(canvas, before, before) == 0
    assert _differing(canvas, before, after) == 0.1
