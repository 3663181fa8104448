"""Usage is settled once: by credit, or by an invoice that asks for it, or it was refunded."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest

from synaxis_billing.errors import Conflict, Unprocessable
from synaxis_billing.grants import revenue
from synaxis_billing.invoices import topups
from synaxis_billing.invoices.documents.conversion import of_invoice
from synaxis_billing.invoices.documents.table import csv
from synaxis_billing.invoices.invoices import Invoice
from synaxis_billing.invoices.parties import Issuer, Seller
from synaxis_billing.ledger import credit as ledger_credit
from synaxis_billing.organizations import balance
from tests.conftest import Database
from tests.support.billing import (
    DAY,
    ISSUER,
    cancel,
    credit,
    draft,
    get_invoice,
    invoice_topup,
    issue,
    pay,
    rates,
)
from tests.support.clock import move_clock
from tests.support.steps import (
    NO_CACHE,
    PLATFORM,
    adjust,
    charge,
    grant,
    list_grants,
    new_key,
    new_organization,
    refund,
    top_up,
)

TAX = {"label": "VAT", "rate_percent": "20", "tax_id": "DE811"}


def statement(db: psycopg.Connection, organization_id: UUID) -> Invoice:
    """The document of everything so far, issued."""
    start = datetime.now(UTC) - 30 * DAY
    return issue(db, draft(db, organization_id, start))


def settled(invoice: Invoice) -> dict[str, Decimal]:
    return {part.kind: part.amount_usd for part in invoice.settled}


def balance_of(db: psycopg.Connection, organization_id: UUID) -> balance.Balance:
    return balance.get_balance(lambda: db, NO_CACHE, PLATFORM, organization_id)


def test_what_was_bought_before_is_not_asked_for_again(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, "100", tax=TAX)
        charge(db, acme, "5", model="gpt-4o")
        found = statement(db, acme)
        assert (found.status, found.due_date) == ("paid", None)
        assert settled(found) == {"prepaid": Decimal(5)}
        assert (found.subtotal_usd, found.tax_usd, found.amount_due_usd) == (
            Decimal(5),
            Decimal(0),
            Decimal(0),
        )
        assert found.invoice_number is not None
        assert found.credit is not None
        assert dict(found.credit) == {
            "opening_balance_usd": 0,
            "purchased_usd": 100,
            "granted_usd": 0,
            "refunded_usd": 0,
            "used_usd": 5,
            "expired_usd": 0,
            "paid_out_usd": 0,
            "closing_balance_usd": 95,
        }
        assert balance_of(db, acme).balance_usd == 95
    assert database.audit().whole


def test_usage_on_account_is_asked_for_and_its_payment_covers_it(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="10", tax=TAX, payment_terms_days=14)
        charge(db, acme, "5", model="gpt-4o")
        asked = statement(db, acme)
        assert (asked.status, settled(asked)) == ("issued", {})
        assert (asked.subtotal_usd, asked.tax_usd, asked.amount_due_usd) == (
            Decimal(5),
            Decimal(1),
            Decimal(6),
        )
        assert balance_of(db, acme).debt_usd == 5
        paid = pay(db, asked)
        assert (paid.status, pay(db, asked)) == ("paid", paid)
        assert (balance_of(db, acme).balance_usd, balance_of(db, acme).debt_usd) == (
            Decimal(0),
            Decimal(0),
        )
        [payment] = list_grants(db, acme)
        assert (payment.kind, payment.amount_usd, payment.status) == (
            "paid",
            Decimal(5),
            "depleted",
        )
        # Tax was on the invoice: its payment is no sale of credit.
        assert payment.transaction_id is not None
        with pytest.raises(Conflict, match="is the payment of invoice"):
            topups.invoice_topup(db, PLATFORM, acme, payment.transaction_id, rates(), ISSUER)
    assert database.audit().whole


def test_promotional_then_prepaid_credit_then_an_account(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="10", billing_currency="EUR", tax=TAX)
        grant(db, acme, "1")
        top_up(db, acme, "2")
        charge(db, acme, "5", model="gpt-4o")
        asked = statement(db, acme)
    assert settled(asked) == {"promotional": Decimal(1), "prepaid": Decimal(2)}
    assert (asked.amount_due_usd, asked.tax_usd) == (Decimal("2.4"), Decimal("0.4"))
    parts = [part.amount_billing_currency for part in asked.settled]
    due = asked.amount_due_billing_currency - asked.tax_billing_currency
    assert sum(parts) + due == asked.subtotal_billing_currency == Decimal("4.60")
    kinds = [line.rsplit(",", 1)[1] for line in csv(of_invoice(asked)).splitlines()[1:]]
    assert kinds == ["line", "settled", "settled", "tax", "amount_due"]


def test_debt_on_an_invoice_is_not_covered_by_a_top_up_and_then_paid_again(
    database: Database,
) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="10")
        charge(db, acme, "5")
        asked = statement(db, acme)
        top_up(db, acme, "20")
        assert (balance_of(db, acme).balance_usd, balance_of(db, acme).debt_usd) == (
            Decimal(15),
            Decimal(5),
        )
        charge(db, acme, "1")
        grant(db, acme, "3")
        pay(db, asked)
        assert (balance_of(db, acme).balance_usd, balance_of(db, acme).debt_usd) == (
            Decimal(22),
            Decimal(0),
        )
    assert database.audit().whole


def test_debt_that_credit_covered_before_the_invoice_is_not_asked_for(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="10", tax=TAX)
        charge(db, acme, "5")
        top_up(db, acme, "3")
        asked = statement(db, acme)
        assert settled(asked) == {"prepaid": Decimal(3)}
        assert (asked.amount_due_usd, balance_of(db, acme).balance_usd) == (
            Decimal("2.4"),
            Decimal(-2),
        )
    assert database.audit().whole


def test_tax_is_on_the_sale_of_credit_or_on_usage_and_never_on_both(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, tax=TAX, billing_currency="EUR")
        bought = top_up(db, acme, "100")
        grant(db, acme, "10")
        charge(db, acme, "30")
        sale, used = invoice_topup(db, bought), statement(db, acme)
    assert (sale.kind, sale.status, sale.transaction_id) == ("topup", "paid", bought.id)
    assert (sale.subtotal_usd, sale.tax_usd, sale.paid_at) == (
        Decimal(100),
        Decimal(20),
        bought.created_at,
    )
    assert (sale.subtotal_billing_currency, sale.tax_billing_currency) == (
        Decimal(92),
        Decimal("18.40"),
    )
    assert (used.tax_usd, used.amount_due_usd) == (Decimal(0), Decimal(0))
    assert settled(used) == {"promotional": Decimal(10), "prepaid": Decimal(20)}


def test_a_top_up_in_another_currency_is_invoiced_as_it_was_paid(database: Database) -> None:
    [real] = [rate for rate in rates(BRL="5.43217") if rate.currency == "BRL"]
    with database.connect() as db:
        acme = new_organization(db, tax=TAX)
        request = ledger_credit.TopUpRequest.model_validate(
            {"amount_usd": "100", "paid": {"amount": "500.01", "currency": "BRL"}}
        )
        bought, _ = ledger_credit.top_up(db, PLATFORM, acme, new_key(), request, real)
        sale = invoice_topup(db, bought)
    assert (sale.billing_currency, sale.subtotal_billing_currency) == ("BRL", Decimal("500.01"))
    assert sale.exchange_rate == real.rate
    assert sale.subtotal_usd == Decimal("92.04608840")


def test_a_top_up_has_one_invoice_however_often_it_is_asked_for(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db)
        bought = top_up(db, acme, "10")
        spent = charge(db, acme, "1")
    found: list[Invoice] = []

    def ask() -> None:
        with database.connect() as db:
            found.append(invoice_topup(db, bought))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.invoice_number for one in found}) == 1
    with database.connect() as db:
        assert list(topups.claim_topups(lambda: db)) == []
        with pytest.raises(Conflict, match="is not a top-up\\."):
            invoice_topup(db, spent)
    assert database.audit().whole


def test_the_audit_finds_a_top_up_without_an_invoice_beside_one_that_waits(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        acme = new_organization(db)
        invoice_topup(db, top_up(db, acme, "10"))
        top_up(db, acme, "20")
        assert database.audit().whole
        admin.execute("SET session_replication_role = replica")
        admin.execute("UPDATE billing.invoices SET transaction_id = uuidv7()")
    assert not database.audit().whole


def test_a_top_up_whose_invoice_was_credited_whole_can_be_invoiced_right(
    database: Database,
) -> None:
    with database.connect() as db:
        acme = new_organization(db)
        bought = top_up(db, acme, "10")
        wrong = invoice_topup(db, bought)
        credit(db, wrong)
        right = invoice_topup(db, bought)
        assert right.status == "paid"
        assert right.invoice_number != wrong.invoice_number
        assert invoice_topup(db, bought).id == right.id


def test_a_top_up_whose_invoice_is_refused_is_credited_and_waits(database: Database) -> None:
    unnamed = Issuer(Seller(name="Synaxis GmbH"))
    with database.connect() as db, database.admin() as admin:
        acme = new_organization(db, "10", tax=TAX)
        assert balance_of(db, acme).balance_usd == 10
        [waiting] = topups.claim_topups(lambda: db)
        ids = (waiting.organization_id, waiting.transaction_id)
        with pytest.raises(Conflict, match="the seller has no address and no tax_id") as refused:
            topups.invoice_topup(db, PLATFORM, *ids, rates(), unnamed)
        topups.record_failure(db, waiting, refused.value)
        assert topups.count_failed(db) == 1
        # It is not tried again at once, but later, and no other waits behind it.
        new_organization(db, "20")
        assert [one.transaction_id for one in topups.claim_topups(lambda: db)] != [ids[1]]
        move_clock(admin, timedelta(minutes=5))
        assert ids[1] in [one.transaction_id for one in topups.claim_topups(lambda: db)]
        topups.invoice_topup(db, PLATFORM, *ids, rates(), ISSUER)
        assert topups.count_failed(db) == 0


def test_a_charge_on_an_unpaid_invoice_is_credited_and_not_refunded(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="10")
        spent = charge(db, acme, "5")
        asked = statement(db, acme)
        with pytest.raises(Conflict) as refused:
            refund(db, spent)
        assert refused.value.code == "charge_is_invoiced"
        assert refused.value.problem()["invoice_id"] == str(asked.id)
        pay(db, asked)
        refund(db, spent, "2")
        assert balance_of(db, acme).balance_usd == 2
    assert database.audit().whole


def test_refunds_and_credit_notes_together_never_give_back_more_than_the_charge(
    database: Database,
) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="10", tax=TAX)
        spent = charge(db, acme, "5")
        asked = pay(db, statement(db, acme))
        refund(db, spent, "3")
        with pytest.raises(Unprocessable) as refused:
            credit(db, asked, amount_usd="2.5", refund_credit=True)
        assert refused.value.code == "credit_exceeds_invoice"
        credit(db, asked, amount_usd="1.5", refund_credit=True)
        with pytest.raises(Unprocessable) as exceeded:
            refund(db, spent, "1")
        assert exceeded.value.code == "refund_exceeds_charge"
        refund(db, spent, "0.5")
        assert balance_of(db, acme).balance_usd == 5
        with pytest.raises(Unprocessable):
            credit(db, asked, refund_credit=True)
    assert database.audit().whole


@pytest.mark.parametrize("first", ["refund", "credit note"])
def test_a_refund_and_a_credit_note_at_once_give_back_once(first: str, database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="10")
        spent = charge(db, acme, "5")
        asked = pay(db, statement(db, acme))
    ways: list[Callable[[psycopg.Connection], object]] = [
        lambda db: refund(db, spent),
        lambda db: credit(db, asked, refund_credit=True),
    ]
    if first == "credit note":
        ways.reverse()
    refused: list[Exception] = []

    def work(way: Callable[[psycopg.Connection], object]) -> None:
        with database.connect() as db:
            try:
                way(db)
            except Unprocessable as error:
                refused.append(error)

    threads = [threading.Thread(target=work, args=(way,)) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    with database.connect() as db:
        assert balance_of(db, acme).balance_usd == 5
    assert database.audit().whole


def test_a_credit_note_without_a_refund_leaves_the_usage_owed(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="10")
        charge(db, acme, "5")
        asked = statement(db, acme)
        credit(db, asked, amount_usd="2")
        assert balance_of(db, acme).debt_usd == 5
        # What is on no invoice is covered by credit again; the rest waits for its payment.
        top_up(db, acme, "4")
        assert (balance_of(db, acme).balance_usd, balance_of(db, acme).debt_usd) == (
            Decimal(-1),
            Decimal(3),
        )
        pay(db, asked)
        assert (balance_of(db, acme).balance_usd, balance_of(db, acme).debt_usd) == (
            Decimal(2),
            Decimal(0),
        )
    assert database.audit().whole


def test_what_was_credited_whole_can_be_invoiced_right(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="10", tax=TAX)
        charge(db, acme, "5")
        wrong = statement(db, acme)
        credit(db, wrong)
        assert get_invoice(db, acme, wrong.id).status == "cancelled"
        right = issue(db, draft(db, acme, wrong.period_start, wrong.period_end))
        assert (right.amount_due_usd, balance_of(db, acme).debt_usd) == (Decimal(6), Decimal(5))
        pay(db, right)
    assert database.audit().whole


def test_a_credit_note_with_a_refund_forgives_debt(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="10")
        for _ in range(5):
            charge(db, acme, "1")
        asked = statement(db, acme)
        credit(db, asked, amount_usd="1.5", refund_credit=True)
        assert balance_of(db, acme).debt_usd == Decimal("3.5")
        pay(db, asked)
        assert (balance_of(db, acme).balance_usd, balance_of(db, acme).debt_usd) == (
            Decimal(0),
            Decimal(0),
        )
    assert database.audit().whole


def test_refunds_and_adjustments_are_lines_of_their_own(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, "100", billing_currency="EUR")
        spent = charge(db, acme, "10", model="gpt-4o", provider="openai")
        adjust(db, acme, "-3")
        refund(db, spent, "4")
        first = statement(db, acme)
        # A refund of the month before.
        refund(db, spent, "1")
        second = issue(db, draft(db, acme, first.period_end))
    assert [(line.description, line.amount_usd) for line in first.line_items] == [
        ("gpt-4o, openai", Decimal(10)),
        ("Adjustments", Decimal(3)),
        ("Refunds", Decimal(-4)),
    ]
    assert [(line.requests, line.tokens) for line in first.line_items[1:]] == [(0, 0), (0, 0)]
    assert (first.subtotal_usd, settled(first)) == (Decimal(9), {"prepaid": Decimal(Decimal(9))})
    assert [line.amount_usd for line in second.line_items] == [Decimal(-1)]
    assert (second.subtotal_usd, settled(second)) == (
        Decimal(-1),
        {"prepaid": Decimal(Decimal(-1))},
    )
    assert (second.status, second.amount_due_usd) == ("paid", Decimal(0))
    assert database.audit().whole


def test_promotional_credit_is_never_paid_out_as_money(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        acme = new_organization(db, "2", credit_limit_usd="10", tax=TAX)
        given = grant(db, acme, "3", expires_at=(datetime.now(UTC) + DAY).isoformat())
        spent = charge(db, acme, "6")
        asked = pay(db, statement(db, acme))
        # The invoice asked for one dollar: no more of it is money that a credit note returns.
        with pytest.raises(Unprocessable) as refused:
            credit(db, asked, amount_usd="1.00000001")
        assert refused.value.code == "credit_exceeds_invoice"
        refund(db, spent, "3")
        move_clock(admin, DAY)
        # Credit that was given comes back as credit that nobody paid for, also when it had ended.
        refund(db, spent)
        back = list_grants(db, acme)[0]
        assert (back.kind, back.origin_id, back.amount_usd) == ("refund", given.id, Decimal(3))
        assert (back.cost_basis_usd, back.paid) == (Decimal(0), None)
        assert back.transaction_id is not None
        with pytest.raises(Conflict, match="is not a top-up\\."):
            topups.invoice_topup(db, PLATFORM, acme, back.transaction_id, rates(), ISSUER)
        found = revenue.get_revenue(lambda: db, PLATFORM, f"{back.effective_at:%Y-%m}").total
        assert (found.paid_out_usd, found.closing_deferred_usd) == (Decimal(0), Decimal(3))
    assert database.audit().whole


def test_a_statement_is_cancelled_without_a_credit_note(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, "10")
        charge(db, acme, "1")
        found = statement(db, acme)
        with pytest.raises(Conflict, match="asks for nothing"):
            credit(db, found)
        assert cancel(db, found).status == "cancelled"
        with pytest.raises(Conflict, match="only a credit note"):
            cancel(db, invoice_topup(db, top_up(db, acme, "5")))


def test_a_top_up_races_the_issue_of_an_invoice(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="100")
        charge(db, acme, "7")
        drafted = draft(db, acme)
    found: list[Invoice] = []

    def issuing() -> None:
        with database.connect() as db:
            found.append(issue(db, drafted))

    def topping() -> None:
        with database.connect() as db:
            top_up(db, acme, "4")

    threads = [threading.Thread(target=way) for way in (issuing, topping)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.connect() as db:
        # Either the top-up covered a part before, or the invoice asks for all.
        assert found[0].amount_due_usd in (3, 7)
        pay(db, found[0])
        assert balance_of(db, acme).balance_usd == (0 if found[0].amount_due_usd == 3 else 4)
    assert database.audit().whole
