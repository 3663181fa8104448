"""Lists as CSV: the rows of the JSON, page by page."""

import csv
from io import StringIO
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.support.running import Client

CALLS: list[dict[str, Any]] = [
    {
        "amount_usd": f"0.{number + 1}",
        "description": f'=HYPERLINK("x"), {number}',
        "team_id": f"team-{number % 2}",
        "model": "größer; -1",
        "provider": "openai",
        "metadata": {"job": f"nightly, {number}"},
    }
    for number in range(6)
]


@pytest.fixture
def organization(api: Client) -> str:
    path = api.new_organization("10")
    for number, call in enumerate(CALLS):
        api.post(f"{path}/charges", call, f"charge {number} {path}").raise_for_status()
    return path


def pages(api: Client, path: str, **query: Any) -> list[list[dict[str, str]]]:
    """The rows of each page of a list, by following its links."""
    found = []
    url: str | None = path
    while url is not None:
        answer = api.http.get(url, params=query or None, headers={"accept": "text/csv"})
        assert answer.headers["content-type"] == "text/csv; charset=utf-8", answer.text
        assert answer.content.startswith(b"\xef\xbb\xbf")
        text = answer.content.decode("utf-8-sig")
        found.append(list(csv.DictReader(StringIO(text, newline=""))))
        following = answer.links.get("next")
        url = urljoin(str(answer.url), following["url"]) if following else None
        query = {}
    return found


def test_transactions_are_a_table_with_the_filters_and_pages_of_the_list(
    api: Client, organization: str
) -> None:
    query = {"type": "charge", "team_id": "team-1", "limit": 2}
    first, second = pages(api, f"{organization}/transactions", **query)
    listed = api.get(f"{organization}/transactions", **query | {"limit": 100}).json()["items"]
    assert (len(first), len(second), len(listed)) == (2, 1, 3)
    for row, item in zip(first + second, listed, strict=True):
        assert list(row) == list(item)
        for name in ("id", "amount_usd", "balance_after_usd", "hash", "created_at", "team_id"):
            assert row[name] == item[name]
        assert (row["version"], row["reference_id"]) == (str(item["version"]), "")
        assert row["description"] == f"'{item['description']}"
        assert row["model"] == "größer; -1"
        assert row["metadata"].startswith('{"job": "nightly, ')


def test_spend_logs_are_a_table(api: Client, organization: str) -> None:
    [rows] = pages(api, f"{organization}/spend-logs", team_id="team-0")
    listed = api.get(f"{organization}/spend-logs", team_id="team-0").json()["items"]
    assert [row["id"] for row in rows] == [item["id"] for item in listed]
    assert [row["amount_usd"] for row in rows] == ["0.50", "0.30", "0.10"]


def test_a_list_varies_by_the_form_that_is_asked_for_and_links_to_the_next_page(
    api: Client, organization: str
) -> None:
    path = f"{organization}/transactions"
    listed = api.get(path, limit=1)
    assert (listed.headers["content-type"], listed.headers["vary"]) == (
        "application/json",
        "Accept, Accept-Encoding",
    )
    assert listed.json()["next_cursor"] in listed.links["next"]["url"]
    assert "link" not in api.get(path, limit=100).headers
    file = api.http.get(path, headers={"accept": "text/csv"})
    assert file.headers["vary"] == "Accept, Accept-Encoding"
    assert file.headers["content-disposition"] == 'attachment; filename="transactions.csv"'
    refused = api.http.get(path, params={"limit": "1_0"}, headers={"accept": "text/csv"})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
