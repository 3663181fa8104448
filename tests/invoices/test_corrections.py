"""Corrections of the invoice of a top-up: the credit note and the corrected invoice are one act,
and no credit moves."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from synaxis_billing.errors import BillingError, Conflict, Unprocessable
from synaxis_billing.grants import revenue
from synaxis_billing.invoices import credit_notes, topups
from synaxis_billing.invoices.documents import conversion
from synaxis_billing.invoices.documents.page import page
from synaxis_billing.invoices.invoices import Invoice
from synaxis_billing.invoices.parties import Issuer, Seller
from synaxis_billing.organizations import balance
from tests.conftest import Database
from tests.support.billing import (
    DAY,
    ISSUER,
    credit,
    draft,
    get_invoice,
    invoice_topup,
    issue,
    rates,
)
from tests.support.racing import at_once
from tests.support.steps import (
    GRACE_DAYS,
    NO_CACHE,
    PLATFORM,
    change_organization,
    charge,
    list_grants,
    new_organization,
    top_up,
)

TAX = {"label": "VAT", "rate_percent": "19", "tax_id": "DE000000000"}
RIGHT = {
    "name": "Acme GmbH",
    "address": {"line1": "Hauptstr. 1", "postal_code": "10827", "city": "Berlin", "country": "DE"},
    "tax": TAX | {"tax_id": "DE999999999"},
}


def corrected_by(db: psycopg.Connection, wrong: Invoice, note: credit_notes.CreditNote) -> Invoice:
    assert note.corrected_invoice_id is not None
    return get_invoice(db, wrong.organization_id, note.corrected_invoice_id)


def state(db: psycopg.Connection, acme: UUID, month: str) -> list[Any]:
    """What a correction does not change: balance, grants and revenue."""
    return [
        balance.get_balance(lambda: db, NO_CACHE, PLATFORM, acme).balance_usd,
        list_grants(db, acme),
        revenue.get_revenue(lambda: db, PLATFORM, month).total,
    ]


def of_amounts(invoice: Invoice) -> dict[str, Any]:
    same = ("_usd", "_currency", "exchange_rate", "rate_source", "rate_as_of", "minor_units")
    return {name: value for name, value in invoice if name.endswith(same)}


@pytest.fixture
def sold(database: Database) -> Invoice:
    """The invoice of credit of which nothing is left, to a name and a tax id that are wrong."""
    with database.connect() as db:
        acme = new_organization(db, name="Acne", billing_currency="EUR", tax=TAX)
        bought = top_up(db, acme, "100")
        charge(db, acme, "100")
        return invoice_topup(db, bought)


def test_an_invoice_whose_credit_is_used_up_is_corrected_without_moving_credit(
    sold: Invoice, database: Database
) -> None:
    acme = sold.organization_id
    month = f"{sold.created_at:%Y-%m}"
    with database.connect() as db:
        before = state(db, acme, month)
        with pytest.raises(Unprocessable, match="exceeds"):
            credit(db, sold)
        change_organization(db, acme, **RIGHT)
        note = credit(db, sold, reissue=True)
        assert note.transaction_id is None
        assert (note.subtotal_usd, note.tax_usd) == (sold.subtotal_usd, sold.tax_usd)
        assert get_invoice(db, sold.organization_id, sold.id).status == "cancelled"
        corrected = corrected_by(db, sold, note)
        assert (corrected.status, corrected.kind) == ("paid", "topup")
        assert corrected.corrects_number == sold.invoice_number
        # The price, rate and tax of the sale, whatever the rate is today; the parties of today.
        assert of_amounts(corrected) == of_amounts(sold)
        assert corrected.customer.name == "Acme GmbH"
        assert corrected.customer.tax_id == "DE999999999"
        assert corrected.tax is not None
        assert corrected.tax.tax_id == "DE999999999"
        assert corrected.paid_at == sold.paid_at
        assert state(db, acme, month) == before
        # From now on it is the invoice of the top-up.
        assert sold.transaction_id is not None
        again = topups.invoice_topup(db, PLATFORM, acme, sold.transaction_id, rates("0.5"), ISSUER)
        assert again.id == corrected.id
    assert database.audit().whole


def test_the_documents_of_a_correction_name_the_invoice_that_they_correct(
    sold: Invoice, database: Database
) -> None:
    with database.connect() as db:
        note = credit(db, sold, reissue=True)
        corrected = corrected_by(db, sold, note)
        for document in (
            conversion.of_credit_note(note, sold),
            conversion.of_invoice(corrected),
        ):
            facts = page(document, any_script=False)["facts"]
            assert ["Corrects invoice", sold.invoice_number] in facts
        facts = page(conversion.of_invoice(sold), any_script=False)["facts"]
        assert "Corrects invoice" not in dict(facts)


def test_a_correction_can_be_corrected(sold: Invoice, database: Database) -> None:
    with database.connect() as db:
        note = credit(db, sold, reissue=True)
        first = corrected_by(db, sold, note)
        change_organization(db, sold.organization_id, **RIGHT)
        second = corrected_by(db, sold, credit(db, first, reissue=True))
        assert second.corrects_number == first.invoice_number
        assert of_amounts(second) == of_amounts(sold)
        with pytest.raises(Conflict, match="cancelled"):
            credit(db, sold, reissue=True)
    assert database.audit().whole


def test_what_was_credited_before_is_not_invoiced_again(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, tax=TAX)
        bought = top_up(db, acme, "100")
        asked = invoice_topup(db, bought)
        credit(db, asked, amount_usd="30")
        corrected = corrected_by(db, asked, credit(db, asked, reissue=True))
        assert (corrected.subtotal_usd, corrected.tax_usd) == (Decimal(70), Decimal("13.3"))
        assert [line.amount_usd for line in corrected.line_items] == [Decimal(70)]
        charge(db, acme, "60")
        # Ten of the seventy are left.
        with pytest.raises(Unprocessable):
            credit(db, corrected, amount_usd="10.01")
        credit(db, corrected, amount_usd="10")
    assert database.audit().whole


def test_a_correction_that_arrives_twice_or_races_another_happens_once(
    sold: Invoice, database: Database
) -> None:
    with database.connect() as db:
        first = credit(db, sold, "same", reissue=True)
        assert credit(db, sold, "same", reissue=True) == first
        with pytest.raises(Unprocessable) as reused:
            credit(db, sold, "same")
        assert reused.value.code == "idempotency_key_reused"
        corrected = corrected_by(db, sold, first)
    results = at_once(database, *[lambda db: credit(db, corrected, reissue=True)] * 6)
    made = [one for one in results if isinstance(one, credit_notes.CreditNote)]
    refused = [one for one in results if isinstance(one, BillingError)]
    assert (len(made), len(refused)) == (1, 5)
    assert {one.code for one in refused} == {"invalid_state"}
    # The audit finds a gap in the numbers, a second invoice, or an amount that changed.
    assert database.audit().whole


def test_a_correction_that_is_refused_takes_no_number(sold: Invoice, database: Database) -> None:
    acme = sold.organization_id
    nameless = Issuer(Seller(name="Synaxis GmbH"))
    asked = credit_notes.CreditNoteRequest.model_validate({"reason": "wrong", "reissue": True})
    with database.connect() as db:
        with pytest.raises(Conflict, match="the seller has no address and no tax_id"):
            credit_notes.credit_invoice(
                db, PLATFORM, acme, sold.id, "k", asked, nameless, GRACE_DAYS
            )
        assert get_invoice(db, sold.organization_id, sold.id).status == "paid"
        # The key is free again.
        credit(db, sold, "k", reissue=True)
    assert database.audit().whole


def test_usage_is_credited_and_drafted_again_instead(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="10")
        charge(db, acme, "5")
        asked = issue(db, draft(db, acme, datetime.now(UTC) - DAY))
        with pytest.raises(Conflict, match="draft its period again"):
            credit(db, asked, reissue=True)
    assert database.audit().whole


@pytest.mark.parametrize("more", [{"amount_usd": "1"}, {"refund_credit": True}])
def test_a_correction_is_of_the_whole_invoice_and_refunds_nothing(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="excludes"):
        credit_notes.CreditNoteRequest.model_validate({"reason": "x", "reissue": True, **more})


def test_the_audit_compares_a_corrected_invoice_with_what_was_credited(
    sold: Invoice, database: Database
) -> None:
    with database.connect() as db, database.admin() as admin:
        corrected = corrected_by(db, sold, credit(db, sold, reissue=True))
        assert database.audit().whole
        admin.execute("SET session_replication_role = replica")
        admin.execute(
            "UPDATE billing.invoices SET subtotal_usd = 99, total_amount_usd = 99 + tax_usd,"
            " amount_due_usd = 99 + tax_usd WHERE id = %s",
            [corrected.id],
        )
        promise = "a corrected invoice is what its credit note took back"
        assert promise in " ".join(database.audit().all_broken)
