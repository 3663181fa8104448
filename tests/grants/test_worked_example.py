"""The example of docs/credit.md is what the product computes."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import psycopg

from local.template import ROOT
from synaxis_billing.grants import revenue
from synaxis_billing.invoices.invoices import Invoice
from tests.conftest import Database
from tests.support.billing import draft, invoice_topup, issue, pay
from tests.support.clock import set_clock
from tests.support.steps import PLATFORM, charge, grant, new_organization, refund, top_up

TAX = {"label": "VAT", "rate_percent": "20", "tax_id": "DE811"}
MONTHS = ("2031-01", "2031-02", "2031-03")


def table(name: str) -> list[list[str]]:
    """The cells of the rows of a table of the page."""
    page = (ROOT / "docs/credit.md").read_text()
    found = re.search(rf"<!-- {name} -->\n(?:\|.*\n){{2}}((?:\|.*\n)+)", page)
    assert found
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]


def two(usd: Decimal) -> str:
    return f"{usd:.2f}"


def row(name: str, invoice: Invoice) -> list[str]:
    settled = {part.kind: two(part.amount_usd) for part in invoice.settled}
    return [
        name,
        invoice.status,
        two(invoice.subtotal_usd),
        *(settled.get(kind, "") for kind in ("promotional", "prepaid")),
        two(invoice.tax_usd),
        two(invoice.amount_due_usd),
    ]


def of_month(db: psycopg.Connection, admin: psycopg.Connection, acme: UUID, month: int) -> Invoice:
    """The document of a month, issued on the first of the next."""
    start, end = (datetime(2031, number, 1, tzinfo=UTC) for number in (month, month + 1))
    set_clock(admin, end.replace(hour=13))
    return issue(db, draft(db, acme, start, end))


def test_the_example_is_what_is_computed(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2031, 1, 5, tzinfo=UTC))
        acme = new_organization(db, tax=TAX, credit_limit_usd="50", payment_terms_days=14)
        bought = invoice_topup(db, top_up(db, acme, "100"))
        grant(db, acme, "10", priority=10)
        set_clock(admin, datetime(2031, 1, 20, tzinfo=UTC))
        charge(db, acme, "40")
        january = of_month(db, admin, acme, 1)
        set_clock(admin, datetime(2031, 2, 10, tzinfo=UTC))
        called = charge(db, acme, "100")
        february = of_month(db, admin, acme, 2)
        set_clock(admin, datetime(2031, 3, 10, tzinfo=UTC))
        pay(db, february)
        set_clock(admin, datetime(2031, 3, 15, tzinfo=UTC))
        refund(db, called, "5")
        march = of_month(db, admin, acme, 3)
        sums = [revenue.get_revenue(lambda: db, PLATFORM, month).total for month in MONTHS]
    assert table("documents") == [
        row("invoice of the top-up", bought),
        row("statement of January", january),
        row("invoice of February", february),
        row("statement of March", march),
    ]
    assert table("revenue") == [
        [
            month,
            *(
                two(usd)
                for usd in (
                    *(found.opening_deferred_usd, found.sold_usd, found.recognized_usd),
                    *(found.breakage_usd, found.closing_deferred_usd, found.debt_usd),
                )
            ),
        ]
        for month, found in zip(MONTHS, sums, strict=True)
    ]
    assert database.audit().whole
