"""Receipts: which grants paid, and the proof that a stranger can compute again."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest

from synaxis_billing.budgets import budgets
from synaxis_billing.grants.receipts import Receipt, get_receipt
from synaxis_billing.ledger import charges
from synaxis_billing.ledger.transactions import Transaction, TransactionNotFound
from tests.conftest import Database
from tests.grants.test_grants import DAY, expiring
from tests.prices.test_book import add, rate
from tests.support import billing, steps
from tests.support.clock import move_clock, set_clock
from tests.support.paying import Payer


def receipt(db: psycopg.Connection, transaction: Transaction) -> Receipt:
    return get_receipt(db, steps.PLATFORM, transaction.organization_id, transaction.id)


def test_a_receipt_tells_which_grants_paid_before_and_after_the_settlement(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "3", credit_limit_usd="5")
        given = expiring(db, admin, organization_id)
        first = steps.charge(db, organization_id, "4")
        second = steps.charge(db, organization_id, "6")
        for _ in range(2):
            [used] = receipt(db, first).grants
            assert [used.grant_id, used.amount_usd] == [given.id, 4]
            found = receipt(db, second)
            assert [grant.kind for grant in found.grants] == ["promotional", "paid"]
            assert [grant.amount_usd for grant in found.grants] == [1, 3]
            assert [found.debt_usd, found.refunds] == [2, []]
            move_clock(admin, DAY)
            steps.log_spend(db, organization_id, "1")
        refunded = steps.refund(db, second, "3")
        found = receipt(db, second)
        assert [found.debt_usd, found.refunds] == [0, [refunded]]
        # What a later top-up covers is paid for by its grant.
        third = steps.charge(db, organization_id, "4")
        assert receipt(db, third).debt_usd == 3
        steps.top_up(db, organization_id, "10")
        assert [grant.amount_usd for grant in receipt(db, third).grants] == [1, 3]


def test_a_receipt_of_a_capture_shows_its_hold(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "3")
        held = steps.hold(db, organization_id, "2")
        found = receipt(db, steps.capture(db, held, "1"))
        assert found.hold
        assert (found.hold.id, found.hold.status) == (held.id, "captured")


def test_a_receipt_computes_the_price_again_as_it_was(database: Database) -> None:
    with database.connect() as db:
        add(db)
        organization_id = steps.new_organization(db, "30", price_multiplier="2")
        usage = {"format": "buckets", "input": 10**6, "output": 10**5}
        request = charges.ChargeRequest.model_validate(
            {"usage": usage, "provider": "openai", "model": "gpt-4o", "description": "chat"}
        )
        charged, _ = charges.charge(db, steps.PLATFORM, organization_id, "k", request)
        # Neither a later price nor a new multiplier changes it.
        add(db, rate("input", "99"), at=datetime.now(UTC) - timedelta(days=1))
        steps.change_organization(db, organization_id, price_multiplier="3")
        assert isinstance(charged, Transaction)
        price = receipt(db, charged).price
        assert price
        assert price.amount_usd == -charged.amount_usd == 7
        assert [line.amount_usd for line in price.lines] == [Decimal("2.5"), 1]


def test_a_stranger_can_compute_the_chain_of_receipts_by_sha256_alone(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "3")
        given = expiring(db, admin, organization_id)
        charged = steps.charge(db, organization_id, "1", metadata={"trace": "é"})
        move_clock(admin, DAY)
        steps.refund(db, charged)
        rows = admin.execute(
            "SELECT id FROM billing.credit_transactions ORDER BY version"
        ).fetchall()
        previous = hashlib.sha256(b"").hexdigest()
        seen = []
        for (id_,) in rows:
            found = get_receipt(db, steps.PLATFORM, organization_id, id_)
            proof = found.proof
            assert proof.previous_hash == previous
            content = bytes.fromhex(proof.previous_hash) + proof.text.encode()
            assert hashlib.sha256(content).hexdigest() == proof.hash == found.transaction.hash
            assert proof.personal_text
            digest = hashlib.sha256(proof.personal_text.encode()).hexdigest()
            fields = json.loads(proof.text)
            assert fields[10] == digest
            seen.append((fields[3], fields[12], fields[13], fields[14]))
            previous = proof.hash
        # The terms of each grant, and what an expiry takes, are in the chain.
        assert [kind for kind, *_ in seen] == ["topup", "grant", "charge", "expiry", "refund"]
        assert seen[1][3][0][:4] == [str(given.id), "promotional", "5.00000000", "50"]
        assert seen[3][1:3] == ("1.00000000", str(given.id))
        assert seen[4][3][0][1] == "refund"


def test_an_erasure_leaves_the_proof(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "3")
        charged = steps.charge(db, organization_id, "1")
        before = receipt(db, charged).proof
        steps.erase(db, organization_id)
        after = receipt(db, charged).proof
        assert (after.text, after.hash, after.personal_text) == (before.text, before.hash, None)


def test_a_receipt_tells_which_budgets_counted_the_charge(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        set_clock(admin, datetime(2031, 1, 10, 12, tzinfo=UTC))
        acme = steps.new_organization(db, "10")
        key = steps.budget(db, acme, "5", "month", virtual_key="vk-1")
        steps.budget(db, acme, "5", "month", virtual_key="vk-2")
        gone = steps.budget(db, acme, "3", "week")
        hourly = steps.budget(db, acme, "1", "rate", burst_usd="4")
        charged = steps.charge(db, acme, "2", virtual_key_id="vk-1")
        budgets.delete_budget(db, steps.PLATFORM, acme, gone.id)
        # Later: of a day and of all time, which contain the charge, and a rate, which does not.
        day = steps.budget(db, acme, "9", "day")
        life = steps.budget(db, acme, "9")
        steps.budget(db, acme, "9", "rate", burst_usd="9", mode="soft")
        move_clock(admin, DAY)
        steps.budget(db, acme, "9", "day", mode="soft")
        found = receipt(db, charged).budgets
        assert [one.id for one in found] == [key.id, hourly.id, day.id, life.id]
        assert found[0].model_dump() == {
            "id": key.id,
            "subject": "virtual_key",
            "subject_id": "vk-1",
            "window": "month",
            "limit_usd": "5.00",
        }
        # They are those whose figures contain the charge, and no others.
        assert {steps.budget_now(db, one).spent_usd for one in (key, life)} == {Decimal(2)}
        assert receipt(db, steps.refund(db, charged)).budgets == []


def test_a_receipt_names_the_document_that_the_charge_is_on(database: Database) -> None:
    with database.connect() as db:
        acme = steps.new_organization(db, credit_limit_usd="10")
        bought = steps.top_up(db, acme, "1")
        first = steps.charge(db, acme, "3")
        down = steps.adjust(db, acme, "-1")
        drafted = billing.draft(db, acme)
        assert receipt(db, first).invoice is None
        asked = billing.issue(db, drafted)
        later = steps.charge(db, acme, "1")
        for one in (first, down):
            invoice = receipt(db, one).invoice
            assert invoice is not None
            assert invoice.model_dump() == {
                "id": asked.id,
                "number": asked.invoice_number,
                "kind": "usage",
                "status": "issued",
            }
        assert receipt(db, later).invoice is None
        assert receipt(db, bought).invoice is None
        sale = billing.invoice_topup(db, bought)
        invoice = receipt(db, bought).invoice
        assert invoice is not None
        assert (invoice.id, invoice.kind, invoice.status) == (sale.id, "topup", "paid")
        billing.pay(db, asked)
        paid = receipt(db, first).invoice
        assert paid is not None
        assert (paid.id, paid.status) == (asked.id, "paid")
        # What is credited whole is on no document until its period is invoiced again.
        billing.credit(db, asked)
        assert receipt(db, first).invoice is None
        again = billing.issue(db, billing.draft(db, acme, asked.period_start, asked.period_end))
        invoice = receipt(db, first).invoice
        assert invoice is not None
        assert (invoice.id, invoice.status) == (again.id, "paid")


def test_a_receipt_of_another_organization_does_not_exist(database: Database) -> None:
    with database.connect() as db:
        own, others = (steps.new_organization(db, "3") for _ in range(2))
        charged = steps.charge(db, others, "1")
        with pytest.raises(TransactionNotFound):
            get_receipt(db, steps.PLATFORM, own, charged.id)
        with pytest.raises(TransactionNotFound):
            get_receipt(db, steps.PLATFORM, own, UUID(int=1))


def test_a_receipt_names_the_payments_that_bought_the_credit_of_a_charge(
    database: Database,
) -> None:
    with database.connect() as db:
        payer = Payer(db, steps.new_organization(db, "1", credit_limit_usd="10"))
        payment = payer.buy("2")
        on_account = steps.charge(db, payer.organization_id, "4")
        found = receipt(db, on_account)
        assert [(grant.amount_usd, grant.payment_id) for grant in found.grants] == [
            (Decimal(1), None),
            (Decimal(2), payment.id),
        ]
        invoice = billing.issue(db, billing.draft(db, payer.organization_id))
        owed = payer.ask_for_invoice(invoice.id)
        payer.provider.made(owed).paid = owed.amount
        payer.settle(owed)
        assert [grant.payment_id for grant in receipt(db, on_account).grants] == [
            None,
            payment.id,
            owed.id,
        ]
