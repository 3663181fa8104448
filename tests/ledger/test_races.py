"""What concurrent requests, and processes that die, must not be able to do to the money."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest

from synaxis_billing.errors import Conflict, Unprocessable
from synaxis_billing.ledger.charges import Charged, Refused
from synaxis_billing.ledger.transactions import InsufficientCredits, Transaction
from synaxis_billing.organizations.balance import Balance, get_balance
from tests.conftest import Database
from tests.support import steps
from tests.support.racing import at_once, locked, of_type, waiting
from tests.support.running import wait_until

THREADS = 12


def balance(database: Database, organization_id: UUID) -> Balance:
    with database.connect() as db:
        return get_balance(lambda: db, steps.NO_CACHE, steps.PLATFORM, organization_id)


def test_a_payment_that_arrives_many_times_at_once_credits_once(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db)
    results = at_once(
        database, *[lambda db: steps.top_up(db, organization_id, "10", "payment-1")] * THREADS
    )
    assert len({transaction.id for transaction in of_type(Transaction, results)}) == 1
    assert len(of_type(Transaction, results)) == THREADS
    assert balance(database, organization_id).balance_usd == 10
    assert database.audit().whole


def test_a_payment_sent_with_many_keys_credits_once(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db)
    results = at_once(
        database,
        *[lambda db: steps.top_up(db, organization_id, "10", reference_id="pi_1")] * THREADS,
    )
    assert len(of_type(Transaction, results)) == 1
    assert len(of_type(Conflict, results)) == THREADS - 1
    assert balance(database, organization_id).balance_usd == 10


def test_one_key_charges_once_however_many_send_it(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
    results = at_once(database, *[lambda db: steps.charge(db, organization_id, "1", "k")] * THREADS)
    assert len({transaction.id for transaction in of_type(Transaction, results)}) == 1
    assert len(of_type(Transaction, results)) == THREADS
    assert balance(database, organization_id).balance_usd == 99


def test_one_key_with_two_requests_at_once_serves_one_of_them(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
    results = at_once(
        database,
        lambda db: steps.charge(db, organization_id, "1", "k"),
        lambda db: steps.charge(db, organization_id, "2", "k"),
    )
    [served] = of_type(Transaction, results)
    [refused] = of_type(Unprocessable, results)
    assert refused.code == "idempotency_key_reused"
    assert balance(database, organization_id).balance_usd == 100 + served.amount_usd


def test_the_last_dollar_is_spent_once(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "1")
    results = at_once(database, *[lambda db: steps.charge(db, organization_id, "1")] * THREADS)
    assert len(of_type(Transaction, results)) == 1
    assert len(of_type(InsufficientCredits, results)) == THREADS - 1
    assert balance(database, organization_id).balance_usd == 0
    assert database.audit().whole


def test_one_llm_request_is_paid_for_once_whatever_keys_it_comes_with(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        held = steps.hold(db, organization_id, "1")
    results = at_once(
        database,
        lambda db: steps.charge(db, organization_id, "1", request_id="req-1"),
        lambda db: steps.charge(db, organization_id, "1", request_id="req-1"),
        lambda db: steps.capture(db, held, "1", request_id="req-1"),
        lambda db: steps.log_spend(db, organization_id, "1", request_id="req-1"),
    )
    assert len(of_type(Conflict, results)) == 3
    assert database.audit().whole


def test_a_hold_is_captured_or_released_but_never_both(database: Database) -> None:
    for _ in range(5):
        with database.connect() as db:
            organization_id = steps.new_organization(db, "10")
            held = steps.hold(db, organization_id, "10")
        results = at_once(
            database,
            *[lambda db, held=held: steps.capture(db, held, "4")] * 3,
            *[lambda db, held=held: steps.release(db, held)] * 3,
        )
        assert len(of_type(Conflict, results)) == 5
        captured = of_type(Transaction, results)
        now = balance(database, organization_id)
        assert now.balance_usd == (6 if captured else 10)
        assert now.held_usd == 0
    assert database.audit().whole


def test_refunds_at_once_stay_within_the_charge(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        charged = steps.charge(db, organization_id, "10")
    results = at_once(database, *[lambda db: steps.refund(db, charged, "4")] * THREADS)
    assert len(of_type(Transaction, results)) == 2
    assert {error.code for error in of_type(Unprocessable, results)} == {"refund_exceeds_charge"}
    assert balance(database, organization_id).balance_usd == 8


def test_holds_and_charges_at_once_never_promise_the_same_credit_twice(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
    results = at_once(
        database,
        *[lambda db: steps.hold(db, organization_id, "3")] * 6,
        *[lambda db: steps.charge(db, organization_id, "3")] * 6,
    )
    assert len(of_type(InsufficientCredits, results)) == 9
    now = balance(database, organization_id)
    assert now.available_usd == 1
    assert now.balance_usd - now.held_usd == now.available_usd


def test_batches_over_the_same_organizations_in_opposite_order_do_not_deadlock(
    database: Database,
) -> None:
    with database.connect() as db:
        organizations_ = [steps.new_organization(db, "1000") for _ in range(20)]

    def batch(order: list[UUID]) -> Callable[[psycopg.Connection], Any]:
        return lambda db: steps.charge_batch(db, *(steps.item(of, "0.5") for of in order * 5))

    results = at_once(
        database, *(batch(organizations_ if i % 2 else organizations_[::-1]) for i in range(8))
    )
    assert all(isinstance(one, Charged) for answer in results for one in answer)
    for organization_id in organizations_:
        assert balance(database, organization_id).balance_usd == 980
    assert database.audit().whole


def test_a_batch_sent_by_many_at_once_charges_each_item_once(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "50")
    items = [steps.item(organization_id, "1") for _ in range(100)]
    results = at_once(database, *[lambda db: steps.charge_batch(db, *items)] * 6)
    assert balance(database, organization_id).balance_usd == 0
    for answer in results:
        assert len(of_type(Charged, answer)) == 50
        assert len(of_type(Refused, answer)) == 50
    assert database.audit().whole


def test_organizations_are_created_once(database: Database) -> None:
    organization_id = "6ff1f3a4-5f5d-4f0e-9f1e-6d5c2ad3e1aa"
    results = at_once(
        database, *[lambda db: steps.new_organization(db, id=organization_id)] * THREADS
    )
    assert len(of_type(UUID, results)) == 1
    assert {error.code for error in of_type(Conflict, results)} == {"organization_exists"}


_CHARGE_AND_DIE = """
import os, signal, sys
from uuid import UUID
import psycopg
from tests.support import steps
from tests.support.racing import at_once, of_type
from tests.support.running import wait_until
db = psycopg.connect(sys.argv[1], autocommit=True, cursor_factory=psycopg.ClientCursor)
steps.charge(db, UUID(sys.argv[2]), "3", "k", request_id="req-1")
os.kill(os.getpid(), signal.SIGKILL)  # committed, and nobody has been told
"""


def test_a_retry_after_the_process_died_before_it_answered_finds_the_charge(
    database: Database,
) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
    died = subprocess.run(
        [sys.executable, "-c", _CHARGE_AND_DIE, database.app_url, str(organization_id)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    with database.connect() as db:
        again = steps.charge(db, organization_id, "3", "k", request_id="req-1")
    assert again.balance_after_usd == 7
    assert balance(database, organization_id).balance_usd == 7
    assert database.audit().whole


@pytest.mark.parametrize("when", ["before", "within"])
def test_a_connection_lost_before_the_commit_changes_nothing(database: Database, when: str) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "10")
        end = partial(admin.execute, "SELECT pg_terminate_backend(%s::int)", [db.info.backend_pid])
        with ThreadPoolExecutor(1) as pool, locked(database, organization_id):
            if when == "before":
                end()
            charging = pool.submit(steps.charge, db, organization_id, "3", "k")
            if when == "within":
                wait_until(lambda: waiting(database) == 1)
                end()
            with pytest.raises(psycopg.OperationalError):
                charging.result(60)
            wait_until(lambda: waiting(database) == 0)
    assert balance(database, organization_id).balance_usd == Decimal(10)
    with database.connect() as db:
        assert steps.charge(db, organization_id, "3", "k").balance_after_usd == 7
    assert database.audit().whole
