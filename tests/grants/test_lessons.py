"""What went wrong in other systems that give credit: each must not happen here.

Expired credit that can be spent, and an expiry that takes paid credit, are in test_grants.py and
test_races.py.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from synaxis_billing.invoices.credit_notes import CreditExceedsInvoice
from synaxis_billing.ledger.transactions import InsufficientCredits
from tests.conftest import Database
from tests.grants.test_grants import DAY, balance, expiring, grants, now, types
from tests.support import billing, steps
from tests.support.clock import move_clock, set_clock


def test_a_voided_grant_is_not_expiring_soon(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        given = expiring(db, admin, organization_id)
        [soon] = balance(db, organization_id).expiring
        assert [soon.grant_id, soon.amount_usd, soon.expires_at] == [given.id, 5, given.expires_at]
        # Also while a hold keeps its credit.
        steps.hold(db, organization_id, "5")
        steps.void(db, given)
        assert balance(db, organization_id).expiring == []


def test_of_equal_priority_what_expires_sooner_is_used_first(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        late = steps.grant(db, organization_id, "5", expires_at=(now(admin) + 2 * DAY).isoformat())
        soon = expiring(db, admin, organization_id)
        steps.charge(db, organization_id, "5")
        found = grants(db, organization_id)
        assert [found[soon.id].remaining_usd, found[late.id].remaining_usd] == [0, 5]


def test_a_monthly_grant_lasts_its_local_month_and_the_next_begins_with_the_next(
    database: Database,
) -> None:
    """Over a change to summer time, too: neither a period early nor an hour late."""
    berlin = ZoneInfo("Europe/Berlin")
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2030, 3, 10, 12, tzinfo=UTC))
        organization_id = steps.new_organization(db, timezone="Europe/Berlin")
        steps.grant(db, organization_id, "5", every="month")
        starts = [datetime(2030, month, 1, tzinfo=berlin) for month in (4, 5, 6)]
        for start in starts:
            set_clock(admin, start - timedelta(seconds=30))
            [before] = steps.list_grants(db, organization_id, "active")
            assert balance(db, organization_id).balance_usd == 5
            set_clock(admin, start)
            [after] = steps.list_grants(db, organization_id, "active")
            # All of the old grant until then, all of the new one from then on.
            assert balance(db, organization_id).balance_usd == 5
            assert before.expires_at == start == after.effective_at
        steps.charge(db, organization_id, "1")
        listed = steps.list_grants(db, organization_id)
        assert [grant.effective_at for grant in listed][::-1][1:4] == starts
    assert database.audit().whole


def test_a_balance_counts_every_grant_that_came_meanwhile(database: Database) -> None:
    """No stored snapshot goes stale: grants that come in the middle of others' lives all count."""
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        steps.grant(db, organization_id, "5", effective_at=(now(admin) + DAY).isoformat())
        steps.charge(db, organization_id, "0")
        expiring(db, admin, organization_id)
        steps.charge(db, organization_id, "2")
        steps.top_up(db, organization_id, "1")
        assert balance(db, organization_id).balance_usd == 4
        move_clock(admin, DAY)
        assert balance(db, organization_id).balance_usd == 6


def test_a_monthly_grant_comes_once_whatever_changes_within_the_month(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2030, 1, 10, 12, tzinfo=UTC))
        organization_id = steps.new_organization(db)
        steps.grant(db, organization_id, "5", every="month")
        for zone in ("America/New_York", "Asia/Tokyo", "Europe/Berlin", "UTC"):
            steps.change_organization(db, organization_id, timezone=zone)
            steps.top_up(db, organization_id, "1")
            move_clock(admin, 31 * DAY)
            steps.log_spend(db, organization_id, "1")
        given = [amount for kind, amount in types(admin, organization_id) if kind == "grant"]
        assert given == [5] * 5
        assert balance(db, organization_id).balance_usd == 9
    assert database.audit().whole


def test_a_grant_at_the_instant_at_which_another_ends_counts(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        ends = expiring(db, admin, organization_id).expires_at
        assert ends
        steps.grant(db, organization_id, "3", effective_at=ends.isoformat())
        billing.set_clock(admin, organization_id, ends)
        assert steps.top_up(db, organization_id, "2").created_at > ends
        assert balance(db, organization_id).balance_usd == 5
        assert types(admin, organization_id) == [
            ("grant", 5),
            ("grant", 3),
            ("expiry", -5),
            ("topup", 2),
        ]


def test_promotional_credit_leaves_nothing_to_be_paid(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, credit_limit_usd="10")
        given = steps.grant(db, organization_id, "5")
        steps.charge(db, organization_id, "5")
        assert given.cost_basis_usd == 0
        assert balance(db, organization_id).debt_usd == 0


def test_credit_expires_at_its_instant_also_while_an_invoice_is_open(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "5")
        given = expiring(db, admin, organization_id)
        steps.charge(db, organization_id, "1")
        billing.issue(db, billing.draft(db, organization_id))
        assert given.expires_at
        set_clock(admin, given.expires_at - timedelta(seconds=30))
        assert balance(db, organization_id).balance_usd == 9
        set_clock(admin, given.expires_at)
        assert balance(db, organization_id).balance_usd == 5


def test_debt_is_shown_and_no_renewal_forgives_it(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, credit_limit_usd="20")
        steps.grant(db, organization_id, "5", every="month")
        steps.charge(db, organization_id, "17")
        found = balance(db, organization_id)
        assert [found.balance_usd, found.debt_usd, found.available_usd] == [-12, 12, 8]
        move_clock(admin, 32 * DAY)
        found = balance(db, organization_id)
        assert [found.balance_usd, found.debt_usd] == [-7, 7]


def test_a_renewal_adds_to_other_credit_and_does_not_replace_it(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "40")
        steps.grant(db, organization_id, "5", every="month")
        move_clock(admin, 32 * DAY)
        assert balance(db, organization_id).balance_usd == 45


def test_free_credit_that_was_used_is_not_taken_from_a_purchase(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db)
        steps.grant(db, organization_id, "5")
        steps.charge(db, organization_id, "5")
        steps.top_up(db, organization_id, "10")
        assert balance(db, organization_id).balance_usd == 10
        assert [grant.remaining_usd for grant in steps.list_grants(db, organization_id)] == [10, 0]


def test_months_without_a_call_neither_keep_credit_nor_end_it_early(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        start = now(admin)
        for life in (40, 50, 200):
            ends = (start + timedelta(days=life)).isoformat()
            steps.grant(db, organization_id, "1", expires_at=ends)
        move_clock(admin, 45 * DAY)
        assert balance(db, organization_id).balance_usd == 2
        move_clock(admin, 100 * DAY)
        assert steps.charge(db, organization_id, "1").balance_after_usd == 0
        with pytest.raises(InsufficientCredits):
            steps.charge(db, organization_id, "0.01")
    assert database.audit().whole


def test_a_credit_note_is_not_above_what_is_left_of_the_purchased_credit(
    database: Database,
) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db)
        paid = {"amount": "10", "currency": "USD"}
        sale = billing.invoice_topup(db, steps.top_up(db, organization_id, "100", paid=paid))
        spent = steps.charge(db, organization_id, "40")
        for amount in ("6.00000001", "10"):
            with pytest.raises(CreditExceedsInvoice) as refused:
                billing.credit(db, sale, amount_usd=amount)
            assert refused.value.problem()["creditable_usd"] == "6.00"
        billing.credit(db, sale, amount_usd="2")
        with pytest.raises(CreditExceedsInvoice):
            billing.credit(db, sale, amount_usd="4.5")
        # What a refund gives back is left again; what is used is not.
        steps.refund(db, spent, "5")
        billing.credit(db, sale, amount_usd="4.5")
        steps.charge(db, organization_id, "65")
        with pytest.raises(CreditExceedsInvoice) as refused:
            billing.credit(db, sale)
        assert refused.value.problem()["creditable_usd"] == "0.00"
    assert database.audit().whole


def test_credit_is_credit_and_what_was_paid_is_money(database: Database) -> None:
    """500 of credit for 10: a refund gives credit back, at the price of that part."""
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        ends = (now(admin) + DAY).isoformat()
        paid = {"amount": "10", "currency": "USD"}
        steps.top_up(db, organization_id, "500", paid=paid, expires_at=ends)
        charged = steps.charge(db, organization_id, "500")
        steps.refund(db, charged, "100")
        assert balance(db, organization_id).balance_usd == 100
        move_clock(admin, DAY)
        steps.refund(db, charged, "250")
        newest, bought = steps.list_grants(db, organization_id)
        assert [newest.amount_usd, newest.cost_basis_usd] == [250, 5]
        assert [bought.amount_usd, bought.cost_basis_usd] == [500, 10]


def test_purchased_credit_outlives_a_monthly_grant(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "10")
        steps.grant(db, organization_id, "5", every="month")
        [following] = steps.list_grants(db, organization_id, "scheduled")
        steps.void(db, following)
        move_clock(admin, 400 * DAY)
        assert balance(db, organization_id).balance_usd == 10


def test_an_expiry_has_a_line_of_its_own_on_the_one_date_that_was_shown(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "1")
        given = expiring(db, admin, organization_id)
        [soon] = balance(db, organization_id).expiring
        move_clock(admin, 3 * DAY)
        steps.charge(db, organization_id, "1")
        [line] = admin.execute(
            "SELECT created_at, grant_id, amount_usd FROM billing.credit_transactions"
            " WHERE transaction_type = 'expiry'"
        ).fetchall()
        assert line == (given.expires_at, given.id, Decimal(-5))
        assert soon.expires_at == grants(db, organization_id)[given.id].expires_at == line[0]


def test_what_remains_of_a_grant_is_never_negative(database: Database) -> None:
    """What exceeds the grants is debt, and no later computation takes it for credit."""
    with database.connect() as db:
        organization_id = steps.new_organization(db, "5")
        steps.adjust(db, organization_id, "-8", allow_negative_balance=True)
        for _ in range(2):
            assert [g.remaining_usd for g in steps.list_grants(db, organization_id)] == [0]
            assert balance(db, organization_id).debt_usd == 3
            steps.log_spend(db, organization_id, "1")
        steps.top_up(db, organization_id, "10")
        assert balance(db, organization_id).balance_usd == 7
    assert database.audit().whole
