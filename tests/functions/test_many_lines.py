"""An invoice of very many models: it is drafted, read, issued and set as every other."""

import csv
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any
from uuid import uuid4

import pytest
from pypdf import PdfReader

from tests.conftest import Database
from tests.support.running import Client

LINES = 8000
SHOWN = 500


def names(number: int) -> dict[str, str]:
    """A model and its provider; those that are shown have the longest names, of letters that are
    four bytes each."""
    if number < LINES - SHOWN:
        return {"model": f"model-{number:05}", "provider": "openai"}
    return {"model": f"{number:05}" + "😀" * 250, "provider": "😀" * 255}


@pytest.fixture(scope="module")
def organization(api: Client) -> str:
    """The path of an organization that used so many models, each at a price of its own."""
    path = api.new_organization("1000", billing_currency="EUR")
    organization_id = path.rpartition("/")[2]
    for first in range(0, LINES, 1000):
        charges = [
            {
                "organization_id": organization_id,
                "idempotency_key": str(uuid4()),
                "amount_usd": f"0.0{number:05}1",
                "description": "a call",
                **names(number),
                "tokens": 10,
            }
            for number in range(first, first + 1000)
        ]
        results = api.post("/v1/charges/batch", {"charges": charges}).json()["results"]
        assert {result["status"] for result in results} == {201}
    return path


@pytest.fixture(scope="module")
def draft(organization: str, api: Client, product: tuple[str, Database]) -> dict[str, Any]:
    with product[1].admin() as admin:
        [now] = admin.execute("SELECT to_json(billing.now())").fetchone() or [None]
    period = {"period_start": "2020-01-01T00:00:00Z", "period_end": now}
    drafted = api.post(f"{organization}/invoices", period)
    assert drafted.status_code == 201, drafted.text
    found: dict[str, Any] = drafted.json()
    return found


def test_an_invoice_shows_its_largest_lines_and_the_sums_of_the_others(
    draft: dict[str, Any],
) -> None:
    assert (draft["line_count"], len(draft["line_items"])) == (LINES, SHOWN)
    rest = draft["further_lines"]
    assert (rest["lines"], rest["requests"], rest["tokens"]) == (LINES - SHOWN, 7500, 75000)
    for amount, total in (
        ("amount_usd", "subtotal_usd"),
        ("amount_billing_currency", "subtotal_billing_currency"),
    ):
        shown = sum(Decimal(line[amount]) for line in draft["line_items"])
        assert shown + Decimal(rest[amount]) == Decimal(draft[total])
    assert draft["line_items"][0]["model"].startswith("07999")


def test_its_lines_come_in_pages_as_json_and_csv(
    draft: dict[str, Any], organization: str, api: Client
) -> None:
    path = f"{organization}/invoices/{draft['id']}/lines"
    lines: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {} if cursor is None else {"cursor": cursor}
        page = api.get(path, limit=100, **query).json()
        lines += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert len(lines) == len({line["model"] for line in lines}) == LINES
    assert lines[:SHOWN] == draft["line_items"]
    assert sum(Decimal(line["amount_usd"]) for line in lines) == Decimal(draft["subtotal_usd"])
    table = api.http.get(path, params={"limit": 100}, headers={"accept": "text/csv"})
    rows = list(csv.DictReader(StringIO(table.content.decode("utf-8-sig"), newline="")))
    assert [row["model"] for row in rows] == [line["model"] for line in lines[:100]]
    assert "next" in table.links


def test_its_documents_are_sent(draft: dict[str, Any], organization: str, api: Client) -> None:
    path = f"{organization}/invoices/{draft['id']}"
    page = api.http.get(path, headers={"accept": "application/pdf"})
    assert page.status_code == 200, page.text
    text = " ".join(PdfReader(BytesIO(page.content)).pages[-1].extract_text().split())
    assert "7,500 further lines" in text
    table = api.http.get(path, headers={"accept": "text/csv"})
    rows = list(csv.DictReader(StringIO(table.content.decode("utf-8-sig"), newline="")))
    kinds = [row["kind"] for row in rows]
    assert kinds == ["line"] * SHOWN + ["further_lines", "settled", "amount_due"]
    billed = [Decimal(row["amount_billing_currency"]) for row in rows]
    assert sum(billed[:-1]) == billed[-1]


def test_lists_of_it_are_short_and_it_is_issued(
    draft: dict[str, Any], organization: str, api: Client
) -> None:
    every = api.get(f"{organization}/invoices").json()["items"]
    [listed] = [one for one in every if one["kind"] == "usage"]
    assert listed == {
        name: draft[name] for name in draft if name not in ("line_items", "further_lines")
    }
    issued = api.post(f"{organization}/invoices/{draft['id']}/issue").json()
    assert "status" in issued, issued
    # The credit was bought before.
    assert (issued["status"], issued["line_count"]) == ("paid", LINES)
    assert issued["line_items"] == draft["line_items"]


def test_its_lines_are_not_in_an_export_of_personal_data(
    draft: dict[str, Any], organization: str, api: Client
) -> None:
    kinds: dict[str, list[dict[str, Any]]] = {}
    cursor: str | None = "invoice."
    while cursor is not None:
        answer = api.get(f"{organization}/personal-data", cursor=cursor)
        assert answer.status_code == 200, answer.text[:300]
        for record in answer.json()["items"]:
            kinds.setdefault(record["kind"], []).append(record["data"])
        cursor = answer.json()["next_cursor"]
    [exported] = [one for one in kinds["invoice"] if one["kind"] == "usage"]
    assert exported["id"] == draft["id"]
    assert exported["customer"]["name"] == draft["customer"]["name"]
    assert "line_items" not in exported


@pytest.mark.parametrize("cursor", ["x", "bGluZXMgeCA1", ""])
def test_a_cursor_of_another_list_is_refused(
    cursor: str, draft: dict[str, Any], organization: str, api: Client
) -> None:
    path = f"{organization}/invoices/{draft['id']}/lines"
    other = api.get(f"{organization}/transactions", limit=1).json()["next_cursor"]
    for wrong in (cursor, other):
        answer = api.get(path, cursor=wrong)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/cursor")
