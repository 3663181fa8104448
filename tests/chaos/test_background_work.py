"""Month end, usage events and webhooks come to their end while the functions that do them die."""

import contextlib
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from synaxis_billing.events.refused import key_of
from tests.chaos import load, outages
from tests.chaos.oracle import Operation, Oracle
from tests.chaos.outages import PAUSE_SECONDS, Product
from tests.chaos.seeds import EVERYTHING, new_seed
from tests.support.clock import move_clock, set_clock
from tests.support.receiver import Receiver, receiving
from tests.support.running import Client, wait_until

PLANS = 3
# Organizations beside those of the load.
BILLED = 40 if EVERYTHING else 12
CROSSINGS = 12 if EVERYTHING else 4
EVENTS = 60 if EVERYTHING else 20
LEAST_KILLS = 3
# Longer than the lease of a delivery, and than the first delays.
LATER = timedelta(minutes=20)


@pytest.fixture(scope="module")
def product(new_home: Callable[[], Path]) -> Iterator[Product]:
    product = Product(new_home())
    yield product
    product.close()


@contextlib.contextmanager
def _killing(product: Product, seed: str, *names: str) -> Iterator[list[int]]:
    """Kill containers of some functions again and again; yield the number for each time."""
    ended, rng = threading.Event(), random.Random(seed)
    killed: list[int] = []

    def kill() -> None:
        while not ended.wait(PAUSE_SECONDS):
            killed.append(outages.kill_worker(product, rng, rng.choice(names)))

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        ended.set()
        killer.join()


def _invoke(client: Client, name: str, event: Any) -> None:
    """Invoke a function as a schedule does: nobody looks at its failure."""
    client.post(f"/_local/invoke/{name}", event)


def _post(client: Client, path: str, body: Any, key: str) -> None:
    assert client.post(path, body, key).status_code == 201


def test_a_month_that_is_planned_thrice_at_once_is_billed_once_while_its_workers_die(
    product: Product,
) -> None:
    seed, oracle = new_seed(), Oracle()
    with product.connect() as admin, contextlib.closing(Client(product.url)) as client:
        boundary = _next_month(admin)
        set_clock(admin, boundary - timedelta(minutes=1))
        for number in range(BILLED):
            path = client.new_organization("10")
            _post(
                client, f"{path}/charges", {"amount_usd": "1", "description": "chat"}, f"{number}"
            )
        paths = load.new_organizations(product.url)
        clients = load.Load(product.url, paths, oracle, seed, holds_expire=True)
        with clients.running():
            # The month ends in the midst of the load.
            wait_until(lambda: oracle.acknowledged().total() > 100)
            set_clock(admin, boundary - timedelta(seconds=1))
            wait_until(lambda: _now(admin) > boundary + timedelta(seconds=1))
            before = oracle.acknowledged().total()
            wait_until(lambda: oracle.acknowledged().total() > before + 100)
        month = (boundary - timedelta(days=1)).strftime("%Y-%m")
        # It has ended everywhere.
        set_clock(admin, boundary + timedelta(days=1))
        with _killing(product, seed, "plan.handler", "bill.handler") as killed:
            plans = [
                threading.Thread(
                    target=_invoke, args=(client, "MonthEndPlanFunction", {"month": month})
                )
                for _ in range(PLANS)
            ]
            for plan in plans:
                plan.start()
            for plan in plans:
                plan.join()
            wait_until(lambda: sum(killed) >= LEAST_KILLS or not _pending(client, month))

        def is_billed() -> bool:
            _invoke(client, "MonthEndPlanFunction", {"month": month})
            return not _pending(client, month)

        wait_until(is_billed)
        print(f"{sum(killed)} killed, {client.get(f'/v1/month-end/{month}').json()}")
        wait_until(lambda: outages.is_idle(admin))
        _assert_billed(admin, boundary)
        assert oracle.verify(admin) == []
    assert sum(killed) > 0


def _next_month(admin: psycopg.Connection) -> datetime:
    [(boundary,)] = admin.execute(
        "SELECT date_trunc('month', billing.now() + interval '1 month', 'UTC')"
    ).fetchall()
    assert isinstance(boundary, datetime)
    return boundary


def _now(admin: psycopg.Connection) -> datetime:
    [(now,)] = admin.execute("SELECT billing.now()").fetchall()
    assert isinstance(now, datetime)
    return now


def _pending(client: Client, month: str) -> int:
    progress = client.get(f"/v1/month-end/{month}").raise_for_status().json()
    return int(progress["pending"]) + int(progress["failed"]) or int(not progress["organizations"])


def _assert_billed(admin: psycopg.Connection, boundary: datetime) -> None:
    """Each organization has one invoice, of what was taken from it before the month ended, and no
    number is left out."""
    used: dict[Any, Decimal] = dict(
        admin.execute(
            "SELECT organization_id, -sum(amount_usd) FROM billing.credit_transactions"
            " WHERE created_at < %s AND (transaction_type IN ('charge', 'refund')"
            " OR transaction_type = 'adjustment' AND amount_usd < 0)"
            " GROUP BY organization_id",
            [boundary],
        ).fetchall()
    )
    billed = admin.execute(
        "SELECT organization_id, subtotal_usd FROM billing.invoices WHERE kind = 'usage'"
    ).fetchall()
    assert sorted(billed) == sorted(used.items())
    numbers: dict[str, list[int]] = {}
    for (number,) in admin.execute("SELECT invoice_number FROM billing.invoices"):
        series, last = re.fullmatch(r"(.*?)(\d+)", number).groups()  # type: ignore[union-attr]
        numbers.setdefault(series, []).append(int(last))
    for found in numbers.values():
        assert sorted(found) == list(range(1, len(found) + 1))


def test_each_usage_event_is_charged_once_among_poison_while_its_consumers_die(
    product: Product,
) -> None:
    seed, oracle = new_seed(), Oracle()
    with product.connect() as admin, contextlib.closing(Client(product.url)) as client:
        path = client.new_organization()
        id_ = path.rpartition("/")[2]
        bought = Operation("topup", id_, "credit", Decimal(1000))
        answer = client.post(f"{path}/topups", {"amount_usd": "1000"}, oracle.expect(bought).key)
        oracle.record(bought, answer.status_code, answer.json())
        events = [_usage_event(id_, f"{seed} {number}") for number in range(EVENTS)]
        for event in events:
            key = key_of("load", event["id"])
            oracle.expect(Operation("usage event", id_, key, Decimal(-1)))

        def send() -> None:
            """Send them all, each beside one that is none, as a sender that was told nothing."""
            for event in events:
                for body in (event, {**event, "id": f"bad {event['id']}", "data": "poison"}):
                    client.post(f"{path}/usage-events", body).raise_for_status()

        with _killing(product, seed, "consume.handler") as killed:
            send()
            wait_until(lambda: sum(killed) >= LEAST_KILLS)

        def are_charged() -> bool:
            return _count(admin, "credit_transactions", id_) == 1 + EVENTS

        # What a queue gave up, its sender sends again.
        send()
        wait_until(are_charged)
        wait_until(lambda: _count(admin, "refused_events", id_) == EVENTS)
        print(f"{sum(killed)} killed, {EVENTS} events")
        wait_until(lambda: outages.is_idle(admin))
        assert oracle.verify(admin) == []


def _usage_event(organization_id: str, id_: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "com.synaxis.usage.v1",
        "source": "load",
        "id": id_,
        "subject": organization_id,
        "time": datetime.now(UTC).isoformat(),
        "data": {"amount_usd": "1", "description": "chat"},
    }


def _count(admin: psycopg.Connection, table: LiteralString, organization_id: str) -> int:
    [(count,)] = admin.execute(
        f"SELECT count(*) FROM billing.{table} WHERE organization_id = %s", [organization_id]
    ).fetchall()
    return int(count)


def test_every_event_arrives_at_least_once_with_one_id_while_its_senders_die(
    product: Product,
) -> None:
    seed = new_seed()
    with (
        receiving() as receiver,
        product.connect() as admin,
        contextlib.closing(Client(product.url)) as client,
    ):
        paths = [client.new_organization(low_balance_threshold_usd="5") for _ in range(3)]
        for path in paths:
            made = client.post(f"{path}/webhook-endpoints", {"url": receiver.url})
            assert made.status_code == 201, made.text
        senders = ("dispatch.handler", "send.handler", "record.handler")
        with _killing(product, seed, *senders) as killed:
            for number in range(CROSSINGS):
                for path in paths:
                    _post(client, f"{path}/topups", {"amount_usd": "9"}, f"up {number}")
                    charge = {"amount_usd": "9", "description": "chat"}
                    _post(client, f"{path}/charges", charge, f"down {number}")
                _invoke(client, "WebhookDispatchFunction", {})
                time.sleep(PAUSE_SECONDS)
            wait_until(lambda: sum(killed) >= LEAST_KILLS)
        ids = [path.rpartition("/")[2] for path in paths]
        rows = admin.execute(
            "SELECT id FROM billing.webhook_events WHERE organization_id = ANY (%s)", [ids]
        )
        events = {str(id_) for (id_,) in rows}

        def have_arrived() -> bool:
            move_clock(admin, LATER)
            _invoke(client, "WebhookDispatchFunction", {})
            time.sleep(PAUSE_SECONDS * 5)
            return _received(receiver).keys() >= events

        wait_until(have_arrived)
        received = _received(receiver)
        print(f"{sum(killed)} killed, {len(events)} events, {len(receiver.received)} requests")
        wait_until(lambda: outages.is_idle(admin))
    assert len(events) >= CROSSINGS * len(paths)
    # Nothing else arrives, and each id says the same each time.
    assert received.keys() == events
    assert {id_: len(bodies) for id_, bodies in received.items() if len(bodies) > 1} == {}


def _received(receiver: Receiver) -> dict[str, set[str]]:
    """The bodies that came with each id."""
    found: dict[str, set[str]] = {}
    for one in list(receiver.received):
        found.setdefault(one.headers["webhook-id"], set()).add(one.body)
    return found
