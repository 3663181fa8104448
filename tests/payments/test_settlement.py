"""What a provider says of a payment is booked once, whatever way and order it comes in."""

from decimal import Decimal

import pytest

from synaxis_billing.errors import Conflict
from synaxis_billing.grants import revenue
from synaxis_billing.invoices import topups
from tests.conftest import Database
from tests.support import billing, steps
from tests.support.paying import Payer


def test_credit_comes_when_the_payer_has_paid(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db, billing_currency="EUR"))
        payment = payer.ask_for("100")
        assert payment.status == "pending"
        assert payment.checkout_url
        assert (payment.amount, payment.currency) == (Decimal("92.00"), "EUR")
        assert steps.available(db, payer.organization_id) == 0
        payer.provider.made(payment).paid = payment.amount
        paid = payer.get(payment)
        assert paid.status == "succeeded"
        assert paid.credited_usd == 100
        assert paid.checkout_url is None
        assert steps.available(db, payer.organization_id) == 100
        [grant] = steps.list_grants(db, payer.organization_id)
        assert grant.id == paid.grant_id
        assert grant.kind == "paid"
        assert grant.cost_basis_usd == 100
    assert database.audit().whole


def test_the_same_answer_again_books_nothing(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("100")
        for _ in range(3):
            assert payer.settle(payment).credited_usd == 100
        assert steps.available(db, payer.organization_id) == 100
    assert database.audit().whole


def test_the_invoice_of_a_payment_is_what_the_payer_paid(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(
            db, billing_currency="EUR", tax={"label": "VAT", "rate_percent": "19"}
        )
        payer = Payer(db, organization_id)
        payer.rates = billing.rates("0.9237")
        payment = payer.buy("33.33")
        # The rate and the tax change before the invoice is issued.
        steps.change_organization(db, organization_id, tax={"label": "VAT", "rate_percent": "7"})
        [transaction_id] = [payment.transaction_id]
        assert transaction_id
        invoice = topups.invoice_topup(
            db,
            steps.PLATFORM,
            organization_id,
            transaction_id,
            billing.rates("0.5"),
            billing.ISSUER,
        )
        assert invoice.total_amount_billing_currency == payment.amount
        assert invoice.tax_billing_currency == payment.tax
        assert invoice.exchange_rate == Decimal("0.9237")
        assert invoice.status == "paid"
    assert database.audit().whole


def test_a_full_refund_with_tax_takes_exactly_what_was_given(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db, tax={"label": "VAT", "rate_percent": "19"}))
        payment = payer.buy("100")
        assert payment.amount == 119
        refund = payer.refund(payment)
        assert refund.status == "succeeded"
        assert refund.amount == 119
        assert refund.credit_usd == 100
        assert payer.get(payment).paid_out_usd == 100
        assert steps.available(db, payer.organization_id) == 0
    assert database.audit().whole


def test_the_providers_fee_changes_no_credit(database: Database) -> None:
    """Credited and refunded is what was paid, and not what the provider leaves of it."""
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.ask_for("100")
        made = payer.provider.made(payment)
        made.paid, made.fee = payment.amount, Decimal("3.20")
        settled = payer.settle(payment)
        assert (settled.fee, settled.fee_currency) == (Decimal("3.20"), "USD")
        assert settled.credited_usd == 100
        assert payer.refund(payment, "40").amount == 40
        made.refunded = Decimal(100)
        assert payer.settle(payment).paid_out_usd == 100
        assert steps.available(db, payer.organization_id) == 0
    assert database.audit().whole


def test_a_lost_dispute_takes_credit_and_not_the_money_of_another_currency(
    database: Database,
) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(
            db, billing_currency="EUR", tax={"label": "VAT", "rate_percent": "19"}
        )
        payer = Payer(db, organization_id)
        payer.rates = billing.rates("0.5")
        payment = payer.buy("100")
        assert payment.amount == Decimal("59.50")
        made = payer.provider.made(payment)
        made.dispute()
        payer.settle(payment)
        assert steps.available(db, organization_id) == 0
        made.lose()
        assert payer.settle(payment).paid_out_usd == 100
        assert steps.available(db, organization_id) == 0
    assert database.audit().whole


def test_cumulative_refunds_are_booked_once(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("30")
        made = payer.provider.made(payment)
        for refunded, left in (("5", 25), ("10", 20), ("10", 20), ("30", 0)):
            made.refunded = Decimal(refunded)
            payer.settle(payment)
            assert steps.available(db, payer.organization_id) == left
    assert database.audit().whole


def test_a_dispute_freezes_the_rest_and_a_won_one_gives_it_back(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db, "20"))
        payment = payer.buy("100")
        steps.charge(db, payer.organization_id, "50")
        made = payer.provider.made(payment)
        made.dispute()
        assert payer.settle(payment).dispute_state == "open"
        # The older grant is used first: 30 of the payment were spent.
        assert steps.available(db, payer.organization_id) == 0
        [grant, _] = steps.list_grants(db, payer.organization_id)
        assert grant.remaining_usd == 70
        assert grant.frozen_usd == 70
        made.win()
        payer.settle(payment)
        assert steps.available(db, payer.organization_id) == 70
        steps.charge(db, payer.organization_id, "70")
    assert database.audit().whole


def test_a_lost_dispute_takes_the_rest_and_the_spent_part_becomes_debt(
    database: Database,
) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("100")
        steps.charge(db, payer.organization_id, "30")
        made = payer.provider.made(payment)
        made.dispute()
        payer.settle(payment)
        made.lose()
        lost = payer.settle(payment)
        assert lost.paid_out_usd == 70
        assert lost.charged_back_usd == 30
        assert steps.available(db, payer.organization_id) == -30
        payer.settle(payment)
        assert steps.available(db, payer.organization_id) == -30
        # The next payment covers it.
        payer.buy("50")
        assert steps.available(db, payer.organization_id) == 20
    assert database.audit().whole


def test_a_dispute_that_is_won_after_all_gives_everything_back(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("100")
        steps.charge(db, payer.organization_id, "30")
        made = payer.provider.made(payment)
        made.dispute()
        payer.settle(payment)
        made.lose()
        payer.settle(payment)
        assert steps.available(db, payer.organization_id) == -30
        made.win()
        won = payer.settle(payment)
        assert [won.paid_out_usd, won.charged_back_usd] == [0, 0]
        assert steps.available(db, payer.organization_id) == 70
        payer.settle(payment)
        assert steps.available(db, payer.organization_id) == 70
    assert database.audit().whole


def test_a_payment_of_which_a_part_is_disputed_is_not_refunded(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("100")
        made = payer.provider.made(payment)
        made.disputed, made.dispute_state = Decimal("0.5"), "open"
        payer.settle(payment)
        with pytest.raises(Conflict, match="is disputed"):
            payer.refund(payment, "10")


def test_each_fact_of_a_payment_is_told_once(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        payer = Payer(db, steps.new_organization(db))

        def told() -> list[str]:
            events = admin.execute(
                "SELECT type FROM billing.webhook_events WHERE type LIKE 'payment.%'"
                " ORDER BY created_at"
            )
            return [str(kind) for (kind,) in events]

        payment = payer.ask_for("100")
        payer.settle(payment)
        assert told() == []
        made = payer.provider.made(payment)
        made.paid = payment.amount
        for _ in range(2):
            payer.settle(payment)
            assert told() == ["payment.succeeded"]
        payer.refund(payment, "10")
        assert told()[1:] == ["payment.refunded"]
        for change in (made.dispute, made.win):
            change()
            for _ in range(2):
                payer.settle(payment)
        assert told()[2:] == ["payment.disputed", "payment.disputed"]
        declined = payer.ask_for("5")
        payer.provider.made(declined).declined = "card_declined"
        for _ in range(2):
            payer.settle(declined)
        assert told()[4:] == ["payment.failed"]


def test_a_dispute_and_then_a_refund_take_the_money_once(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("100")
        made = payer.provider.made(payment)
        made.dispute()
        payer.settle(payment)
        made.lose()
        payer.settle(payment)
        made.refunded = Decimal(100)
        payer.settle(payment)
        assert steps.available(db, payer.organization_id) == 0
    assert database.audit().whole


def test_a_refund_that_fails_at_the_bank_gives_the_credit_back(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("100")
        made = payer.provider.made(payment)
        made.refunded = Decimal(40)
        payer.settle(payment)
        assert steps.available(db, payer.organization_id) == 60
        made.refunded = Decimal(0)
        payer.settle(payment)
        assert steps.available(db, payer.organization_id) == 100
    assert database.audit().whole


def test_a_hold_of_disputed_credit_may_still_be_captured(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("100")
        held = steps.hold(db, payer.organization_id, "40")
        made = payer.provider.made(payment)
        made.dispute()
        payer.settle(payment)
        assert steps.available(db, payer.organization_id) == -40
        steps.capture(db, held, "40")
        made.lose()
        payer.settle(payment)
        assert steps.available(db, payer.organization_id) == -40
    assert database.audit().whole


@pytest.mark.parametrize("spent", ["0", "30", "100"])
def test_revenue_forgets_what_was_charged_back(database: Database, spent: str) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("100")
        if spent != "0":
            steps.charge(db, payer.organization_id, spent)
        made = payer.provider.made(payment)
        made.dispute()
        made.lose()
        payer.settle(payment)
        month = f"{payment.created_at:%Y-%m}"
        found = revenue.get_revenue(lambda: db, steps.PLATFORM, month)
        [row] = [one for one in found.items if one.organization_id == payer.organization_id]
        assert row.sold_usd == row.paid_out_usd == 100
        assert row.recognized_usd == row.closing_deferred_usd == 0
    assert database.audit().whole
