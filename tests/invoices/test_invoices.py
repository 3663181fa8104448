"""Invoices add up, in both currencies, bill every charge once, and stay as they were issued."""

import base64
import itertools
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from synaxis_billing import currencies
from synaxis_billing.cache import L2, Cache
from synaxis_billing.caller import Caller
from synaxis_billing.errors import Conflict, InvalidRequest, NotFound, Unprocessable
from synaxis_billing.invoices import credit_notes, invoices
from synaxis_billing.invoices.invoices import InvoicePayment
from synaxis_billing.invoices.parties import Issuer, Seller
from synaxis_billing.organizations import profile
from tests.conftest import Database, temporary
from tests.support.billing import (
    DAY,
    cancel,
    credit,
    draft,
    get_invoice,
    issue,
    pay,
    rates,
    set_clock,
    today,
)
from tests.support.steps import (
    PLATFORM,
    available,
    charge,
    charge_batch,
    item,
    log_spend,
    new_organization,
)


@pytest.fixture
def billed(database: Database) -> UUID:
    """An organization in euros that has charges on account, and a log that was not charged."""
    with database.connect() as db:
        acme = new_organization(
            db,
            credit_limit_usd="100",
            billing_currency="EUR",
            tax={"label": "VAT", "rate_percent": "19", "tax_id": "DE811"},
            locale="de-DE",
            payment_terms_days=14,
        )
        for amount, model, provider in (
            ("1.23456789", "gpt-4o", "openai"),
            ("0.00000001", "claude", "anthropic"),
            ("2.5", "gpt-4o", "openai"),
            ("0.3333", "gpt-4o", "azure"),
        ):
            charge(db, acme, amount, model=model, provider=provider, tokens=100)
        log_spend(db, acme, "7", model="gpt-4o", provider="openai")
    return acme


def test_an_invoice_shows_what_was_charged_by_model_and_provider(
    database: Database, billed: UUID
) -> None:
    with database.connect() as db:
        invoice = issue(db, draft(db, billed))
    assert [(line.description, line.requests, line.tokens) for line in invoice.line_items] == [
        ("gpt-4o, openai", 2, 200),
        ("gpt-4o, azure", 1, 100),
        ("claude, anthropic", 1, 100),
    ]
    assert [line.amount_usd for line in invoice.line_items] == [
        Decimal("3.73456789"),
        Decimal("0.3333"),
        Decimal("0.00000001"),
    ]
    assert invoice.subtotal_usd == Decimal("4.06786790")
    assert invoice.subtotal_billing_currency == Decimal("3.74")
    assert invoice.tax_usd == Decimal("0.77289490")
    assert invoice.tax_billing_currency == Decimal("0.71")
    assert invoice.total_amount_billing_currency == Decimal("4.45")
    assert (invoice.exchange_rate, invoice.rate_source) == (Decimal("0.92"), "ecb")
    assert invoice.customer.tax_id == "DE811"
    assert invoice.seller.tax_id == "DE123456789"
    assert invoice.issued_at is not None
    assert invoice.due_date == (invoice.issued_at + timedelta(days=14)).date()
    assert invoice.invoice_number == f"INV-{invoice.issued_at.year}-000001"


def test_reverse_charge_has_no_tax_and_both_vat_ids(database: Database, billed: UUID) -> None:
    tax = {"label": "VAT", "rate_percent": "19", "tax_id": "PT5", "category": "reverse_charge"}
    with database.connect() as db:
        change = profile.OrganizationChange.model_validate({"tax": tax})
        profile.update_organization(db, PLATFORM, billed, change)
        invoice = draft(db, billed)
    assert invoice.tax_usd == 0
    assert invoice.total_amount_usd == invoice.subtotal_usd
    assert invoice.tax is not None
    assert invoice.tax.category == "reverse_charge"
    assert (invoice.customer.tax_id, invoice.seller.tax_id) == ("PT5", "DE123456789")


def test_a_draft_is_computed_again_and_an_issued_invoice_never(
    database: Database, billed: UUID
) -> None:
    start, end = today() - DAY, datetime.now(UTC) + DAY
    with database.connect() as db:
        first = draft(db, billed, start, end)
        charge(db, billed, "1", model="gpt-4o", provider="openai")
        again = draft(db, billed, start, end, rates("0.5"))
        assert again.id == first.id
        assert again.subtotal_usd == first.subtotal_usd + 1
        assert again.exchange_rate == Decimal("0.5")
        with pytest.raises(Conflict, match="The period ends at"):
            issue(db, again)
        cancel(db, again)
        closed = datetime.now(UTC)
        issued = issue(db, draft(db, billed, start, closed))
        charge(db, billed, "5")
        change = profile.OrganizationChange.model_validate(
            {"name": "Other", "billing_currency": "BRL", "tax": None}
        )
        profile.update_organization(db, PLATFORM, billed, change)
        assert draft(db, billed, start, closed, rates("0.1")) == issued
        assert issue(db, issued, rates("0.1")) == issued
        assert get_invoice(db, billed, issued.id) == issued


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing.invoices SET total_amount_usd = 0, subtotal_usd = 0, tax_usd = 0",
        "UPDATE billing.invoices SET line_items = '[]'",
        "UPDATE billing.invoices SET status = 'draft', invoice_number = NULL, issued_at = NULL,"
        " due_date = NULL",
        "UPDATE billing.invoices SET status = 'cancelled'",
        "UPDATE billing.invoices SET invoice_number = 'INV-1'",
        "UPDATE billing.invoices SET exchange_rate = 1",
        "DELETE FROM billing.invoices",
        "TRUNCATE billing.invoices CASCADE",
    ],
)
def test_the_database_itself_refuses_to_change_an_issued_invoice(
    statement: str, database: Database, billed: UUID
) -> None:
    with database.connect() as db:
        before = issue(db, draft(db, billed))
        with database.admin() as admin, pytest.raises(psycopg.errors.RestrictViolation):
            admin.execute(statement.encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(statement.encode())
        assert get_invoice(db, billed, before.id) == before


def test_the_states_go_on_in_their_order_alone(database: Database, billed: UUID) -> None:
    with database.connect() as db:
        drafted = draft(db, billed)
        with pytest.raises(Conflict, match="draft: it cannot be paid"):
            pay(db, drafted)
        with pytest.raises(Conflict, match="draft: there is nothing to credit"):
            credit(db, drafted)
        cancelled = cancel(db, drafted)
        assert (cancelled.status, cancel(db, drafted).status) == ("cancelled", "cancelled")
        for change in (issue, pay):
            with pytest.raises(Conflict, match="cancelled"):
                change(db, drafted)
        issued = issue(db, draft(db, billed))
        assert issued.id != drafted.id
        with pytest.raises(Conflict, match="issued: only a credit note"):
            cancel(db, issued)
        paid = pay(db, issued)
        assert (paid.status, pay(db, issued)) == ("paid", paid)
        assert paid.paid_at is not None
        with pytest.raises(NotFound) as missing:
            pay(db, paid.model_copy(update={"id": UUID(int=1)}))
        assert missing.value.code == "invoice_not_found"


@pytest.mark.parametrize("zone", ["Etc/GMT-14", "UTC", "Etc/GMT+12"])
@pytest.mark.parametrize(("days_ago", "status"), [(0, "issued"), (1, "overdue"), (40, "overdue")])
def test_an_invoice_is_overdue_the_day_after_it_was_due_where_the_customer_is(
    zone: str, days_ago: int, status: str, database: Database
) -> None:
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="1", timezone=zone)
        charge(db, acme, "1")
        invoice = issue(db, draft(db, acme))
        due = datetime.now(ZoneInfo(zone)).date() - days_ago * DAY
        with database.admin() as admin:
            admin.execute("SET session_replication_role = replica")
            admin.execute("UPDATE billing.invoices SET due_date = %s", [due])
        assert invoices.mark_overdue(lambda: db) == (status == "overdue")
        assert invoices.mark_overdue(lambda: db) == 0
        assert get_invoice(db, invoice.organization_id, invoice.id).status == status
        assert pay(db, invoice).status == "paid"


def test_numbers_have_no_gap_though_many_are_issued_at_once_and_some_are_rolled_back(
    database: Database,
) -> None:
    with database.connect() as db:
        drafts = [draft(db, new_organization(db)) for _ in range(24)]
    numbers: list[str] = []

    def work(some: list[invoices.Invoice]) -> None:
        with psycopg.connect(database.app_url, prepare_threshold=None) as db:
            for number, one in enumerate(some):
                issue(db, one)
                if number % 2:
                    db.rollback()
                else:
                    db.commit()
            db.autocommit = True
            numbers.extend(str(issue(db, one).invoice_number) for one in some)

    threads = [threading.Thread(target=work, args=(drafts[at::4],)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    year = datetime.now(UTC).year
    assert sorted(numbers) == [f"INV-{year}-{number:06}" for number in range(1, 25)]


def test_an_invoice_is_read_from_the_cache_once_it_is_final(
    database: Database, billed: UUID, redis_url: str
) -> None:
    cache = Cache(L2(redis_url))
    with database.connect() as db:
        connections = 0

        def connect() -> psycopg.Connection:
            nonlocal connections
            connections += 1
            return db

        def read(times: int) -> list[str]:
            return [
                invoices.get_invoice(connect, cache, PLATFORM, billed, invoice.id).status
                for _ in range(times)
            ]

        invoice = issue(db, draft(db, billed))
        assert (read(2), connections) == (["issued"] * 2, 2)
        pay(db, invoice)
        assert (read(3), connections) == (["paid"] * 3, 3)


def test_another_tenant_reads_no_invoice_that_is_cached(database: Database, billed: UUID) -> None:
    cache = Cache(None)
    with database.connect() as db:
        invoice = pay(db, issue(db, draft(db, billed)))
        other = Caller(tenant=str(new_organization(db)))
        ids = (billed, invoice.id)
        assert invoices.get_invoice(lambda: db, cache, PLATFORM, *ids) == invoice
        own = Caller(tenant=str(billed))
        assert invoices.get_invoice(lambda: db, cache, own, *ids) == invoice
        with pytest.raises(NotFound):
            invoices.get_invoice(lambda: db, cache, other, *ids)


def test_a_credit_note_is_read_as_it_was_answered(database: Database, billed: UUID) -> None:
    with database.connect() as db:
        invoice = issue(db, draft(db, billed))
        note = credit(db, invoice)
        ids = (billed, invoice.id, note.id)
        assert credit_notes.get_credit_note(db, PLATFORM, *ids) == note


def test_two_drafts_of_one_period_at_once_are_one(database: Database, billed: UUID) -> None:
    start, end = today() - DAY, datetime.now(UTC)
    found: list[UUID] = []
    ready = threading.Barrier(6)

    def work() -> None:
        with database.connect() as db:
            ready.wait()
            found.append(issue(db, draft(db, billed, start, end)).id)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1


def test_periods_never_overlap_so_that_nothing_is_billed_twice(
    database: Database, billed: UUID
) -> None:
    end = today() - DAY
    start = end - DAY
    with database.connect() as db:
        issue(db, draft(db, billed, start, end))
        for shift in (timedelta(hours=-1), timedelta(hours=1), timedelta(microseconds=1)):
            with pytest.raises(Conflict, match="The period overlaps that of invoice"):
                draft(db, billed, start + shift, end + shift)
        draft(db, billed, end, end + DAY)
        with pytest.raises(InvalidRequest):
            draft(db, billed, end, end)


def test_a_charge_that_races_the_issue_is_on_this_invoice_or_the_next(database: Database) -> None:
    """Charges arrive without a pause while invoice after invoice is issued up to now."""
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="1000", billing_currency="EUR")
    stopped = threading.Event()
    charged: list[Decimal] = []

    def spend() -> None:
        with database.connect() as db:
            for number in itertools.count(1):
                if stopped.is_set():
                    return
                amount = Decimal(number).scaleb(-6)
                charge(db, acme, str(amount), model=f"m{number % 3}")
                charged.append(amount)

    threads = [threading.Thread(target=spend) for _ in range(2)]
    for thread in threads:
        thread.start()
    start, issued = today() - DAY, []
    with database.connect() as db:
        for _ in range(15):
            end = datetime.now(UTC)
            issued.append(issue(db, draft(db, acme, start, end)))
            start = end
        stopped.set()
        for thread in threads:
            thread.join()
        issued.append(issue(db, draft(db, acme, start)))
    assert sum(one.subtotal_usd for one in issued) == sum(charged)
    assert sum(line.requests for one in issued for line in one.line_items) == len(charged)


def test_credit_notes_take_an_invoice_back_to_the_last_unit(
    database: Database, billed: UUID
) -> None:
    with database.connect() as db:
        invoice = issue(db, draft(db, billed))
        parts = [credit(db, invoice, amount_usd="1.333") for _ in range(3)]
        with pytest.raises(Unprocessable, match="exceeds what is left") as beyond:
            credit(db, invoice, amount_usd="1")
        assert beyond.value.code == "credit_exceeds_invoice"
        assert get_invoice(db, billed, invoice.id).status == "issued"
        parts.append(credit(db, invoice))
        assert get_invoice(db, billed, invoice.id).status == "cancelled"
        with pytest.raises(Conflict, match="nothing to credit"):
            credit(db, invoice)
        assert (
            credit_notes.list_credit_notes(db, PLATFORM, billed, invoice.id, 100, None).items
            == parts
        )
        year = datetime.now(UTC).year
        assert [one.credit_note_number for one in parts] == [
            f"CN-{year}-00000{number}" for number in (1, 2, 3, 4)
        ]
        for field in (
            "subtotal_usd",
            "tax_usd",
            "total_amount_usd",
            "subtotal_billing_currency",
            "tax_billing_currency",
            "total_amount_billing_currency",
        ):
            assert sum(getattr(one, field) for one in parts) == getattr(invoice, field)
        # What was taken back can be billed right.
        assert draft(db, billed, invoice.period_start, invoice.period_end).id != invoice.id


def test_sixty_notes_of_half_a_cent_are_thirty_cents(database: Database) -> None:
    tax = {"label": "VAT", "rate_percent": "19", "tax_id": "DE811"}
    with database.connect() as db:
        acme = new_organization(db, credit_limit_usd="100", tax=tax)
        charge(db, acme, "1")
        invoice = issue(db, draft(db, acme))
        notes = [credit(db, invoice, amount_usd="0.005") for _ in range(60)]
    assert sum(note.subtotal_billing_currency for note in notes) == Decimal("0.30")
    assert sum(note.tax_billing_currency for note in notes) == Decimal("0.06")
    assert sum(note.tax_usd for note in notes) == Decimal("0.057")


@pytest.mark.parametrize(
    ("start", "end", "zone", "first", "last"),
    [
        ("2026-02-01T03:00Z", "2026-03-01T03:00Z", "America/Sao_Paulo", "2026-02-01", "2026-02-28"),
        ("2026-01-31T15:00Z", "2026-02-28T15:00Z", "Asia/Tokyo", "2026-02-01", "2026-02-28"),
        ("2025-12-15T00:00Z", "2026-01-15T00:00Z", "UTC", "2025-12-15", "2026-01-14"),
        ("2026-02-03T00:00Z", "2026-02-04T00:00Z", "UTC", "2026-02-03", "2026-02-03"),
        # The clocks change within it.
        ("2026-02-28T23:00Z", "2026-03-31T22:00Z", "Europe/Berlin", "2026-03-01", "2026-03-31"),
    ],
)
def test_a_period_is_from_its_first_local_day_to_its_last(
    start: str, end: str, zone: str, first: str, last: str, database: Database
) -> None:
    with database.connect() as db:
        acme = new_organization(db, timezone=zone)
        drafted = draft(db, acme, datetime.fromisoformat(start), datetime.fromisoformat(end))
    assert (str(drafted.first_day), str(drafted.last_day)) == (first, last)


def test_an_invoice_is_issued_and_due_on_days_of_the_customer(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        acme = new_organization(
            db, credit_limit_usd="1", timezone="Pacific/Kiritimati", payment_terms_days=10
        )
        charge(db, acme, "1")
        drafted = draft(db, acme)
        set_clock(admin, acme, datetime(2030, 1, 31, 12, tzinfo=UTC))
        issued = issue(db, drafted)
    assert (str(issued.issue_date), str(issued.due_date)) == ("2030-02-01", "2030-02-11")


def test_a_seller_who_charges_tax_says_who_he_is(database: Database, billed: UUID) -> None:
    unnamed = Issuer(Seller(name="Synaxis GmbH", address=""))
    with database.connect() as db:
        drafted = draft(db, billed)
        arguments = (db, PLATFORM, billed, drafted.id, rates())
        with pytest.raises(Conflict, match=r"the seller has no address and no tax_id"):
            invoices.issue_invoice(*arguments, unnamed)
        untaxed = profile.OrganizationChange.model_validate({"tax": None})
        profile.update_organization(db, PLATFORM, billed, untaxed)
        # The refused one took no number.
        assert str(invoices.issue_invoice(*arguments, unnamed).invoice_number).endswith("-000001")


def test_an_invoice_of_nothing_is_cancelled_without_a_credit_note(database: Database) -> None:
    with database.connect() as db:
        nothing = issue(db, draft(db, new_organization(db)))
        for amount in ({}, {"amount_usd": "1"}):
            with pytest.raises(Conflict, match="cancel it"):
                credit(db, nothing, **amount)
        assert cancel(db, nothing).status == "cancelled"


def test_a_credit_note_gives_credit_back_once_when_asked(database: Database, billed: UUID) -> None:
    with database.connect() as db:
        invoice = issue(db, draft(db, billed))
        before = available(db, billed)
        credit(db, invoice, amount_usd="1")
        assert available(db, billed) == before
        first = credit(db, invoice, "k", amount_usd="1", refund_credit=True)
        assert credit(db, invoice, "k", amount_usd="1", refund_credit=True) == first
        assert available(db, billed) == before + 1
        assert first.transaction_id is not None
        with pytest.raises(Unprocessable):
            credit(db, invoice, "k", amount_usd="2", refund_credit=True)
    assert database.audit().whole


def test_no_key_of_a_client_is_in_the_way_of_a_credit_note(
    database: Database, billed: UUID
) -> None:
    with database.connect() as db:
        invoice = issue(db, draft(db, billed))
        number = f"CN-{datetime.now(UTC).year}-000001"
        for guess in (f"credit note {number}", number):
            charge(db, billed, "0.01", guess)
        noted = credit(db, invoice, amount_usd="1", refund_credit=True)
        assert noted.credit_note_number == number
    assert database.audit().whole


def test_a_currency_that_is_no_longer_configured_is_named(database: Database) -> None:
    with database.connect() as db:
        acme = new_organization(db, billing_currency="GBP")
        without = [rate for rate in rates() if rate.currency != "GBP"]
        with pytest.raises(NotFound) as refused:
            draft(db, acme, at=without)
    assert refused.value.code == "unsupported_currency"


def test_another_tenant_sees_and_changes_no_invoice(database: Database, billed: UUID) -> None:
    with database.connect() as db:
        invoice = issue(db, draft(db, billed))
        stranger = Caller(tenant=str(new_organization(db)), subject="x")
        with pytest.raises(NotFound):
            get_invoice(db, billed, invoice.id, stranger)
        with pytest.raises(NotFound):
            invoices.list_invoices(db, stranger, billed, None, 10, None)
        with pytest.raises(NotFound):
            invoices.pay_invoice(db, stranger, billed, invoice.id, InvoicePayment())
        with pytest.raises(NotFound):
            get_invoice(db, UUID(stranger.tenant), invoice.id, stranger)


CURRENCIES = {"JPY": 0, "EUR": 2, "KWD": 3}
AMOUNTS = st.decimals("0.00000001", "5000", places=8)


@settings(max_examples=60)
@given(
    charges=st.lists(st.tuples(AMOUNTS, st.sampled_from("abcdef")), min_size=1, max_size=12),
    rate=st.decimals("0.000001", "20000", places=6),
    currency=st.sampled_from(sorted(CURRENCIES)),
    tax=st.sampled_from([None, "0", "19", "7.5", "23.12345678"]),
)
def test_for_any_charges_currency_rate_and_tax_lines_add_up_and_the_rate_reproduces_them(
    charges: list[tuple[Decimal, str]],
    rate: Decimal,
    currency: str,
    tax: str | None,
    property_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, decimals in CURRENCIES.items():
        monkeypatch.setitem(currencies.CURRENCIES, name, currencies.Currency(decimals, Decimal(1)))
    unit = Decimal(1).scaleb(-CURRENCIES[currency])
    of_tax = None if tax is None else {"label": "VAT", "rate_percent": tax}
    with property_database.connect() as db:
        acme = new_organization(
            db, credit_limit_usd="1000000", billing_currency=currency, tax=of_tax
        )
        for amount, model in charges:
            charge(db, acme, f"{amount:f}", model=model)
        at = rates(**{"euro" if currency == "EUR" else currency: str(rate)})
        invoice = issue(db, draft(db, acme, at=at), at)
    lines = invoice.line_items
    subtotal = sum((amount for amount, _ in charges), Decimal(0))
    exact_tax = subtotal * Decimal(tax or 0) / 100
    assert invoice.subtotal_usd == subtotal == sum(line.amount_usd for line in lines)
    assert invoice.subtotal_billing_currency == (subtotal * rate).quantize(unit, ROUND_HALF_UP)
    assert invoice.subtotal_billing_currency == sum(line.amount_billing_currency for line in lines)
    assert invoice.tax_billing_currency == (exact_tax * rate).quantize(unit, ROUND_HALF_UP)
    assert invoice.tax_usd == exact_tax.quantize(Decimal("1e-8"), ROUND_HALF_UP)
    for line in lines:
        # No line is a whole unit away from what it is at the rate.
        assert abs(line.amount_billing_currency - line.amount_usd * rate) < unit
        assert line.amount_billing_currency == line.amount_billing_currency.quantize(unit)
        assert line.requests == sum(1 for _, model in charges if model == line.model)


@pytest.fixture(scope="module")
def property_database(server_url: str, template_database: Database) -> Iterator[Database]:
    with temporary(server_url, "invoices", template_database.admin_url) as admin_url:
        name = str(conninfo_to_dict(admin_url)["dbname"])
        yield Database(make_conninfo(template_database.app_url, dbname=name), admin_url)


def test_an_invoice_of_more_models_than_lines_sums_the_smallest_in_its_last(
    database: Database,
) -> None:
    with database.connect() as db:
        organization_id = new_organization(db, "1000")
        for first in range(0, 10_050, 1000):
            charges = [
                item(organization_id, f"0.{number + 1:08}", model=f"model-{number:05}")
                for number in range(first, min(first + 1000, 10_050))
            ]
            charge_batch(db, *charges)
        made = draft(db, organization_id)
        assert (made.line_count, made.subtotal_usd) == (10_000, Decimal("0.50506275"))
        page = invoices.list_lines(db, PLATFORM, organization_id, made.id, 100, None)
        assert page.items[0].model == "model-10049"
        cursor = base64.urlsafe_b64encode(f"lines {made.id} 9900".encode()).decode().rstrip("=")
        last = invoices.list_lines(db, PLATFORM, organization_id, made.id, 100, cursor)
        assert len(last.items) == 100
        assert last.next_cursor is None
        rest = last.items[-1]
        # Those of 1 to 51 hundred-millionths.
        assert (rest.model, rest.requests) == ("Further models", 51)
        assert rest.amount_usd == Decimal("0.00001326")
    assert database.audit().whole
