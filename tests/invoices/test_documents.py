"""The invoice that a customer is sent, read back from its pages."""

# A range is written with an en dash.
# ruff: noqa: RUF001

import ast
import csv as spreadsheet
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from importlib.util import find_spec
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from babel import Locale
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from synaxis_billing.countries import COUNTRIES
from synaxis_billing.invoices.documents.labels import LABELS
from synaxis_billing.invoices.documents.model import InvoiceDocument
from synaxis_billing.invoices.documents.page import page
from synaxis_billing.invoices.documents.pdf import pdf
from synaxis_billing.invoices.documents.table import csv
from synaxis_billing.invoices.invoices import FurtherLines, LineItem
from synaxis_billing.invoices.parties import Customer, Seller
from synaxis_billing.invoices.settled import CreditStatement, Settled
from synaxis_billing.organizations.profile import Address

CORE = Path(__file__).parents[2] / "shared"
A4_POINTS = (595, 842)
HOSTILE = '#panic("x") *bold* <label> $x$ #sys.inputs \\ // "q" @ref'


def line_item(description: str, usd: str, billed: str, **changes: Any) -> LineItem:
    facts = {
        "description": description,
        "model": None,
        "provider": None,
        "requests": 1204,
        "tokens": 3402118,
        "amount_usd": Decimal(usd),
        "amount_billing_currency": Decimal(billed),
    }
    return LineItem.model_validate(facts | changes)


SELLER = Seller(
    name="Synaxis GmbH",
    address="Torstraße 140\n10119 Berlin",
    tax_id="DE312345678",
    email="billing@synaxis.example",
    payment_details="IBAN DE89 3704 0044 0532 0130 00\nBIC COBADEFFXXX",
)
CUSTOMER = Customer(
    number="customer-42",
    name="Acme Oy",
    address=Address(line1="Mannerheimintie 5", postal_code="00100", city="Helsinki", country="FI"),
    tax_id="FI12345678",
    reference="PO-4711",
)


def invoice(**changes: Any) -> InvoiceDocument:
    facts: dict[str, Any] = {
        "id": UUID(int=7),
        "number": "INV-2026-000042",
        "status": "issued",
        # February 2026 in Berlin.
        "period_start": datetime(2026, 1, 31, 23, tzinfo=UTC),
        "period_end": datetime(2026, 2, 28, 23, tzinfo=UTC),
        "first_day": date(2026, 2, 1),
        "last_day": date(2026, 2, 28),
        "billing_currency": "EUR",
        "minor_units": 2,
        "exchange_rate": Decimal("0.92000000"),
        "rate_source": "ecb",
        "rate_as_of": datetime(2026, 2, 27, tzinfo=UTC),
        "line_items": (
            line_item("gpt-4o, openai", "1300.00012300", "1196.00"),
            line_item("gemini-2.5-pro, google", "0.50000000", "0.46"),
        ),
        "subtotal_usd": Decimal("1300.50012300"),
        "tax_usd": Decimal("247.09502337"),
        "total_amount_usd": Decimal("1547.59514637"),
        "subtotal_billing_currency": Decimal("1196.46"),
        "tax_billing_currency": Decimal("227.33"),
        "total_amount_billing_currency": Decimal("1423.79"),
        "amount_due_usd": Decimal("1547.59514637"),
        "amount_due_billing_currency": Decimal("1423.79"),
        "tax_label": "VAT",
        "tax_rate_percent": "19",
        "seller": SELLER,
        "customer": CUSTOMER,
        "locale": "en",
        "payment_terms_days": 30,
        "issued_at": datetime(2026, 3, 1, 0, 5, tzinfo=UTC),
        "issue_date": date(2026, 3, 1),
        "due_date": date(2026, 3, 31),
    }
    return InvoiceDocument.model_validate(facts | changes)


NO_TAX: dict[str, Any] = {
    "tax_usd": Decimal(0),
    "total_amount_usd": Decimal("1300.50012300"),
    "tax_billing_currency": Decimal("0.00"),
    "total_amount_billing_currency": Decimal("1196.46"),
    "amount_due_usd": Decimal("1300.50012300"),
    "amount_due_billing_currency": Decimal("1196.46"),
}


FURTHER = FurtherLines(
    lines=7500,
    requests=9000,
    tokens=1_000_000,
    amount_usd=Decimal("12.00"),
    amount_billing_currency=Decimal("11.04"),
)


def pages(document: InvoiceDocument, *fonts: Path) -> list[str]:
    """The text of each page, with one plain space wherever there is any."""
    reader = PdfReader(BytesIO(pdf(document, fonts)))
    return [" ".join(page.extract_text().split()) for page in reader.pages]


def only_page(document: InvoiceDocument, *fonts: Path) -> str:
    (text,) = pages(document, *fonts)
    return text


def japanese_fonts() -> Path:
    found = find_spec("noto_cjk_sans_jp_regular")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def test_a_page_says_what_a_finance_department_asks_for() -> None:
    text = only_page(invoice())
    for said in (
        "Invoice",
        "INV-2026-000042",
        "From Synaxis GmbH Torstraße 140 10119 Berlin VAT ID DE312345678 billing@synaxis.example",
        "Bill to Acme Oy Mannerheimintie 5 00100 Helsinki Finland VAT ID FI12345678",
        "Customer number customer-42 Your reference PO-4711",
        "Issue date March 1, 2026",
        "Due date March 31, 2026",
        "Period Feb 1 – 28, 2026",
        "Description Requests Tokens Amount (USD) Amount (EUR)",
        "gpt-4o, openai 1,204 3,402,118 1,300.000123 1,196.00",
        "gemini-2.5-pro, google 1,204 3,402,118 0.50 0.46",
        "Subtotal €1,196.46",
        "VAT 19% €227.33",
        "Total €1,423.79",
        "Total in US dollars 1,547.59514637 USD",
        "1 USD = 0.92 EUR, European Central Bank, Feb 27, 2026",
        "Payment terms 30 days",
        "Payment details IBAN DE89 3704 0044 0532 0130 00 BIC COBADEFFXXX",
        "Page 1 of 1",
    ):
        assert said in text
    for mark in ("DRAFT", "PAID", "CANCELLED", "Credit note", "Reverse charge"):
        assert mark not in text


def test_it_is_a4_and_its_properties_name_it() -> None:
    reader = PdfReader(BytesIO(pdf(invoice())))
    assert tuple(round(side) for side in reader.pages[0].mediabox[2:]) == A4_POINTS
    assert reader.metadata is not None
    assert reader.metadata.title == "Invoice INV-2026-000042"
    assert reader.metadata.author == "Synaxis GmbH"
    assert reader.metadata.creation_date == datetime(2026, 3, 1, 0, 5, tzinfo=UTC)


def test_a_long_table_goes_over_pages_that_each_have_the_head_and_the_number() -> None:
    items = tuple(
        line_item(f"model {n}, provider", f"{n}.12345678", f"{n}.11", requests=n)
        for n in range(1, 121)
    )
    texts = pages(invoice(line_items=items))
    assert len(texts) >= 3
    for at, text in enumerate(texts, 1):
        assert "Description Requests Tokens Amount (USD) Amount (EUR)" in text
        assert f"Page {at} of {len(texts)}" in text
        assert "INV-2026-000042" in text
        assert ("Total €1,423.79" in text) == (at == len(texts))
    everything = " ".join(texts)
    for n in range(1, 121):
        assert f"model {n}, provider {n} 3,402,118 {n}.12345678 {n}.11" in everything


@pytest.mark.parametrize("count", range(14, 26))
def test_the_totals_are_never_torn_apart(count: int) -> None:
    items = tuple(line_item(f"model {n}", "1.00", "0.92") for n in range(count))
    (at,) = [text for text in pages(invoice(line_items=items)) if "Subtotal" in text]
    assert "VAT 19% €227.33 Total €1,423.79 Total in US dollars" in at


def test_a_page_without_lines_has_its_head_and_a_total() -> None:
    text = only_page(invoice(line_items=()))
    assert "Description Requests Tokens" in text
    assert "Total €1,423.79" in text


def test_an_invoice_in_dollars_has_one_column_of_them_and_no_rate() -> None:
    text = only_page(invoice(billing_currency="USD", exchange_rate=Decimal(1)))
    assert "Description Requests Tokens Amount (USD) gpt-4o, openai 1,204 3,402,118 1,196" in text
    assert "Total $1,423.79" in text
    assert "Exchange rate" not in text
    assert "Total in US dollars" not in text


@pytest.mark.parametrize(
    ("currency", "units", "amount", "line", "total"),
    [
        ("JPY", 0, "194351", "194,351", "Total ¥194,351 "),
        ("KWD", 3, "400.125", "400.125", "Total KWD 400.125 "),
        ("KWD", 3, "400.1", "400.100", "Total KWD 400.100 "),
        ("BRL", 2, "7478", "7,478.00", "Total R$7,478.00 "),
        ("EUR", 2, "-12.3", "-12.30", "Total -€12.30 "),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(
    currency: str, units: int, amount: str, line: str, total: str
) -> None:
    text = only_page(
        invoice(
            billing_currency=currency,
            minor_units=units,
            line_items=(line_item("gpt-4o", "1300.00", amount),),
            amount_due_billing_currency=Decimal(amount),
        )
    )
    assert f"1,300.00 {line} Subtotal" in text
    assert total in text


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        ("0.00012300", "0.000123"),
        ("0.00000001", "0.00000001"),
        ("25.50000000", "25.50"),
        ("7", "7.00"),
        ("9999999999.99999999", "9,999,999,999.99999999"),
    ],
)
def test_dollars_have_two_decimals_and_all_that_are_stored(usd: str, shown: str) -> None:
    items = (line_item("gpt-4o", usd, "1.00"), line_item("o3", "0.12345678", "1.00"))
    assert f"gpt-4o 1,204 3,402,118 {shown} 1.00" in only_page(invoice(line_items=items))


def test_a_draft_is_marked_on_every_page_and_has_no_number() -> None:
    items = tuple(line_item(f"model {n}", "1.00", "0.92") for n in range(60))
    texts = pages(
        invoice(
            number=None,
            status="draft",
            issued_at=None,
            issue_date=None,
            due_date=None,
            line_items=items,
        )
    )
    assert len(texts) > 1
    for text in texts:
        assert "DRAFT" in text
    assert "Number" not in texts[0]
    assert "Issue date" not in texts[0]


def test_what_has_no_number_is_a_draft_whatever_it_says() -> None:
    assert "DRAFT" in only_page(invoice(number=None))


@pytest.mark.parametrize(("status", "mark"), [("paid", "PAID"), ("cancelled", "CANCELLED")])
def test_what_is_not_to_be_paid_says_so_and_not_how(status: str, mark: str) -> None:
    text = only_page(invoice(status=status))
    assert mark in text
    assert "IBAN" not in text


def test_an_overdue_invoice_is_the_one_that_was_issued() -> None:
    assert pdf(invoice(status="overdue")) == pdf(invoice())


def test_a_reverse_charge_is_explained_with_both_vat_ids_instead_of_a_tax() -> None:
    text = only_page(
        invoice(tax_category="reverse_charge", tax_label="VAT", tax_rate_percent="19", **NO_TAX)
    )
    assert "Reverse charge The recipient of the service is liable for the VAT." in text
    assert "Seller's VAT ID: DE312345678 Customer's VAT ID: FI12345678" in text
    assert "VAT 19%" not in text
    assert "Subtotal €1,196.46 Total €1,196.46" in text


def test_an_exempt_service_is_said_to_be() -> None:
    changes = {"tax_category": "exempt", "tax_label": "VAT", "tax_rate_percent": "0"}
    text = only_page(invoice(**changes, **NO_TAX))
    assert "VAT Exempt from tax" in text
    assert "Subtotal €1,196.46 Total €1,196.46" in text


@pytest.mark.parametrize(
    ("facts", "locale", "said"),
    [
        (
            {"line1": "Calle 1", "postal_code": "28013", "city": "Madrid", "country": "ES"},
            "es-ES",
            "Calle 1 28013 Madrid España",
        ),
        (
            {
                "line1": "1 Main Street",
                "line2": "Floor 2",
                "postal_code": "94105",
                "city": "San Francisco",
                "state": "CA",
                "country": "US",
            },
            "en-US",
            "1 Main Street Floor 2 San Francisco, CA 94105 United States",
        ),
        ({"line1": "Av. 1", "city": "Doha", "country": "QA"}, "de-DE", "Av. 1 Doha Katar"),
    ],
)
def test_an_address_is_written_as_its_country_does(
    facts: dict[str, str], locale: str, said: str
) -> None:
    customer = Customer(name="Acme", address=Address(**facts))
    assert said in only_page(invoice(customer=customer, locale=locale))


def test_every_country_has_a_name() -> None:
    names = Locale("en").territories
    assert {code for code in COUNTRIES if code not in names} == set()


def test_without_a_tax_there_is_no_line_of_it() -> None:
    text = only_page(invoice(tax_label=None, tax_rate_percent=None, **NO_TAX))
    assert "Subtotal €1,196.46 Total €1,196.46" in text
    assert "Reverse charge" not in text


def test_a_tax_of_zero_percent_has_its_line() -> None:
    assert "VAT 0% €0.00" in only_page(invoice(tax_rate_percent="0", **NO_TAX))


def test_a_tax_may_be_a_fraction_of_a_percent() -> None:
    assert "GST/QST 14.975% €227.33" in only_page(
        invoice(tax_label="GST/QST", tax_rate_percent="14.975")
    )


def test_a_credit_note_names_the_invoice_that_it_corrects_and_asks_for_nothing() -> None:
    text = only_page(
        invoice(kind="credit_note", number="CN-2026-000001", corrects_number="INV-2026-000042")
    )
    assert text.startswith("Credit note")
    assert "Number CN-2026-000001" in text
    assert "Corrects invoice INV-2026-000042" in text
    assert "Payment" not in text
    assert "Due date" not in text


@pytest.mark.parametrize("kind", ["credit_note", "topup"])
def test_a_credit_note_and_sold_credit_have_no_columns_of_requests(kind: str) -> None:
    line = line_item("wrong price", "10.00", "9.20", requests=0, tokens=0)
    text = only_page(invoice(kind=kind, line_items=(line,)))
    assert "Description Amount (USD) Amount (EUR) wrong price 10.00 9.20" in text


def test_only_lines_of_usage_have_counts() -> None:
    refunds = line_item("Refunds", "-10.00", "-9.20", requests=0, tokens=0)
    usage = line_item("gpt-4o", "20.00", "18.40")
    text = only_page(invoice(line_items=(usage, refunds)))
    assert "Requests Tokens Amount (USD) Amount (EUR) gpt-4o 1,204 3,402,118 20.00" in text
    assert "Refunds -10.00 -9.20" in text
    # A month in which there was nothing but a refund.
    assert "Description Amount (USD)" in only_page(invoice(line_items=(refunds,)))


SETTLED = (
    Settled(kind="promotional", amount_usd=Decimal(50), amount_billing_currency=Decimal(46)),
    Settled(
        kind="prepaid",
        amount_usd=Decimal("1250.50012300"),
        amount_billing_currency=Decimal("1150.46"),
    ),
)
CREDIT = CreditStatement(
    opening_balance_usd=Decimal("120.5"),
    purchased_usd=Decimal(2000),
    granted_usd=Decimal(50),
    refunded_usd=Decimal(0),
    used_usd=Decimal("1300.500123"),
    expired_usd=Decimal("12.5"),
    paid_out_usd=Decimal(0),
    closing_balance_usd=Decimal("857.499877"),
)
STATEMENT: dict[str, Any] = {
    **NO_TAX,
    "kind": "statement",
    "status": "paid",
    "settled": SETTLED,
    "credit": CREDIT,
    "amount_due_usd": Decimal(0),
    "amount_due_billing_currency": Decimal(0),
    "due_date": None,
}


def test_a_statement_says_what_settled_the_usage_and_how_the_balance_moved() -> None:
    text = only_page(invoice(**STATEMENT))
    assert text.startswith("Statement")
    for said in (
        "Subtotal €1,196.46 Settled by promotional credit -€46.00"
        " Settled by prepaid credit -€1,150.46 Amount due €0.00",
        "Credit in US dollars Opening balance 120.50 Purchased 2,000.00 Granted 50.00"
        " Used -1,300.500123 Expired -12.50 Closing balance 857.499877",
    ):
        assert said in text
    # It asks for nothing, and the tax was on the sale of the credit.
    for asked in ("VAT 19%", "PAID", "Payment", "IBAN", "Due date", "Refunded"):
        assert asked not in text


def test_the_rate_of_a_statement_is_on_one_line() -> None:
    at = {
        "rate_source": "an agreed reference rate",
        "rate_as_of": datetime(2026, 2, 27, 17, tzinfo=UTC),
    }
    reader = PdfReader(BytesIO(pdf(invoice(**STATEMENT | at))))
    said = "1 USD = 0.92 EUR, an agreed reference rate, Feb 27, 2026, 5:00 PM UTC"
    lines = [" ".join(line.split()) for line in reader.pages[0].extract_text().splitlines()]
    assert said in lines


def test_the_points_of_the_credit_stand_in_one_line() -> None:
    amounts = [amount for _, amount in page(invoice(**STATEMENT), any_script=False)["credit"]]
    assert {"text": "2,000.00", "after": "0000"} in amounts
    assert {len((of["text"] + of["after"]).partition(".")[2]) for of in amounts} == {6}


@pytest.mark.parametrize("language", sorted(LABELS))
def test_what_settled_an_invoice_fits_beside_its_amount(language: str) -> None:
    fonts = (japanese_fonts(),) if language == "ja" else ()
    large = {
        "locale": language,
        "amount_due_usd": Decimal("1191.19012300"),
        "amount_due_billing_currency": Decimal("1095.89"),
    }
    reader = PdfReader(BytesIO(pdf(invoice(**STATEMENT | large), fonts)))
    text = reader.pages[0].extract_text()
    for part in SETTLED:
        assert LABELS[language][f"settled_{part.kind}"] in text


@pytest.mark.parametrize("count", range(14, 30, 3))
def test_the_credit_is_never_torn_apart(count: int) -> None:
    items = tuple(line_item(f"model {n}", "1.00", "0.92") for n in range(count))
    (at,) = [
        text for text in pages(invoice(**STATEMENT | {"line_items": items})) if "Opening" in text
    ]
    assert "Credit in US dollars Opening balance" in at
    assert "Closing balance 857.499877" in at


def test_usage_of_no_model_is_in_the_page_s_language() -> None:
    line = line_item("Usage, openai", "10.00", "9.20")
    assert "Nutzung, openai" in only_page(invoice(locale="de-DE", line_items=(line,)))
    named = line_item("Usage, openai", "10.00", "9.20", model="Usage", provider="openai")
    assert "Usage, openai" in only_page(invoice(locale="de-DE", line_items=(named,)))
    reason = line_item("Usage, counted twice", "10.00", "9.20")
    note = invoice(kind="credit_note", locale="de-DE", line_items=(reason,))
    assert "Usage, counted twice" in only_page(note)


def test_a_model_that_the_description_does_not_name_is_under_it() -> None:
    items = (
        line_item("Support", "1.00", "0.92", model="gpt-4o", provider="openai"),
        line_item("o3, azure", "1.00", "0.92", model="o3", provider="azure"),
    )
    text = only_page(invoice(line_items=items))
    assert "Support gpt-4o · openai" in text
    assert "o3, azure 1,204" in text


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2026-02-01", "2026-02-28", "Feb 1 – 28, 2026"),
        ("2025-12-15", "2026-01-14", "Dec 15, 2025 – Jan 14, 2026"),
        ("2026-02-03", "2026-02-03", "Period Feb 3, 2026"),
    ],
)
def test_the_period_is_from_its_first_day_to_its_last(first: str, last: str, said: str) -> None:
    assert said in only_page(invoice(first_day=first, last_day=last))


@pytest.mark.parametrize(
    ("source", "as_of", "said"),
    [
        ("ecb", "2026-02-27T00:00:00Z", "European Central Bank, Feb 27, 2026 "),
        ("static_fallback", "2024-08-02T00:00:00Z", "fixed reference rate, Aug 2, 2024 "),
        ("our own desk", "2026-02-27T14:30:00Z", "our own desk, Feb 27, 2026, 2:30 PM UTC "),
    ],
)
def test_the_rate_says_where_and_when_it_is_from(source: str, as_of: str, said: str) -> None:
    at = datetime.fromisoformat(as_of)
    assert f"1 USD = 0.92 EUR, {said}" in only_page(invoice(rate_source=source, rate_as_of=at))


@pytest.mark.parametrize(("days", "said"), [(0, "due on receipt"), (1, "1 day "), (14, "14 days ")])
def test_the_payment_terms_are_in_words(days: int, said: str) -> None:
    assert f"Payment terms {said}" in only_page(invoice(payment_terms_days=days))


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("en-GB", ["Invoice", "1 March 2026", "€1,423.79", "1,300.000123", "Page 1 of 1"]),
        ("de-DE", ["Rechnung", "1. März 2026", "1.423,79 €", "1.300,000123", "Seite 1 von 1"]),
        ("pt-BR", ["Fatura", "1 de março de 2026", "€ 1.423,79", "1.300,000123", "Página 1 de 1"]),
        ("es-ES", ["Factura", "1 de marzo de 2026", "1.423,79 €", "Página 1 de 1"]),
        ("fr-FR", ["Facture", "1 mars 2026", "1 423,79 €", "1 300,000123", "Page 1 sur 1"]),
        ("pl", ["Faktura", "1 marca 2026", "1 423,79 €", "1 300,000123", "Strona 1 z 1"]),
        ("el", ["Τιμολόγιο", "1 Μαρτίου 2026", "1.423,79 €", "ΑΦΜ FI12345678", "Σελίδα 1 από 1"]),
        # Not translated, but written as it is in Italy.
        ("it-IT", ["Invoice", "1 marzo 2026", "1.423,79 €", "Page 1 of 1"]),
        ("zz-ZZ", ["Invoice", "March 1, 2026", "€1,423.79"]),
        ("de-XX", ["Rechnung", "1. März 2026"]),
        ("", ["Invoice", "March 1, 2026"]),
    ],
)
def test_a_page_is_written_as_the_customer_writes(locale: str, said: list[str]) -> None:
    text = only_page(invoice(locale=locale))
    for expected in said:
        assert expected in text


def test_japanese_needs_a_font_and_is_english_without() -> None:
    where = Address(line1="東京都千代田区丸の内1-1", city="東京", country="JP")
    customer = Customer(name="株式会社シナクシス", address=where)
    changes = {"locale": "ja", "billing_currency": "JPY", "minor_units": 0, "customer": customer}
    text = only_page(
        invoice(amount_due_billing_currency=Decimal(194351), **changes), japanese_fonts()
    )
    for said in (
        "請求書",
        "株式会社シナクシス",
        "東京都千代田区丸の内",
        "合計",
        "194,351",
        "ページ",
    ):
        assert said in text
    assert "2026年3月1日" in text.replace(" ", "")
    without = only_page(invoice(**changes | {"customer": CUSTOMER}))
    assert "Invoice" in without
    assert "March 1, 2026" in without
    assert not any(letter > "\u3000" for letter in without)


def test_a_folder_that_has_no_font_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no font"):
        pdf(invoice(), [tmp_path])


@pytest.mark.parametrize("language", sorted(LABELS))
def test_every_language_has_every_label(language: str) -> None:
    assert LABELS[language].keys() == LABELS["en"].keys()
    assert all(LABELS[language].values())
    assert LABELS[language]["page"].count("{page}") == 1
    assert LABELS[language]["page"].count("{pages}") == 1


@pytest.mark.parametrize(
    "name",
    ["Zażółć Gęślą Jaźń, Łódź", "Straßenbau Groß & Söhne", "São João Informação", "Αφοί Ωμέγα"],
)
def test_names_are_written_with_their_own_letters(name: str) -> None:
    assert name in only_page(invoice(customer=Customer(name=name)))


def test_what_a_customer_is_called_is_never_run() -> None:
    seller = Seller(
        name=HOSTILE, address=HOSTILE, tax_id=HOSTILE, email=HOSTILE, payment_details=HOSTILE
    )
    where = Address(line1=HOSTILE, line2=HOSTILE, city=HOSTILE, country="FI")
    customer = Customer(
        number=HOSTILE, name=HOSTILE, address=where, tax_id=HOSTILE, reference=HOSTILE
    )
    items = (line_item(HOSTILE, "1.00", "0.92", model=HOSTILE + "m", provider=HOSTILE + "p"),)
    text = " ".join(
        pages(
            invoice(
                customer=customer,
                seller=seller,
                line_items=items,
                tax_label=HOSTILE,
                number=HOSTILE,
                corrects_number=HOSTILE,
                rate_source=HOSTILE,
            )
        )
    )
    # Eleven fields of the parties, and nine more places of which the number is in two.
    assert text.count('#panic("x") *bold* <label> $x$') >= 18


@settings(max_examples=25)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_any_text_makes_a_page(text: str) -> None:
    seller = Seller(name=text, address=text, tax_id=text, payment_details=text)
    where = Address.model_construct(line1=text, line2=text, city=text, country="FI")
    customer = Customer(number=text, name=text, address=where, tax_id=text, reference=text)
    assert pdf(invoice(customer=customer, seller=seller, locale=text)).startswith(b"%PDF-")


def test_letters_that_are_not_seen_are_left_out() -> None:
    text = only_page(invoice(customer=Customer(name="Ac\u202eme\u200b \x07Oy")))
    assert "Acme Oy" in text


def test_a_word_without_end_is_broken_and_loses_nothing() -> None:
    name = "".join(f"Weltunternehmen{n:03}" for n in range(14))
    reader = PdfReader(BytesIO(pdf(invoice(customer=Customer(name=name)))))
    text = reader.pages[0].extract_text()
    assert name in text.replace("\n", "").replace(" ", "")
    assert max(map(len, text.splitlines())) < 120


def test_the_same_invoice_is_the_same_bytes_in_another_process_and_place() -> None:
    document = invoice(customer=Customer(name="株式会社 Łódź"))
    program = (
        "import sys, hashlib;"
        "from synaxis_billing.invoices.documents.model import InvoiceDocument;"
        "from synaxis_billing.invoices.documents.pdf import pdf;"
        "read = InvoiceDocument.model_validate_json(sys.stdin.buffer.read());"
        "print(hashlib.sha256(pdf(read)).hexdigest())"
    )
    elsewhere = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "42", "PYTHONUTF8": "1"}
    there = subprocess.run(
        [sys.executable, "-c", program],
        input=document.model_dump_json().encode(),
        env=os.environ | elsewhere | {"PYTHONPATH": str(CORE)},
        capture_output=True,
        check=True,
    )
    here = pdf(document)
    assert sha256(here).hexdigest() == there.stdout.decode().strip()
    assert pdf(document) == here
    assert pdf(invoice(number="INV-2026-000043")) != here


def test_one_long_invoice_after_another_needs_no_more_memory() -> None:
    items = tuple(line_item(f"model {n}", f"{n}.50", f"{n}.46") for n in range(300))
    process = psutil.Process()

    def grown(first: int, last: int) -> int:
        before = process.memory_info().rss
        for n in range(first, last):
            pdf(invoice(number=f"INV-{n}", line_items=items))
        return process.memory_info().rss - before

    grown(0, 2)
    assert grown(2, 9) < 60_000_000


def test_the_table_has_a_row_for_each_line_and_plain_numbers() -> None:
    text = csv(invoice(locale="de-DE"))
    same = "EUR,0.92,INV-2026-000042,2026-01-31T23:00:00Z,2026-02-28T23:00:00Z"
    assert text == (
        "\ufeffdescription,model,provider,requests,tokens,amount_usd,amount_billing_currency,"
        "currency,exchange_rate,invoice_number,period_start,period_end,kind\r\n"
        f'"gpt-4o, openai",,,1204,3402118,1300.000123,1196.00,{same},line\r\n'
        f'"gemini-2.5-pro, google",,,1204,3402118,0.50,0.46,{same},line\r\n'
        f"VAT,,,,,247.09502337,227.33,{same},tax\r\n"
        f"Total,,,,,1547.59514637,1423.79,{same},total\r\n"
    )


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"tax_label": None, "tax_rate_percent": None, **NO_TAX}, ["line", "line", "total"]),
        ({"tax_category": "reverse_charge", **NO_TAX}, ["line", "line", "total"]),
        ({"tax_rate_percent": "0", **NO_TAX}, ["line", "line", "tax", "total"]),
        ({"further_lines": FURTHER}, ["line", "line", "further_lines", "tax", "total"]),
    ],
)
def test_the_rows_of_the_table_are_those_of_the_page(
    changes: dict[str, Any], kinds: list[str]
) -> None:
    rows = list(spreadsheet.DictReader(StringIO(csv(invoice(**changes))[1:], newline="")))
    assert [row["kind"] for row in rows] == kinds


def test_a_document_sums_the_lines_that_it_does_not_show() -> None:
    long = invoice(further_lines=FURTHER, locale="de-DE")
    assert "7.500 weitere Positionen 9.000 1.000.000 12,00 11,04" in only_page(long)
    rows = list(spreadsheet.DictReader(StringIO(csv(long)[1:], newline="")))
    assert rows[2]["description"] == "7500 further lines"
    assert (rows[2]["requests"], rows[2]["amount_billing_currency"]) == ("9000", "11.04")


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_the_table_is_run_as_a_formula(first: str) -> None:
    formula = f"{first}HYPERLINK(1)"
    item = line_item(formula, "-1.50", "-1.38", model=formula, provider=formula)
    (_, row, *_rest) = spreadsheet.reader(
        StringIO(csv(invoice(line_items=(item,), number=formula)), newline="")
    )
    assert [row[at] for at in (0, 1, 2, 9)] == [f"'{formula}"] * 4
    # A negative amount is a number, and stays one.
    assert row[5:7] == ["-1.50", "-1.38"]


def test_only_who_renders_pays_for_the_libraries() -> None:
    tree = ast.parse(
        (CORE / "synaxis_billing" / "invoices" / "documents" / "__init__.py").read_text()
    )
    assert [type(node) for node in tree.body] == [ast.Expr]
