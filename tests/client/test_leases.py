"""A lease reserves in memory, charges once all that was spent, and spends no more than there is."""

import fcntl
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from synaxis_billing_client import (
    AsyncBilling,
    AsyncSpendingLease,
    Billing,
    Journal,
    Retries,
    SpendingLease,
    credentials,
    errors,
)
from synaxis_billing_client.leases import HOLD_SECONDS
from synaxis_billing_client.owed import Owed, settle
from tests.client.conftest import run_async
from tests.client.test_client import created
from tests.client.test_holds import USAGE, Ledger
from tests.support.running import EVERYTHING, wait_until

# A lease that settles only when a test says so.
BY_HAND = 1000.0
BUSY = {
    "type": "about:blank",
    "title": "Too many requests",
    "status": 429,
    "code": "too_many_requests",
    "detail": "Too many requests of this organization are under way.",
}
CHAT = {"provider": "openai", "model": "gpt-4o-mini"}


@pytest.fixture
def organization(billing: Billing) -> UUID:
    return created(billing)


class Counting(httpx.HTTPTransport):
    """Counts the requests to the API, and fails while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []
        self.away = False
        # What a batch of one charge is answered.
        self.refused: dict[str, Any] | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/v1"):
            self.paths.append(f"{request.method} {request.url.path.rpartition('/')[2]}")
            if self.away:
                raise httpx.ConnectError("away")
            if self.refused is not None and request.url.path.endswith("/charges/batch"):
                item = {"status": self.refused["status"], "error": self.refused}
                return httpx.Response(200, json={"results": [item]})
        return super().handle_request(request)


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def gateway(url: str, counting: Counting) -> Iterator[Billing]:
    auth = credentials(url, None, "gateway", "a secret", EVERYTHING)
    retries = Retries(attempts=2, first_wait_seconds=0)
    with Billing(url, auth, retries=retries, transport=counting) as client:
        yield client


def test_calls_within_a_lease_need_no_round_trip(
    gateway: Billing, counting: Counting, billing: Billing, organization: UUID
) -> None:
    with SpendingLease(gateway, organization, "5", settle_seconds=BY_HAND, team_id="red") as lease:
        for number in range(100):
            lease.reserve("0.02", f"call-{number}").capture(USAGE, **CHAT)
        assert counting.paths == ["POST holds"]
        assert Ledger(billing, organization).held_usd == "5.00"
    charges = Ledger(billing, organization).charges
    assert {charge.request_id for charge in charges} == {f"call-{number}" for number in range(100)}
    assert {(charge.team_id, charge.tokens) for charge in charges} == {("red", 120)}
    assert counting.paths.count("POST batch") == 1
    assert Ledger(billing, organization).held_usd == "0.00"


def test_a_call_that_is_made_again_by_its_id_takes_its_part_of_the_lease_once(
    gateway: Billing, billing: Billing, organization: UUID
) -> None:
    with SpendingLease(gateway, organization, "5", settle_seconds=BY_HAND) as lease:
        for _ in range(3):
            lease.reserve("2", "call").capture(amount_usd="0.50")
        lease.reserve("2").release()
        assert lease.account.room_usd() == 3
        lease.settle()
        assert lease.account.room_usd() == 5
    assert billing.get_balance(organization).balance_usd == 25


def test_a_lease_settles_by_itself(gateway: Billing, billing: Billing, organization: UUID) -> None:
    with SpendingLease(gateway, organization, "5", settle_seconds=0.01) as lease:
        lease.reserve("0.02").capture(amount_usd="0.01")
        wait_until(lambda: billing.get_balance(organization).balance_usd == Decimal("25.49"))


def test_a_lease_that_is_used_up_is_settled_and_extended(
    gateway: Billing, counting: Counting, billing: Billing, organization: UUID
) -> None:
    with SpendingLease(gateway, organization, "1", settle_seconds=BY_HAND) as lease:
        for _ in range(10):
            lease.reserve("0.25").capture(amount_usd="0.25")
        assert counting.paths.count("POST batch") == 2
        assert lease.account.room_usd() == Decimal("0.5")
    assert billing.get_balance(organization).balance_usd == 23


def test_a_call_larger_than_the_lease_is_held_for(
    gateway: Billing, billing: Billing, organization: UUID
) -> None:
    with SpendingLease(gateway, organization, "1", settle_seconds=BY_HAND) as lease:
        lease.reserve("7").capture(amount_usd="6.5")
    assert billing.get_balance(organization).balance_usd == 19


def test_a_lease_takes_what_there_is_and_refuses_what_there_is_not(
    gateway: Billing, billing: Billing
) -> None:
    poor = created(billing, "0.30")
    with SpendingLease(gateway, poor, "5", settle_seconds=BY_HAND) as lease:
        first, second = lease.reserve("0.1"), lease.reserve("0.1")
        with pytest.raises(errors.InsufficientCredits):
            lease.reserve("0.2")
        first.release()
        second.capture(amount_usd="0.05")
        lease.reserve("0.25").capture(amount_usd="0.25")
        with pytest.raises(errors.InsufficientCredits):
            lease.reserve("0.01")
    assert billing.get_balance(poor).balance_usd == 0


def test_a_call_that_costs_more_than_was_reserved_is_charged_whole(
    gateway: Billing, billing: Billing
) -> None:
    """Also when there is no credit left for it: the call was made."""
    poor = created(billing, "1")
    with SpendingLease(gateway, poor, "1", settle_seconds=BY_HAND) as lease:
        lease.reserve("1").capture(amount_usd="1.5")
    balance = billing.get_balance(poor)
    assert (balance.balance_usd, balance.held_usd) == (Decimal("-0.5"), Decimal(0))


def test_a_call_that_has_ended_cannot_end_again(gateway: Billing, organization: UUID) -> None:
    with SpendingLease(gateway, organization, "1", settle_seconds=BY_HAND) as lease:
        reserved = lease.reserve("0.1")
        reserved.release()
        with pytest.raises(ValueError, match="has ended already"):
            reserved.capture(amount_usd="0.1")


def test_many_threads_never_reserve_more_than_there_is(gateway: Billing, billing: Billing) -> None:
    poor = created(billing, "1")
    refused = threading.Semaphore(0)

    def call(_: int) -> bool:
        try:
            lease.reserve("0.1").capture(amount_usd="0.1")
        except errors.InsufficientCredits:
            refused.release()
            return False
        return True

    with (
        SpendingLease(gateway, poor, "0.3", settle_seconds=0.01) as lease,
        ThreadPoolExecutor(8) as threads,
    ):
        made = sum(threads.map(call, range(24)))
    assert made == 10
    assert billing.get_balance(poor).balance_usd == 0
    assert len(Ledger(billing, poor).charges) == 10


def test_what_cannot_be_settled_now_is_settled_later(
    gateway: Billing, counting: Counting, billing: Billing, organization: UUID
) -> None:
    with SpendingLease(gateway, organization, "5", settle_seconds=BY_HAND) as lease:
        lease.reserve("0.5").capture(amount_usd="0.5")
        counting.away = True
        with pytest.raises(errors.Unanswered):
            lease.settle()
        lease.reserve("0.5").capture(amount_usd="0.5")
        counting.away = False
    assert billing.get_balance(organization).balance_usd == Decimal("24.5")


def test_usage_of_a_busy_organization_is_sent_again(
    gateway: Billing, counting: Counting, billing: Billing, organization: UUID
) -> None:
    with SpendingLease(gateway, organization, "5", settle_seconds=BY_HAND) as lease:
        lease.reserve("0.5").capture(amount_usd="0.5")
        counting.refused = BUSY
        lease.settle()
        assert billing.get_balance(organization).balance_usd == Decimal("25.5")
        counting.refused = None
    assert billing.get_balance(organization).balance_usd == 25


def test_usage_of_an_organization_that_is_busy_at_the_end_is_sent_until_it_is_charged(
    gateway: Billing,
    counting: Counting,
    billing: Billing,
    organization: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            counting.refused = None

    lease = SpendingLease(gateway, organization, "5", settle_seconds=BY_HAND)
    lease.reserve("0.5").capture(amount_usd="0.5")
    counting.refused = BUSY
    monkeypatch.setattr("synaxis_billing_client.client.time.sleep", wait)
    lease.close()
    assert len(waits) == 2
    assert billing.get_balance(organization).available_usd == 25


def test_a_lease_whose_hold_has_ended_takes_another(
    gateway: Billing, billing: Billing, organization: UUID
) -> None:
    with SpendingLease(gateway, organization, "5", settle_seconds=BY_HAND) as lease:
        lease.reserve("0.5").capture(amount_usd="0.5")
        assert lease.account.hold is not None
        billing.release_hold(organization, lease.account.hold.id)
        lease.settle()
        assert Ledger(billing, organization).held_usd == "5.00"
    assert Ledger(billing, organization).holds == ["released", "released"]
    assert billing.get_balance(organization).balance_usd == 25


def test_a_lease_renews_its_hold_before_it_expires(
    gateway: Billing, counting: Counting, organization: UUID
) -> None:
    with SpendingLease(gateway, organization, "5", settle_seconds=BY_HAND) as lease:
        lease.reserve("0.5").release()
        assert not lease.account.is_due()
        lease.account.renew_at -= HOLD_SECONDS / 2
        assert lease.account.is_due()
        before = lease.account.hold
        lease.settle()
        after = lease.account.hold
        assert before is not None
        assert after is not None
        assert after.expires_at > before.expires_at
        # Long after that, as in a process that was stopped, nothing is reserved in memory alone.
        lease.account.renew_at -= HOLD_SECONDS
        lease.reserve("0.5").release()
    assert counting.paths.count("PATCH " + str(after.id)) >= 2


def test_usage_of_a_suspended_organization_waits_for_it(
    gateway: Billing, billing: Billing, organization: UUID
) -> None:
    with SpendingLease(gateway, organization, "5", settle_seconds=BY_HAND) as lease:
        lease.reserve("0.5").capture(amount_usd="0.5")
        billing.update_organization(organization, status="suspended")
        lease.settle()
        assert billing.get_balance(organization).balance_usd == Decimal("25.5")
        billing.update_organization(organization, status="active")
    assert billing.get_balance(organization).balance_usd == 25


def test_the_asynchronous_lease_does_the_same(
    url: str, billing: Billing, organization: UUID
) -> None:
    async def act(client: AsyncBilling) -> None:
        lease = AsyncSpendingLease(client, organization, "1", settle_seconds=BY_HAND)
        async with lease:
            for _ in range(10):
                (await lease.reserve("0.25")).capture(amount_usd="0.25")

    run_async(url, act)
    ledger = Ledger(billing, organization)
    assert (len(ledger.charges), ledger.held_usd) == (10, "0.00")


def _spend_and_die(url: str, organization: UUID, folder: Path | None) -> None:
    auth = credentials(url, None, "gateway", "a secret", EVERYTHING)
    journal = None if folder is None else Journal(folder)
    lease = SpendingLease(
        Billing(url, auth), organization, "5", settle_seconds=BY_HAND, journal=journal
    )
    for number in range(10):
        lease.reserve("0.1", f"call-{number}").capture(amount_usd="0.1")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("journals", [False, True])
def test_a_killed_process_loses_at_most_its_lease_and_nothing_with_a_journal(
    url: str, billing: Billing, organization: UUID, tmp_path: Path, journals: bool
) -> None:
    folder = tmp_path if journals else None
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_spend_and_die, args=(url, organization, folder))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    # The hold is there until it expires; nothing more is lost than it.
    assert Ledger(billing, organization).held_usd == "5.00"
    journal = Journal(tmp_path)
    for owed in journal.owed():
        billing.run(settle(owed, billing.steps))
        journal.done(owed.call_id)
    journal.close()
    assert len(Ledger(billing, organization).charges) == (10 if journals else 0)
    assert list(tmp_path.iterdir()) == []


def owed(organization: UUID, call_id: str, hold_id: str | None = None) -> Owed:
    return Owed(str(organization), call_id, {"amount_usd": "0.5", "description": "chat"}, hold_id)


def test_a_journal_keeps_what_is_owed_until_it_is_done(tmp_path: Path) -> None:
    organization = UUID(int=1)
    journal = Journal(tmp_path)
    first, second = owed(organization, "a"), owed(organization, "b")
    journal.add(first)
    journal.add(second)
    journal.done("a")
    # Another process takes over nothing while this one runs.
    assert Journal(tmp_path).owed() == []
    journal.close()
    assert Journal(tmp_path).owed() == [second]


def test_a_line_that_was_cut_loses_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add(owed(UUID(int=1), "a"))
    journal.close()
    [file] = tmp_path.iterdir()
    with file.open("a") as opened:
        opened.write('{"owed": {"organiz')
    assert [of.call_id for of in Journal(tmp_path).owed()] == ["a"]


@pytest.mark.parametrize("became", ["open", "released", "gone", "none", "captured"])
def test_what_is_owed_is_charged_once_whatever_became_of_its_hold(
    billing: Billing, organization: UUID, became: str
) -> None:
    hold = billing.create_hold(organization, amount_usd="0.1")
    if became == "released":
        billing.release_hold(organization, hold.id)
    if became == "captured":
        billing.capture_hold(organization, hold.id, amount_usd="0.1", description="another")
    hold_id = {"gone": str(UUID(int=7)), "none": None}.get(became, str(hold.id))
    for _ in range(2):
        billing.run(settle(owed(organization, "call", hold_id), billing.steps))
    charges = [of for of in Ledger(billing, organization).charges if of.request_id == "call"]
    assert [charge.amount_usd for charge in charges] == [Decimal("-0.5")]


def test_what_is_owed_becomes_a_debt_where_there_is_a_trace_of_credit(billing: Billing) -> None:
    poor = created(billing, "0.01")
    billing.run(settle(owed(poor, "call"), billing.steps))
    assert billing.get_balance(poor).balance_usd == Decimal("-0.49")
    with pytest.raises(errors.PaymentRequired):
        billing.run(settle(owed(poor, "another"), billing.steps))
    billing.create_topup(poor, amount_usd="10")
    billing.run(settle(owed(poor, "another"), billing.steps))
    assert billing.get_balance(poor).balance_usd == Decimal("9.01")


def test_a_file_that_was_taken_over_before_it_was_locked_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    taken: list[Path] = []

    def late(file: int, operation: int) -> None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    journal = Journal(tmp_path)
    journal.add(owed(UUID(int=1), "a"))
    journal.close()
    assert [of.call_id for of in Journal(tmp_path).owed()] == ["a"]
    assert len(taken) == 1
