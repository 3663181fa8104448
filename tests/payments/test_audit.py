"""The audit compares payments with grants, transactions and invoices."""

from decimal import Decimal
from uuid import UUID

import pytest

from synaxis_billing.caller import OrganizationNotFound
from synaxis_billing.grants import revenue
from synaxis_billing.invoices import topups
from tests.conftest import Database
from tests.support import billing, steps
from tests.support.paying import Payer

DAMAGE = {
    "a payment is one grant of what it bought": [
        "UPDATE billing.payments SET credited_usd = credited_usd - 1",
        "UPDATE billing.payments SET captured = captured - 1, refunded = 0",
        "UPDATE billing.credit_grants SET cost_basis_usd = cost_basis_usd - 1",
    ],
    "credit leaves as money went back": ["UPDATE billing.payments SET refunded = refunded + 1"],
    "what a payment took is in its transactions": [
        "UPDATE billing.payments SET paid_out_usd = paid_out_usd + 1"
    ],
    "the invoice of a payment is what the payer paid": [
        "UPDATE billing.payments SET tax = tax + 1"
    ],
    "only a dispute or a refund freezes credit": [
        "UPDATE billing.credit_grants SET frozen_usd = frozen_usd + 1"
    ],
}


@pytest.mark.parametrize(
    ("promise", "damage"), [(promise, one) for promise, all_ in DAMAGE.items() for one in all_]
)
def test_what_does_not_agree_is_reported(promise: str, damage: str, database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("10")
        assert payment.transaction_id
        ids = (payer.organization_id, payment.transaction_id)
        topups.invoice_topup(db, steps.PLATFORM, *ids, payer.rates, billing.ISSUER)
        payer.refund(payment, "2")
        payer.settle(payment)
        assert database.audit().whole
        admin.execute("SET session_replication_role = replica")
        admin.execute(damage.encode())
        assert promise in " ".join(database.audit().all_broken)


def test_no_topup_of_an_unknown_organization_has_an_invoice(database: Database) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("10")
        assert payment.transaction_id
        asked = (UUID(int=7), payment.transaction_id, payer.rates, billing.ISSUER)
        with pytest.raises(OrganizationNotFound):
            topups.invoice_topup(db, steps.PLATFORM, *asked)


def test_the_invoice_of_a_payment_may_be_credited_in_part_and_corrected(
    database: Database,
) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db))
        payment = payer.buy("100")
        assert payment.transaction_id
        ids = (payer.organization_id, payment.transaction_id)
        sold = topups.invoice_topup(db, steps.PLATFORM, *ids, payer.rates, billing.ISSUER)
        billing.credit(db, sold, amount_usd="30")
        billing.credit(db, sold, reissue=True)
    assert database.audit().whole


def test_what_is_sold_is_the_net_of_the_payments(database: Database) -> None:
    """In US dollars, at the rates of the payments; tax is none of it."""
    with database.connect() as db:
        payer = Payer(
            db,
            steps.new_organization(
                db, billing_currency="EUR", tax={"label": "VAT", "rate_percent": "19"}
            ),
        )
        bought = [payer.buy("10"), payer.buy("33.33")]
        month = f"{bought[0].created_at:%Y-%m}"
        sold = revenue.get_revenue(lambda: db, steps.PLATFORM, month).total.sold_usd
    net = [payment.amount - payment.tax for payment in bought]
    rates = [payment.exchange_rate for payment in bought]
    assert sold == Decimal("43.33")
    assert [round(one.credit_usd * rate, 2) for one, rate in zip(bought, rates, strict=True)] == net
    assert database.audit().whole
