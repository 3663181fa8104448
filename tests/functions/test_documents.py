"""Links by which a browser opens one document, and forms that the query names."""

import base64
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

import httpx
import psycopg
import pytest

from synaxis_billing.invoices import links
from tests.conftest import Database
from tests.support.running import PATIENCE_SECONDS, Client

TYPES = {"pdf": "application/pdf", "csv": "text/csv"}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = bytes(range(32))
LINKED = links.Linked(uuid4(), uuid4(), None, "pdf")


class Documents(NamedTuple):
    """The path of an organization, and the ids of its invoice and of a credit note of that."""

    path: str
    invoice_id: str
    credit_note_id: str

    @property
    def invoice(self) -> str:
        return f"{self.path}/invoices/{self.invoice_id}"

    @property
    def note(self) -> str:
        return f"{self.invoice}/credit-notes/{self.credit_note_id}"


@pytest.fixture(scope="module")
def documents(api: Client, product: tuple[str, Database]) -> Documents:
    # It owes what it used: its invoice can be credited.
    path = api.new_organization(credit_limit_usd="100")
    api.post(f"{path}/charges", {"amount_usd": "5", "description": "x"}, "1").raise_for_status()
    with product[1].admin() as admin:
        [now] = admin.execute("SELECT to_json(billing.now())").fetchone() or [None]
    period = {"period_start": "2020-01-01T00:00:00Z", "period_end": now}
    draft = api.post(f"{path}/invoices", period).raise_for_status().json()["id"]
    api.post(f"{path}/invoices/{draft}/issue").raise_for_status()
    asked = {"reason": "Goodwill", "amount_usd": "1"}
    note = api.post(f"{path}/invoices/{draft}/credit-notes", asked, "note").raise_for_status()
    return Documents(path, draft, note.json()["id"])


def open_link(api: Client, url: str) -> httpx.Response:
    """As a browser does, without a token."""
    return httpx.get(f"{api.url}{url}", timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("form", ["pdf", "csv"])
@pytest.mark.parametrize("kind", ["invoice", "note"])
def test_a_link_opens_its_document_alone(
    api: Client, documents: Documents, kind: str, form: str
) -> None:
    note = {"credit_note_id": documents.credit_note_id} if kind == "note" else {}
    asked = {"invoice_id": documents.invoice_id, "format": form, **note}
    made = api.post(f"{documents.path}/documents", asked)
    assert made.status_code == 201, made.text
    ends = datetime.fromisoformat(made.json()["expires_at"]) - datetime.now(UTC)
    assert links.LIFETIME - timedelta(seconds=PATIENCE_SECONDS) < ends <= links.LIFETIME
    opened = open_link(api, made.json()["url"])
    assert opened.status_code == 200, opened.text
    path = documents.note if kind == "note" else documents.invoice
    same = api.http.get(path, headers={"accept": TYPES[form]})
    assert opened.content == same.content
    for name in ("content-type", "content-disposition"):
        assert opened.headers[name] == same.headers[name]
    assert opened.headers["cache-control"] == "private, no-store"


def test_a_link_is_made_by_who_may_read_the_document(api: Client, documents: Documents) -> None:
    asked = {"invoice_id": documents.invoice_id}
    own = documents.path.rpartition("/")[2]
    others = api.new_organization().rpartition("/")[2]
    for scope, organization, status, code in (
        ("billing:read", own, 201, None),
        ("billing:charge", own, 403, "forbidden"),
        ("billing:read", others, 404, "organization_not_found"),
    ):
        made = api.other(scope, organization).post(f"{documents.path}/documents", asked)
        assert (made.status_code, made.json().get("code")) == (status, code)
    for wrong, code in (
        ({"invoice_id": str(uuid4())}, "invoice_not_found"),
        ({**asked, "credit_note_id": str(uuid4())}, "credit_note_not_found"),
    ):
        refused = api.post(f"{documents.path}/documents", wrong)
        assert (refused.status_code, refused.json()["code"]) == (404, code)
    refused = api.post(f"/v1/organizations/{others}/documents", asked)
    assert refused.json()["code"] == "invoice_not_found"


def test_a_link_that_was_altered_in_any_bit_opens_nothing() -> None:
    token = links.sign(KEY, LINKED, NOW + links.LIFETIME)
    assert links.verify(KEY, token, NOW) == LINKED
    signed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    altered = [
        bytes([*signed[:place], signed[place] ^ 1 << bit, *signed[place + 1 :]])
        for place in range(len(signed))
        for bit in range(8)
    ]
    altered += [signed[:-1], signed + b"\0", signed[32:], b""]
    for other in altered:
        with pytest.raises(links.DocumentLinkNotFound):
            links.verify(KEY, base64.urlsafe_b64encode(other).decode().rstrip("="), NOW)
    for other_token in ("", "é", "a b", token[:-1], f"{token[:8]}!!!!{token[8:]}"):
        with pytest.raises(links.DocumentLinkNotFound):
            links.verify(KEY, other_token, NOW)
    with pytest.raises(links.DocumentLinkNotFound):
        links.verify(bytes(32), token, NOW)
    with pytest.raises(links.DocumentLinkExpired):
        links.verify(KEY, token, NOW + links.LIFETIME)


def test_a_link_ends_at_its_instant(api: Client, product: tuple[str, Database]) -> None:
    token = links.sign(KEY, LINKED, NOW)
    assert links.verify(KEY, token, NOW - timedelta(seconds=1)) == LINKED
    with pytest.raises(links.DocumentLinkExpired):
        links.verify(KEY, token, NOW)
    with product[1].admin() as admin:
        [key] = admin.execute("SELECT key FROM billing.document_key").fetchone() or [b""]
    expired = open_link(api, f"/v1/documents/{links.sign(key, LINKED, NOW)}")
    assert (expired.status_code, expired.json()["code"]) == (403, "document_link_expired")
    assert "Ask for a new one" in expired.json()["detail"]
    forged = open_link(api, f"/v1/documents/{links.sign(KEY, LINKED, NOW)}")
    assert (forged.status_code, forged.json()["code"]) == (404, "document_link_not_found")
    # What was there when the link was made.
    gone = links.sign(key, LINKED, datetime.now(UTC) + links.LIFETIME)
    assert open_link(api, f"/v1/documents/{gone}").status_code == 404


@pytest.mark.parametrize(
    ("path", "forms"),
    [
        ("{of.invoice}", ("pdf", "csv")),
        ("{of.note}", ("pdf", "csv")),
        ("{of.invoice}/lines", ("csv",)),
        ("{of.path}/transactions", ("csv",)),
        ("{of.path}/spend-logs", ("csv",)),
        ("/v1/revenue?month=2026-02", ("csv",)),
    ],
)
def test_the_query_names_a_form_as_the_header_does(
    api: Client, documents: Documents, path: str, forms: tuple[str, ...]
) -> None:
    url = httpx.URL(path.format(of=documents))
    asked = api.http.get(url, headers={"accept": "application/pdf, text/csv"})
    assert asked.status_code == 200
    plain = api.http.get(url.copy_merge_params({"format": "json"}), headers=asked.request.headers)
    assert plain.headers["content-type"] == "application/json"
    for form in forms:
        named = api.http.get(url.copy_merge_params({"format": form}))
        same = api.http.get(url, headers={"accept": TYPES[form]})
        assert named.status_code == 200, named.text
        assert named.headers["content-type"] == same.headers["content-type"]
        assert named.content == same.content
    for wrong in {"pdf", "csv", "xml", ""} - set(forms):
        refused = api.http.get(url.copy_merge_params({"format": wrong}))
        assert refused.status_code == 400
        assert [error["pointer"] for error in refused.json()["errors"]] == ["/format"]


def test_the_application_signs_by_the_key_and_reads_no_table(database: Database) -> None:
    with database.connect() as db:
        made = links.link(db, LINKED)
        assert links.open_link(db, made.url.rpartition("/")[2]) == LINKED
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute("SELECT key FROM billing.document_key")
