"""Revenue: what was paid for credit is recognized once; a month that has ended never changes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest

from synaxis_billing.caller import Caller
from synaxis_billing.errors import Forbidden
from synaxis_billing.grants import revenue
from synaxis_billing.ledger import credit
from synaxis_billing.rates.rates import Rate
from tests.conftest import Database
from tests.support.billing import credit as invoice_credit
from tests.support.billing import draft, issue, pay
from tests.support.clock import set_clock
from tests.support.steps import (
    PLATFORM,
    charge,
    grant,
    list_grants,
    new_key,
    new_organization,
    refund,
    top_up,
    void,
)

FIGURES = tuple(revenue.RevenueFigures.model_fields)


def figures(db: psycopg.Connection, month: str) -> dict[str, str]:
    """What is not zero."""
    found = revenue.get_revenue(lambda: db, PLATFORM, month).total
    return {
        name.removesuffix("_usd"): f"{getattr(found, name):f}".rstrip("0").rstrip(".")
        for name in FIGURES
        if getattr(found, name)
    }


def reconciles(found: revenue.RevenueFigures) -> bool:
    gone = found.recognized_usd + found.breakage_usd + found.paid_out_usd
    return found.opening_deferred_usd + found.sold_usd - gone == found.closing_deferred_usd


def test_credit_is_deferred_until_it_is_used_or_lost(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2031, 1, 10, tzinfo=UTC))
        acme = new_organization(db)

        top_up(db, acme, "100", expires_at="2031-03-15T00:00:00Z")
        grant(db, acme, "5", priority=10)
        charge(db, acme, "35")
        assert figures(db, "2031-01") == {
            "sold": "100",
            "recognized": "30",
            "closing_deferred": "70",
            "promotional_used": "5",
        }
        set_clock(admin, datetime(2031, 2, 10, tzinfo=UTC))
        spent = charge(db, acme, "20")
        refund(db, spent, "8")
        assert figures(db, "2031-02") == {
            "opening_deferred": "70",
            "recognized": "12",
            "closing_deferred": "58",
        }
        set_clock(admin, datetime(2031, 3, 20, tzinfo=UTC))
        # A refund of credit that has ended comes back as a new grant, and so does what was paid.
        refund(db, spent, "2")
        assert figures(db, "2031-03") == {
            "opening_deferred": "58",
            "recognized": "-2",
            "breakage": "58",
            "closing_deferred": "2",
        }
        assert figures(db, "2031-02")["closing_deferred"] == "58"
        set_clock(admin, datetime(2031, 5, 1, tzinfo=UTC))
        assert figures(db, "2031-04") == {"opening_deferred": "2", "breakage": "2"}


def test_debt_is_no_revenue_until_it_is_paid_and_the_month_before_stays(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2031, 1, 10, tzinfo=UTC))
        acme = new_organization(db, credit_limit_usd="100", payment_terms_days=5)
        charge(db, acme, "40")
        start = datetime(2031, 1, 1, tzinfo=UTC)
        set_clock(admin, datetime(2031, 2, 1, 1, tzinfo=UTC))
        before = figures(db, "2031-01")
        assert before == {"debt": "40"}
        asked = issue(db, draft(db, acme, start, datetime(2031, 2, 1, tzinfo=UTC)))
        set_clock(admin, datetime(2031, 3, 2, tzinfo=UTC))
        assert figures(db, "2031-02") == {"debt": "40", "invoiced": "40", "overdue": "40"}
        pay(db, asked)
        assert figures(db, "2031-03") == {"sold": "40", "recognized": "40"}
        assert (figures(db, "2031-01"), figures(db, "2031-02")) == (
            before,
            {"debt": "40", "invoiced": "40", "overdue": "40"},
        )


def test_the_pieces_of_a_price_that_does_not_divide_add_up(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2031, 1, 1, 1, tzinfo=UTC))
        acme = new_organization(db)
        rate = Rate("EUR", Decimal("0.93"), datetime(2031, 1, 1, tzinfo=UTC), "ecb", False)
        request = credit.TopUpRequest.model_validate(
            {"amount_usd": "7", "paid": {"amount": "5.01", "currency": "EUR"}}
        )
        credit.top_up(db, PLATFORM, acme, new_key(), request, rate)
        months = [f"2031-{number:02}" for number in range(1, 8)]
        for number, _ in enumerate(months, 1):
            set_clock(admin, datetime(2031, number, 2, tzinfo=UTC))
            charge(db, acme, "1")
        set_clock(admin, datetime(2031, 9, 1, tzinfo=UTC))
        found = [revenue.get_revenue(lambda: db, PLATFORM, month).total for month in months]
    assert all(reconciles(one) for one in found)
    assert sum(one.recognized_usd for one in found) == found[0].sold_usd == Decimal("5.38709677")
    assert found[-1].closing_deferred_usd == 0


def test_the_journal_carries_the_opening_to_the_closing(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2031, 1, 10, tzinfo=UTC))
        many = [new_organization(db) for _ in range(3)]
        ids: list[UUID] = sorted(many)
        for number, one in enumerate(many, 1):
            top_up(db, one, f"{number}0", expires_at="2031-01-20T00:00:00Z")
            charge(db, one, f"{number}")
        new_organization(db)
        found = revenue.get_revenue(lambda: db, PLATFORM, "2031-01")
        assert [one.organization_id for one in found.items] == ids
        for name in FIGURES:
            assert getattr(found.total, name) == sum(getattr(one, name) for one in found.items)
        assert found.closed is False
        set_clock(admin, datetime(2031, 2, 10, tzinfo=UTC))
        found = revenue.get_revenue(lambda: db, PLATFORM, "2031-01")
    deferred = found.total.opening_deferred_usd
    for entry in found.journal:
        deferred += entry.amount_usd * (entry.credit == "deferred_revenue")
        deferred -= entry.amount_usd * (entry.debit == "deferred_revenue")
        assert str(entry.date) == "2031-01-31"
    assert deferred == found.total.closing_deferred_usd == 0
    assert {entry.source: entry.amount_usd for entry in found.journal} == {
        "sold": 60,
        "recognized": 6,
        "breakage": 54,
        "paid_out": 0,
    }


def test_a_grant_that_is_voided_is_breakage_of_its_own_cost(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2031, 1, 10, tzinfo=UTC))
        acme = new_organization(db, "10")
        [bought] = list_grants(db, acme)
        void(db, bought)
        assert figures(db, "2031-01") == {"sold": "10", "breakage": "10"}


def test_whatever_comes_later_the_revenue_of_a_closed_month_stays(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2031, 1, 10, tzinfo=UTC))
        acme = new_organization(db, "10", credit_limit_usd="100")
        given = grant(db, acme, "3", expires_at="2031-02-10T00:00:00Z")
        first, second = charge(db, acme, "4"), charge(db, acme, "20")
        set_clock(admin, datetime(2031, 2, 1, 1, tzinfo=UTC))
        before = figures(db, "2031-01")
        assert before == {
            "sold": "10",
            "recognized": "10",
            "promotional_used": "3",
            "debt": "11",
        }
        # Given and bought credit covers the debt of January, and what January used comes back.
        grant(db, acme, "2", expires_at="2031-02-20T00:00:00Z")
        top_up(db, acme, "1")
        refund(db, first, "4")
        asked = issue(db, draft(db, acme, datetime(2031, 1, 1, tzinfo=UTC), second.created_at))
        assert asked.amount_due_usd == 0
        start = second.created_at
        owed = issue(db, draft(db, acme, start, datetime(2031, 2, 1, tzinfo=UTC)))
        assert figures(db, "2031-01") == before
        invoice_credit(db, owed, amount_usd="1", refund_credit=True)
        invoice_credit(db, owed, amount_usd="1")
        pay(db, owed)
        refund(db, second, "2")
        set_clock(admin, datetime(2031, 3, 1, tzinfo=UTC))
        february = figures(db, "2031-02")
        refund(db, second, "3")
        top_up(db, acme, "50")
        charge(db, acme, "20")
        assert list_grants(db, acme)[-1].id != given.id
        assert (figures(db, "2031-01"), figures(db, "2031-02")) == (before, february)
        assert reconciles(revenue.get_revenue(lambda: db, PLATFORM, "2031-02").total)


def test_the_audit_compares_revenue_with_the_credit_that_remains(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        acme = new_organization(db)
        request = credit.TopUpRequest.model_validate(
            {"amount_usd": "7", "paid": {"amount": "5", "currency": "USD"}}
        )
        credit.top_up(db, PLATFORM, acme, new_key(), request)
        spent = charge(db, acme, "3.1")
        refund(db, spent, "0.3")
        assert database.audit().whole
        admin.execute("UPDATE billing.credit_grants SET remaining_usd = remaining_usd - 0.7")
        [wrong] = [line for line in database.audit().all_broken if "revenue reconciles" in line]
    # Of 4.2 that remain, three are paid for; the grant says that 3.5 remain.
    assert wrong.endswith("deferred 3.00000000, cost basis of what remains 2.50000000")


@pytest.mark.parametrize("page", [1, 2, 3, 4])
def test_revenue_is_that_of_every_organization_however_many_there_are(
    database: Database, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(revenue, "PAGE", page)
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2031, 1, 15, tzinfo=UTC))
        made = {new_organization(db, str(number)) for number in range(1, 4)}
        found = revenue.get_revenue(lambda: db, PLATFORM, "2031-01")
        listed = [item.organization_id for item in found.items]
        assert sorted(listed) == sorted(made)
        assert found.total.sold_usd == 6


def test_only_the_platform_sees_revenue(database: Database) -> None:
    with database.connect() as db:
        tenant = Caller(tenant=str(new_organization(db)), subject="x")
        with pytest.raises(Forbidden):
            revenue.get_revenue(lambda: db, tenant, "2031-01")


def test_no_figure_depends_on_when_it_is_asked_for(database: Database) -> None:
    """A settlement in between changes what is stored, not what is said."""
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2031, 1, 10, tzinfo=UTC))
        acme = new_organization(db)
        top_up(db, acme, "10", expires_at="2031-02-10T00:00:00Z")
        charge(db, acme, "4")
        set_clock(admin, datetime(2031, 2, 1, tzinfo=UTC) + timedelta(hours=1))
        before = revenue.get_revenue(lambda: db, PLATFORM, "2031-01").total
        set_clock(admin, datetime(2031, 4, 1, tzinfo=UTC))
        grant(db, acme, "1")
        assert revenue.get_revenue(lambda: db, PLATFORM, "2031-01").total == before


def test_given_credit_that_starts_in_a_month_is_used_in_it_by_older_debt(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2031, 1, 10, tzinfo=UTC))
        acme = new_organization(db, credit_limit_usd="9")
        charge(db, acme, "5")
        grant(db, acme, "3", effective_at="2031-02-10T00:00:00Z")
        set_clock(admin, datetime(2031, 3, 10, tzinfo=UTC))
        months = [figures(db, month) for month in ("2031-01", "2031-02", "2031-03")]
        assert months == [{"debt": "5"}, {"promotional_used": "3", "debt": "2"}, {"debt": "2"}]
        charge(db, acme, "1")
        assert [figures(db, month) for month in ("2031-01", "2031-02")] == months[:2]
