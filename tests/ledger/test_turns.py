"""An organization with too much under way refuses, and takes nothing from the others."""

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from synaxis_billing import procedures
from synaxis_billing.errors import TooManyRequests
from synaxis_billing.ledger import charges
from synaxis_billing.ledger.transactions import Transaction
from synaxis_billing.schema.migrate import function_files
from tests.conftest import Database
from tests.support import steps
from tests.support.racing import locked, waiting
from tests.support.running import wait_until

PLACES = 8


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procedures, "PATIENCE_SECONDS", 0)


def test_calls_that_wait_come_back_at_times_that_double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _least, most: most)
    assert [procedures.pause_seconds(tries) for tries in (1, 2, 3)] == [0.04, 0.08, 0.16]


def test_a_call_that_fails_otherwise_is_not_made_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def fail(*_arguments: object) -> None:
        made.append(1)
        raise psycopg.errors.UniqueViolation

    monkeypatch.setattr(procedures, "_value", fail)
    with database.connect() as db, pytest.raises(psycopg.errors.UniqueViolation):
        procedures.call(db, "audit")
    assert made == [1]


@pytest.mark.usefixtures("impatient")
def test_the_ninth_call_of_an_organization_is_refused_and_others_go_on(
    database: Database,
) -> None:
    with database.connect() as db:
        busy, other = steps.new_organization(db, "100"), steps.new_organization(db, "100")
        held = steps.hold(db, busy, "1")
        charged = steps.charge(db, busy, "1")

        def charge(_: int) -> Transaction:
            with database.connect() as own:
                return steps.charge(own, busy, "1")

        with ThreadPoolExecutor(PLACES) as pool:
            with locked(database, busy):
                under_way = [pool.submit(charge, number) for number in range(PLACES)]
                wait_until(lambda: waiting(database) == PLACES)
                for refused in (
                    lambda: steps.charge(db, busy, "1", "ninth"),
                    lambda: steps.hold(db, busy, "1"),
                    lambda: steps.capture(db, held, "1"),
                    lambda: steps.release(db, held),
                    lambda: steps.top_up(db, busy, "1"),
                    lambda: steps.refund(db, charged),
                    lambda: steps.adjust(db, busy, "1"),
                    lambda: steps.log_spend(db, busy, "1"),
                ):
                    with pytest.raises(TooManyRequests):
                        refused()
                assert steps.charge(db, other, "1").balance_after_usd == 99
            assert len({one.result().id for one in under_way}) == PLACES
        # What was refused had no effect, and its key is free.
        assert steps.charge(db, busy, "1", "ninth").balance_after_usd == 99 - PLACES - 1
    assert database.audit().whole


def test_a_call_waits_outside_of_the_database_for_a_place(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    came_back = threading.Event()
    monkeypatch.setattr(time, "sleep", lambda _: came_back.set())
    with database.connect() as db:
        busy = steps.new_organization(db, "100")

    def charge(number: int) -> Transaction:
        with database.connect() as own:
            return steps.charge(own, busy, "1", f"key {number}")

    with ThreadPoolExecutor(PLACES + 1) as pool:
        with locked(database, busy):
            under_way = [pool.submit(charge, number) for number in range(PLACES + 1)]
            assert came_back.wait(60)
        assert len({one.result().id for one in under_way}) == PLACES + 1
    assert database.audit().whole


def test_a_batch_whose_answer_nobody_reads_holds_no_organization(database: Database) -> None:
    with database.connect() as db, contextlib.closing(database.connect()) as silent:
        organization_id = steps.new_organization(db, "1000")
        # More than the buffers between the server and its client take.
        items = [
            {
                "organization_id": str(organization_id),
                "idempotency_key": f"key {number}",
                "fingerprint": "\\xab",
                "amount_usd": "0.01",
                "description": "水" * 2000,
            }
            for number in range(1000)
        ]
        statement = b"CALL billing.spend_batch(NULL, '*', $1)"
        silent.pgconn.nonblocking = 1
        silent.pgconn.send_query_params(statement, [json.dumps(items).encode()])
        wait_until(lambda: silent.pgconn.flush() == 0)
        wait_until(lambda: steps.available(db, organization_id) == 990)
        assert steps.charge(db, organization_id, "1").balance_after_usd == 989
    assert database.audit().whole


# Its callers take one, or do not wait.
WITHOUT_A_PLACE = {"charge_batch"}


def test_whatever_waits_for_an_organization_takes_a_place_first() -> None:
    locking, calling = {}, {}
    for path in function_files():
        text = re.sub(r"--[^\n]*", "", path.read_text())
        for found in re.finditer(
            r"OR REPLACE \w+ billing\.(\w+)\((?:(?!OR REPLACE).)*", text, re.S
        ):
            if re.search(r"billing\.organizations\b[^;]*FOR (NO KEY )?UPDATE", found[0]):
                locking[found[1]] = "billing.take_place(" in found[0]
            if "billing.charge_batch(" in found[0].partition("(")[2]:
                calling[found[1]] = "billing.take_place(" in found[0]
    assert locking.pop("lock_organization")
    assert {name for name, taken in locking.items() if not taken} == WITHOUT_A_PLACE
    # A charge is called by spend(), which has taken one; spend_batch() is for many organizations.
    assert {name for name, taken in calling.items() if not taken} == {"charge", "spend_batch"}


@contextlib.contextmanager
def full(database: Database, busy: UUID) -> Iterator[None]:
    """All places of an organization are taken, by calls that wait for its row."""

    def hold(_: int) -> None:
        with database.connect() as own:
            steps.hold(own, busy, "1")

    with ThreadPoolExecutor(PLACES) as pool:
        with locked(database, busy):
            under_way = [pool.submit(hold, number) for number in range(PLACES)]
            wait_until(lambda: waiting(database) == PLACES)
            yield
        for one in under_way:
            one.result()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("others", [0, 2])
def test_a_batch_takes_a_place_in_its_busy_organization_and_charges_the_others(
    database: Database, others: int
) -> None:
    with database.connect() as db:
        busy = steps.new_organization(db, "100")
        free = [steps.new_organization(db, "100") for _ in range(others)]
        items = [steps.item(one, "1") for one in [*free, busy, *free, busy]]
        missing = steps.item(UUID(int=7), "1")
        with full(database, busy):
            results = steps.charge_batch(db, *items, *[missing] * bool(others))
            assert waiting(database) == PLACES
        statuses = [result.status for result in results]
        assert statuses == [201] * others + [429] + [201] * others + [429] + [404] * bool(others)
        refused = [result for result in results if isinstance(result, charges.Refused)]
        assert refused[0].error["code"] == "too_many_requests"
        # The whole batch again: the others are not charged twice.
        again = steps.charge_batch(db, *items)
        assert {result.status for result in again} == {201}
        assert [steps.available(db, one) for one in free] == [98] * others
        assert steps.available(db, busy) == 100 - PLACES - 2
    assert database.audit().whole


def test_a_batch_of_one_organization_that_waits_too_long_is_refused_whole(
    database: Database,
) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        db.execute("SET lock_timeout = '50ms'")
        with locked(database, organization_id), pytest.raises(psycopg.errors.LockNotAvailable):
            steps.charge_batch(db, *(steps.item(organization_id, "1") for _ in range(2)))
        assert steps.available(db, organization_id) == 100


def test_a_batch_that_waits_for_one_organization_holds_no_other(database: Database) -> None:
    with database.connect() as db:
        ids = [steps.new_organization(db, "100") for _ in range(3)]
        for busy in ids:
            others = [one for one in ids if one != busy]

            def charge() -> list[charges.Result]:
                with database.connect() as own:
                    return steps.charge_batch(own, *(steps.item(one, "1") for one in ids))

            with ThreadPoolExecutor(1) as pool:
                with locked(database, busy):
                    under_way = pool.submit(charge)
                    wait_until(lambda: waiting(database) == 1)
                    # What is free is charged, and let go.
                    for one in others:
                        steps.charge(db, one, "1")
                assert {result.status for result in under_way.result()} == {201}
    assert database.audit().whole


def test_a_batch_of_a_busy_organization_waits_outside_of_the_database(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    came_back = threading.Event()

    def pause_seconds(_: int) -> float:
        came_back.set()
        return 0.01

    monkeypatch.setattr(procedures, "pause_seconds", pause_seconds)
    with database.connect() as db:
        busy = steps.new_organization(db, "100")

    def charge() -> list[charges.Result]:
        with database.connect() as own:
            return steps.charge_batch(own, steps.item(busy, "1"), steps.item(busy, "1"))

    with ThreadPoolExecutor(1) as pool:
        with full(database, busy):
            under_way = pool.submit(charge)
            assert came_back.wait(60)
        assert [result.status for result in under_way.result()] == [201, 201]
    assert database.audit().whole
