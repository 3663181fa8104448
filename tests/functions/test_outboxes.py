"""What a change leaves to be sent is sent row by row: one that is refused delays no other."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from confluent_kafka import KafkaError

from synaxis_billing.edge.aws import bus, queue
from synaxis_billing.invoices import month_end
from synaxis_billing.organizations import profile
from synaxis_billing.webhooks import delivery, endpoints
from synaxis_billing.webhooks.endpoints import NewWebhookEndpoint
from tests.conftest import Database
from tests.support.events import Invoke
from tests.support.steps import PLATFORM, charge, new_organization

MONTH = datetime.now(UTC).strftime("%Y-%m")


class Peer:
    """A queue, a topic or a broker, which refuses messages that contain `refuses`, and a whole
    batch for one of them; or that cannot be reached."""

    def __init__(self) -> None:
        self.refuses = ""
        self.reached = True
        self.taken: list[str] = []
        self._batch: list[tuple[str, Callable[[Any, Any], None]]] = []

    def send_message_batch(self, **asked: Any) -> dict[str, Any]:
        self._take([entry["MessageBody"] for entry in asked["Entries"]], "BatchRequestTooLong")
        return {"Successful": []}

    def publish(self, **asked: Any) -> None:
        self._take([asked["Message"]], "InvalidParameter")

    def _take(self, bodies: Sequence[str], code: str) -> None:
        if not self.reached:
            raise EndpointConnectionError(endpoint_url="https://example.com")
        if any(self.refuses and self.refuses in body for body in bodies):
            raise ClientError({"Error": {"Code": code, "Message": ""}}, "Send")
        self.taken += bodies

    def produce(self, _topic: str, key: bytes, value: bytes, on_delivery: Any) -> None:
        assert key
        self._batch.append((value.decode(), on_delivery))

    def flush(self, _seconds: float) -> None:
        batch, self._batch = self._batch, []
        if not self.reached:
            return
        refused = any(self.refuses and self.refuses in value for value, _ in batch)
        for value, delivered in batch:
            delivered(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE) if refused else None, None)
            self.taken += [] if refused else [value]

    def took(self, organizations: Sequence[UUID]) -> set[UUID]:
        """Those of the organizations that it has a message of."""
        return {one for one in organizations if any(str(one) in body for body in self.taken)}


@pytest.fixture
def db(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Peer:
    made = Peer()

    def producer() -> Peer:
        return made

    producer.cache_clear = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setattr(queue, "_client", lambda _url: made)
    monkeypatch.setattr(bus, "_sns", lambda: made)
    monkeypatch.setattr(bus, "_producer", producer)
    return made


def rename(db: psycopg.Connection) -> UUID:
    made = new_organization(db)
    profile.update_organization(db, PLATFORM, made, profile.OrganizationChange(name="New"))
    return made


def alert(db: psycopg.Connection) -> UUID:
    made = new_organization(db, "10", low_balance_threshold_usd="5")
    request = NewWebhookEndpoint(url="https://hooks.example.com/")
    endpoints.create_endpoint(db, PLATFORM, made, request, private=True)
    charge(db, made, "6")
    return made


def of_invalidations(db: psycopg.Connection, organization_id: UUID) -> set[str | None]:
    listed = db.execute(
        "SELECT error FROM billing.invalidations WHERE tenant = %s", [organization_id]
    )
    return {row[0] for row in listed}


def of_webhooks(db: psycopg.Connection, organization_id: UUID) -> set[str | None]:
    listed = endpoints.list_events(db, PLATFORM, organization_id, None, 100, None).items
    return {found.error for event in listed for found in event.deliveries}


def of_month_end(db: psycopg.Connection, organization_id: UUID) -> set[str | None]:
    failures = month_end.get_progress(db, PLATFORM, MONTH).failures
    return {found.error for found in failures if found.organization_id == organization_id}


DUE = (
    "UPDATE billing.invalidations SET next_attempt_at = billing.now()"
    " WHERE next_attempt_at < 'infinity'",
    "UPDATE billing.webhook_deliveries SET next_attempt_at = billing.now()",
)
# How a row comes to be, the function that sends it, its event, and what is said of a failure.
OUTBOXES: dict[str, tuple[Any, str, Any, Any, str]] = {
    "sns": (rename, "CacheSweepFunction", {}, of_invalidations, "InvalidParameter"),
    "kafka": (rename, "CacheSweepFunction", {}, of_invalidations, "Message size too large"),
    "webhooks": (alert, "WebhookDispatchFunction", {}, of_webhooks, "BatchRequestTooLong"),
    "month end": (
        new_organization,
        "MonthEndPlanFunction",
        {"month": MONTH},
        of_month_end,
        "it was not queued: BatchRequestTooLong",
    ),
}


def configure(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "sns":
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        monkeypatch.setenv("INVALIDATION_TOPIC_ARNS", "arn:aws:sns:eu-central-1:1:cache")
    if name == "kafka":
        monkeypatch.setenv("KAFKA_BROKERS", "127.0.0.1:1")


@pytest.mark.parametrize("name", OUTBOXES)
def test_a_row_that_is_refused_delays_no_other_and_is_sent_later(
    name: str,
    invoke: Invoke,
    peer: Peer,
    database: Database,
    db: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, function, event, errors_of, reason = OUTBOXES[name]
    configure(name, monkeypatch)

    def run() -> None:
        # A plan that is not whole fails, so that its schedule repeats it.
        try:
            invoke(function, event)
        except queue.Unsent:
            assert name == "month end"

    made = [write(db) for _ in range(3)]
    poison = made[1]
    peer.refuses = str(poison)
    run()
    assert peer.took(made) == {made[0], made[2]}
    with database.admin() as admin:
        [error] = errors_of(admin if "of_inv" in errors_of.__name__ else db, poison)
        assert reason in str(error)
        before = len(peer.taken)
        if name != "month end":
            # Its delay has not passed, and nothing else waits.
            peer.refuses = ""
            run()
            assert len(peer.taken) == before
        for statement in DUE:
            admin.execute(statement.encode())
    peer.refuses = ""
    run()
    assert peer.took(made) == set(made)


def test_what_cannot_be_signed_delays_no_other(
    invoke: Invoke,
    peer: Peer,
    db: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = [alert(db) for _ in range(3)]
    sign = delivery.sign

    def picky(claimed: dict[str, Any], now: datetime) -> delivery.Signed:
        if claimed["organization_id"] == str(made[1]):
            raise ValueError("not a secret")
        return sign(claimed, now)

    monkeypatch.setattr(delivery, "sign", picky)
    assert invoke("WebhookDispatchFunction", {}) == {"sent": 2}
    assert peer.took(made) == {made[0], made[2]}
    assert of_webhooks(db, made[1]) == {"it cannot be signed (ValueError)"}
    [endpoint] = endpoints.list_endpoints(db, PLATFORM, made[1]).items
    assert endpoint.failing_since is None


@pytest.mark.parametrize("name", ["sns", "kafka"])
def test_an_invalidation_that_is_always_refused_is_set_aside_and_seen(
    name: str,
    invoke: Invoke,
    peer: Peer,
    database: Database,
    db: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure(name, monkeypatch)
    made = rename(db)
    peer.refuses = str(made)
    with database.admin() as admin:
        for attempts in range(1, 7):
            invoke("CacheSweepFunction", {})
            rows = admin.execute("SELECT DISTINCT attempts FROM billing.invalidations").fetchall()
            assert rows == [(attempts,)]
            admin.execute(DUE[0].encode())
        capfd.readouterr()
        peer.refuses = ""
        assert invoke("CacheSweepFunction", {}) == {"sent": 0}
    assert peer.took([made]) == set()
    [line] = [json.loads(line) for line in capfd.readouterr().out.splitlines() if "Swept" in line]
    assert line["InvalidationsSetAside"] == [2.0]
    assert line["InvalidationsWaiting"] == [0.0]
    assert line["InvalidationsOldest"] == [0.0]


@pytest.mark.parametrize("name", ["sns", "kafka"])
def test_a_bus_that_is_down_for_long_loses_nothing(
    name: str,
    invoke: Invoke,
    peer: Peer,
    database: Database,
    db: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure(name, monkeypatch)
    made = rename(db)
    peer.reached = False
    with database.admin() as admin:
        admin.execute("UPDATE billing.invalidations SET created_at = created_at - interval '1 day'")
        for _ in range(12):
            capfd.readouterr()
            invoke("CacheSweepFunction", {})
            out = capfd.readouterr().out
            [line] = [json.loads(line) for line in out.splitlines() if "Swept" in line]
            assert line["InvalidationsWaiting"] == [2.0]
            assert line["InvalidationsOldest"][0] > 24 * 3600
            rows = admin.execute(
                "SELECT max(next_attempt_at) <= billing.now() + interval '5 minutes'"
                " FROM billing.invalidations"
            ).fetchall()
            assert rows == [(True,)]
            admin.execute(DUE[0].encode())
        peer.reached = True
        invoke("CacheSweepFunction", {})
        assert peer.took([made]) == {made}
        assert admin.execute("SELECT count(*) FROM billing.invalidations").fetchall() == [(0,)]


def test_a_batch_is_no_larger_than_a_queue_takes(peer: Peer) -> None:
    sizes: list[int] = []
    take = peer._take

    def measured(bodies: Sequence[str], code: str) -> None:
        sizes.append(sum(len(body.encode()) for body in bodies))
        take(bodies, code)

    peer._take = measured  # type: ignore[method-assign]
    bodies = ["😀" * 15_000] * 25
    assert queue.send("https://sqs.eu-central-1.amazonaws.com/1/q", bodies) == {}
    assert len(peer.taken) == 25
    assert max(sizes) <= queue.LARGEST_BATCH_BYTES
