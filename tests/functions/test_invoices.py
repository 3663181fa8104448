"""An invoice's life over HTTP."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import uuid4

import pytest
from pypdf import PdfReader

from tests.support.running import Client

CHARGE = {"amount_usd": "1.25", "description": "chat", "model": "gpt-4o", "provider": "openai"}


def _period(until: datetime | None = None) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "period_start": (now - timedelta(days=1)).isoformat(),
        "period_end": (until or now).isoformat(),
    }


def test_from_a_charge_to_a_paid_invoice_and_back_by_credit_note(api: Client) -> None:
    tax = {"label": "IVA", "rate_percent": "23", "tax_id": "PT501"}
    number = f"customer-{uuid4()}"
    path = api.new_organization(
        credit_limit_usd="10",
        billing_currency="EUR",
        tax=tax,
        locale="pt-PT",
        external_id=number,
        address={"line1": "Rua 1", "postal_code": "1100-148", "city": "Lisboa", "country": "PT"},
        buyer_reference="PO-7",
    )
    api.post(f"{path}/charges", CHARGE, "c").raise_for_status()
    period = _period()
    drafted = api.post(f"{path}/invoices", period)
    assert (drafted.status_code, drafted.json()["status"]) == (201, "draft")
    assert api.post(f"{path}/invoices", period).status_code == 200
    invoice = f"{path}/invoices/{drafted.json()['id']}"
    assert api.post(f"{invoice}/pay", {}).json()["code"] == "invalid_state"
    issued = api.post(f"{invoice}/issue").json()
    assert issued["status"] == "issued"
    assert issued["invoice_number"].startswith(f"INV-{datetime.now(UTC).year}-")
    assert issued["rate_source"] == "simulated"
    customer = issued["customer"]
    assert (customer["number"], customer["reference"]) == (number, "PO-7")
    assert (customer["address"]["line1"], customer["address"]["country"]) == ("Rua 1", "PT")
    [line] = issued["line_items"]
    assert (line["model"], line["requests"], line["amount_usd"]) == ("gpt-4o", 1, "1.25")
    assert line["amount_billing_currency"] == issued["subtotal_billing_currency"]
    assert issued["tax_usd"] == "0.2875"
    assert api.post(f"{invoice}/cancel").status_code == 409
    paid = api.post(f"{invoice}/pay", {"paid_at": "2026-03-20T12:00:00Z"}).json()
    assert (paid["status"], paid["paid_at"]) == ("paid", "2026-03-20T12:00:00Z")
    note = api.post(f"{invoice}/credit-notes", {"reason": "wrong", "refund_credit": True}, "n")
    assert (note.status_code, note.json()["subtotal_usd"]) == (201, "1.25")
    again = api.post(f"{invoice}/credit-notes", {"reason": "wrong", "refund_credit": True}, "n")
    assert (again.json(), again.headers["idempotency-replayed"]) == (note.json(), "true")
    url = f"{invoice}/credit-notes/{note.json()['id']}"
    assert api.get(url).json() == note.json()
    for at, number in (
        (invoice, issued["invoice_number"]),
        (url, note.json()["credit_note_number"]),
    ):
        file = api.http.get(at, headers={"accept": "application/pdf"})
        assert file.headers["content-type"] == "application/pdf", file.text
        assert file.headers["content-disposition"] == f'attachment; filename="{number}.pdf"'
        text = "\n".join(page.extract_text() for page in PdfReader(BytesIO(file.content)).pages)
        assert number in text
        assert "Lisboa" in text
    table = api.http.get(invoice, headers={"accept": "text/csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.text.splitlines()[1].startswith('"gpt-4o, openai",gpt-4o,openai,1,0,1.25,')
    missing = api.get(f"{invoice}/credit-notes/{uuid4()}")
    assert (missing.status_code, missing.json()["code"]) == (404, "credit_note_not_found")
    # The invoice was paid, and what it asked for given back.
    assert api.get(f"{path}/balance").json()["balance_usd"] == "1.25"
    assert api.get(invoice).json()["status"] == "cancelled"
    assert api.get(f"{invoice}/credit-notes").json()["items"] == [note.json()]
    assert [one["id"] for one in api.get(f"{path}/invoices").json()["items"]] == [paid["id"]]
    assert api.get(f"{path}/invoices", status="draft").json()["items"] == []


def test_lists_come_in_pages(api: Client) -> None:
    path = api.new_organization()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(5):
        days = [start + timedelta(days=number + more) for more in (0, 1)]
        period = {"period_start": days[0].isoformat(), "period_end": days[1].isoformat()}
        api.post(f"{path}/invoices", period).raise_for_status()
    first = api.get(f"{path}/invoices", limit=3).json()
    rest = api.get(f"{path}/invoices", limit=3, cursor=first["next_cursor"]).json()
    starts = [one["period_start"] for one in first["items"] + rest["items"]]
    assert starts == [f"2026-01-0{number}T00:00:00Z" for number in (5, 4, 3, 2, 1)]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"period_start": "2026-02-01T00:00:00Z"}, "/period_end"),
        ({"period_start": "2026-02-01", "period_end": "2026-03-01T00:00:00Z"}, "/period_start"),
        ({"period_start": 1, "period_end": "2026-03-01T00:00:00Z"}, "/period_start"),
        (
            {"period_start": "2026-03-01T00:00:00Z", "period_end": "2026-02-01T00:00:00Z"},
            "/period_end",
        ),
    ],
)
def test_a_period_that_is_none_is_named(body: dict[str, object], pointer: str, api: Client) -> None:
    answer = api.post(f"{api.new_organization()}/invoices", body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)


def test_an_invoice_of_another_tenant_is_not_there(api: Client) -> None:
    path = api.new_organization()
    invoice = api.post(f"{path}/invoices", _period()).json()["id"]
    other = uuid4()
    api.new_organization(id=str(other))
    stranger = api.other("billing:read billing:admin", other)
    for answer in (
        stranger.get(f"{path}/invoices/{invoice}"),
        stranger.get(f"/v1/organizations/{other}/invoices/{invoice}"),
        stranger.post(f"{path}/invoices/{invoice}/issue"),
        stranger.post(f"/v1/organizations/{other}/invoices/{invoice}/cancel"),
    ):
        assert answer.status_code == 404
    reader = api.other("billing:read", path.rpartition("/")[2])
    assert reader.get(f"{path}/invoices/{invoice}").status_code == 200
    assert reader.post(f"{path}/invoices/{invoice}/issue").status_code == 403


@pytest.mark.parametrize(
    ("profile", "pointer"),
    [
        ({"locale": "german"}, "/locale"),
        ({"locale": "de_DE"}, "/locale"),
        ({"payment_terms_days": -1}, "/payment_terms_days"),
        ({"payment_terms_days": "14"}, "/payment_terms_days"),
        ({"address": "Rua 1, Lisboa"}, "/address"),
        ({"address": {"line1": "Rua 1", "city": "Lisboa"}}, "/address/country"),
        ({"address": {"line1": "1", "city": "L", "country": "XX"}}, "/address/country"),
        ({"tax": {"label": "V", "rate_percent": "1", "category": "none"}}, "/tax/category"),
    ],
)
def test_what_an_invoice_needs_of_the_profile_is_checked(
    profile: dict[str, object], pointer: str, api: Client
) -> None:
    answer = api.post("/v1/organizations", {"name": "A", "billing_currency": "EUR", **profile})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)


def test_a_wrong_tax_id_on_the_invoice_of_a_top_up_is_corrected_in_one_act(api: Client) -> None:
    path = api.new_organization(tax={"label": "VAT", "rate_percent": "20", "tax_id": "WRONG"})
    bought = api.post(f"{path}/topups", {"amount_usd": "5"}, "t").json()
    api.post(f"{path}/charges", CHARGE | {"amount_usd": "5"}, "c").raise_for_status()
    sold = api.get(f"{path}/topups/{bought['id']}/invoice").json()
    notes = f"{path}/invoices/{sold['id']}/credit-notes"
    tax = {"label": "VAT", "rate_percent": "20", "tax_id": "RIGHT"}
    assert api.http.patch(path, json={"tax": tax}).status_code == 200
    both = api.post(notes, {"reason": "tax id", "reissue": True, "amount_usd": "1"}, "n")
    assert (both.status_code, both.json()["code"]) == (400, "invalid_request")
    note = api.post(notes, {"reason": "tax id", "reissue": True}, "n")
    assert (note.status_code, note.json()["total_amount_usd"]) == (201, "6.00")
    url = f"{path}/invoices/{note.json()['corrected_invoice_id']}"
    corrected = api.get(url).json()
    assert corrected["corrects_number"] == sold["invoice_number"]
    assert (corrected["customer"]["tax_id"], corrected["status"]) == ("RIGHT", "paid")
    assert api.get(f"{path}/topups/{bought['id']}/invoice").json() == corrected
    pdf = api.http.get(url, headers={"accept": "application/pdf"}).content
    text = " ".join(PdfReader(BytesIO(pdf)).pages[0].extract_text().split())
    assert f"Corrects invoice {sold['invoice_number']}" in text
    twice = api.post(notes, {"reason": "tax id", "reissue": True}, "m")
    assert (twice.status_code, twice.json()["code"]) == (409, "invalid_state")
