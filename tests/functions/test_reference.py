"""The API's document and its page, as the running product serves them to anybody."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest

from local.template import ROOT
from synaxis_billing.edge.http import reference
from synaxis_billing.edge.settings import settings
from tests.support.running import Client

DOCUMENT = ROOT / "docs/openapi.json"
COGNITO = "https://acme-1.auth.eu-central-1.amazoncognito.com/oauth2/token"


class Links(HTMLParser):
    """What a page refers to, and the scripts and styles that it has itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.urls += [url for name in ("src", "href") if (url := found.get(name))]
        if tag == "style" or (tag == "script" and "src" not in found):
            self.inline.append(tag)
        self.inline += [name for name in found if name == "style" or name.startswith("on")]


def test_the_document_is_the_committed_one_and_needs_no_token(api: Client) -> None:
    answered = httpx.get(f"{api.url}/openapi.json")
    assert answered.headers["content-type"].startswith("application/json")
    assert answered.json() == json.loads(DOCUMENT.read_text())


def test_the_page_has_all_that_it_refers_to_and_links_the_guides(api: Client) -> None:
    page = httpx.get(f"{api.url}/docs")
    assert page.headers["content-type"].startswith("text/html")
    urls = Links(page.text).urls
    for url in urls:
        answered = httpx.get(str(httpx.URL(f"{api.url}/docs").join(url)))
        assert answered.status_code == 200, url
        assert answered.headers["x-content-type-options"] == "nosniff"
    guides = {f"docs/{guide.name}" for guide in (ROOT / "docs").glob("*.md")}
    assert "docs/integrate.md" in guides
    assert guides < set(urls)


def test_the_page_runs_no_script_but_its_own_files(api: Client) -> None:
    page = httpx.get(f"{api.url}/docs")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
    assert "unsafe" not in policy
    assert Links(page.text).inline == []


@pytest.mark.parametrize("name", ["nothing.md", "app.py", "..%2Fapp.py", "openapi.json", "%2E%2E"])
def test_nothing_else_is_served(api: Client, name: str) -> None:
    assert httpx.get(f"{api.url}/docs/{name}").status_code == 404


@pytest.fixture
def cognito(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The settings of a stack that has a user pool."""
    monkeypatch.setenv("OAUTH_ENDPOINT", COGNITO)
    caches = (settings, reference._document)
    for function in caches:
        function.cache_clear()
    yield
    for function in caches:
        function.cache_clear()


@pytest.mark.usefixtures("cognito")
def test_a_deployed_document_names_the_stacks_own_issuer() -> None:
    folder = ROOT / "docs"
    served = json.loads(str(reference.document(folder).content))
    flow = served["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == COGNITO
    assert "billing/charge" in flow["scopes"]
    charge = served["paths"]["/v1/organizations/{organization_id}/charges"]["post"]
    assert charge["security"][0] == {"oauth2": ["billing/charge"]}
    policy = reference.page(folder).headers["content-security-policy"]
    assert re.search(r"connect-src 'self' https://acme-1\.auth\.\S+\.amazoncognito\.com;", policy)
