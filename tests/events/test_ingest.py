"""A broker's messages are taken once, in the order of each group, and no event holds up others."""

import base64
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaxis_billing import procedures
from synaxis_billing.edge.aws import deliveries
from synaxis_billing.errors import TooManyRequests
from synaxis_billing.events import ingest, refused, usage_events
from synaxis_billing.ledger import charges
from tests.conftest import Database
from tests.events.test_usage_events import codes, event, ledger
from tests.ledger.test_turns import full
from tests.support import steps

QUEUE = "arn:aws:sqs:eu-central-1:123456789012:UsageQueue.fifo"


def message(id_: str, group: object, *events: Any) -> ingest.Message:
    return ingest.Message(id_, QUEUE, str(group), list(events))


def consume(db: psycopg.Connection, *messages: ingest.Message) -> ingest.Taken:
    return ingest.consume(lambda: db, steps.PLATFORM, messages)


def record(id_: str, body: str, group: str = "g", **more: Any) -> dict[str, Any]:
    known = {
        "messageId": id_,
        "body": body,
        "attributes": {"MessageGroupId": group},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": QUEUE,
    }
    return {**known, **more}


def test_messages_of_many_organizations_become_one_batch(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    book = usage_events.book

    def counted(db: Any, caller: Any, raws: Any) -> Any:
        sizes.append(len(raws))
        return book(db, caller, raws)

    monkeypatch.setattr(usage_events, "book", counted)
    with database.connect() as db:
        owners = [steps.new_organization(db, "300") for _ in range(2)]
        messages = [
            message(f"m{n}", owners[n % 2], *(event(owners[n % 2], f"{n}-{i}") for i in range(120)))
            for n in range(10)
        ]
        taken = consume(db, *messages)
        assert (len(taken.results), taken.failed, taken.errors) == (1200, [], [])
        # The credit of each ends with its 300th event, in the order of its messages.
        assert [steps.available(db, owner) for owner in owners] == [0, 0]
        assert len(refused.list_refused(db, steps.PLATFORM, 100, None).items) == 100
    assert sizes == [1000, 200]
    assert database.audit().whole


def test_what_is_no_event_is_kept_and_holds_nothing_up(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        batch = {
            "Records": [
                record("1", "no JSON"),
                record("2", json.dumps(event(organization_id, "good"))),
                record("3", json.dumps([{"id": 1}, event(organization_id, "better"), None])),
                record("4", "[]"),
            ]
        }
        taken = consume(db, *deliveries.read(batch))
        assert taken.failed == []
        kept = refused.list_refused(db, steps.PLATFORM, 100, None).items
        assert {(entry.source, entry.event_id, entry.code) for entry in kept} == {
            (QUEUE, "1/0", "invalid_request"),
            (QUEUE, "3/0", "invalid_request"),
            (QUEUE, "3/2", "invalid_request"),
        }
        assert [entry.event for entry in kept if entry.event_id == "1/0"] == ["no JSON"]
        assert steps.available(db, organization_id) == Decimal(8)


def fail_for(
    monkeypatch: pytest.MonkeyPatch, marked: Callable[[dict[str, Any]], bool], error: Exception
) -> None:
    """Have a batch fail that has a marked charge."""
    charge_all = charges.charge_all

    def failing(db: Any, caller: Any, items: Sequence[dict[str, Any]]) -> Any:
        if any(map(marked, items)):
            raise error
        return charge_all(db, caller, items)

    monkeypatch.setattr(charges, "charge_all", failing)


def test_an_event_that_cannot_be_stored_is_refused_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_for(
        monkeypatch,
        lambda charge: charge["description"] == "poison",
        psycopg.errors.NumericValueOutOfRange(),
    )
    with database.connect() as db:
        organization_id = steps.new_organization(db, "100")
        events = [event(organization_id, f"{n}") for n in range(20)]
        events[7] = event(organization_id, "7", data={"description": "poison"})
        messages = [message(f"m{n}", "g", *events[n * 5 : n * 5 + 5]) for n in range(4)]
        taken = consume(db, *messages)
        assert (taken.failed, taken.errors) == ([], [])
        assert codes(db) == [("7", "invalid_request")]
        assert steps.available(db, organization_id) == Decimal(81)


def test_an_event_that_breaks_the_consumer_stops_its_group_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_for(monkeypatch, lambda charge: charge["description"] == "bug", RuntimeError("bug"))
    with database.connect() as db:
        one, other = (steps.new_organization(db, "100") for _ in range(2))
        bug = event(one, "2", data={"description": "bug"})
        taken = consume(
            db,
            message("a", one, event(one, "1"), bug),
            message("b", other, event(other, "1"), event(other, "2")),
            message("c", one, event(one, "3")),
            message("d", other, event(other, "3")),
        )
        # The queue delivers these again, and puts them among its dead letters in the end.
        assert taken.failed == ["a", "c"]
        assert [str(error) for error in taken.errors] == ["bug"]
        assert steps.available(db, one) == Decimal(99)
        assert steps.available(db, other) == Decimal(97)


@pytest.mark.parametrize("error", [psycopg.errors.LockNotAvailable(), TooManyRequests()])
def test_an_organization_that_is_busy_does_not_hold_up_others(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with database.connect() as db:
        busy, idle = (steps.new_organization(db, "100") for _ in range(2))
        fail_for(monkeypatch, lambda charge: charge["organization_id"] == str(busy), error)
        taken = consume(
            db,
            message("a", busy, event(busy, "1")),
            message("b", idle, event(idle, "1")),
            message("c", busy, event(busy, "2")),
        )
        assert (taken.failed, taken.errors) == (["a", "c"], [])
        assert steps.available(db, idle) == Decimal(99)


def test_a_batch_goes_on_without_a_busy_organization_whose_events_come_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procedures, "PATIENCE_SECONDS", 0)
    with database.connect() as db:
        busy, idle = (steps.new_organization(db, "100") for _ in range(2))
        delivery = [
            message("a", busy, event(busy, "1")),
            message("b", idle, event(idle, "1")),
            message("c", busy, event(busy, "2")),
        ]
        with full(database, busy):
            taken = consume(db, *delivery)
        assert (taken.failed, taken.errors) == (["a", "c"], [])
        assert steps.available(db, idle) == Decimal(99)
        # It is no refusal that somebody has to look at.
        assert codes(db) == []
        before = steps.available(db, busy)
        assert consume(db, *delivery).failed == []
        assert steps.available(db, busy) == before - 2
        assert steps.available(db, idle) == Decimal(99)


def test_without_a_database_everything_is_delivered_again() -> None:
    def away() -> psycopg.Connection:
        raise psycopg.OperationalError("away")

    messages = [message("a", "1", {}), message("b", "2", {})]
    taken = ingest.consume(away, steps.PLATFORM, messages)
    assert (taken.results, taken.failed, taken.errors) == ([], ["a", "b"], [])
    unreadable = deliveries.read({"Records": [record("1", "no JSON")]})
    assert ingest.consume(away, steps.PLATFORM, unreadable).failed == ["1"]


class Killed(BaseException):
    """The process ends here."""


class Dying:
    """A connection whose process is killed before or behind one of its statements."""

    def __init__(self, db: psycopg.Connection, statements: int, *, behind: bool) -> None:
        self._db, self._left, self._behind = db, statements, behind

    def execute(self, *told: Any) -> Any:
        if self._left == 0 and not self._behind:
            raise Killed
        done = self._db.execute(*told)
        if self._left == 0:
            raise Killed
        self._left -= 1
        return done


@pytest.mark.parametrize("behind", [False, True])
def test_a_consumer_that_is_killed_at_any_step_and_begins_again_charges_once(
    database: Database, *, behind: bool
) -> None:
    with database.connect() as db, database.admin() as admin:
        killed = 0
        for statement in range(20):
            organization_id = steps.new_organization(db, "4")
            delivery = [
                message("a", "g", event(organization_id, "1"), event(organization_id, "2", "9")),
                ingest.Message("b", QUEUE, "g", "no JSON", TooManyRequests()),
                message("c", "g", event(organization_id, "3"), {"id": 1}),
            ]
            dying: Any = Dying(db, statement, behind=behind)
            try:
                ingest.consume(lambda of=dying: of, steps.PLATFORM, delivery)  # type: ignore[misc]
            except Killed:
                killed += 1
            taken = consume(db, *delivery)
            assert (taken.failed, taken.errors) == ([], [])
            _, rows = ledger(admin, organization_id)
            assert [row[0].rpartition(" ")[2] for row in rows] == ["1", "3"]
            assert ("2", "insufficient_credits") in codes(db)
    # Each statement of a delivery was the last one of a process.
    assert killed >= 4
    assert database.audit().whole


_events = st.lists(st.tuples(st.integers(0, 1), st.booleans()), min_size=1, max_size=6)


@st.composite
def _runs(draw: Any) -> tuple[list[Any], list[tuple[list[list[int]], int]]]:
    """Events, and runs of the consumer: the messages of each, as the places of events, and the
    statement at which it is killed."""
    reported = draw(_events)
    places = st.lists(st.integers(0, len(reported) - 1), max_size=4)
    run = st.tuples(st.lists(places, max_size=3), st.integers(0, 8))
    return reported, draw(st.lists(run, max_size=4))


def test_any_runs_that_end_anywhere_give_one_ledger(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:

        @settings(max_examples=30)
        @given(_runs())
        def check(drawn: tuple[list[Any], list[tuple[list[list[int]], int]]]) -> None:
            reported, runs = drawn
            ledgers = []
            for told in ([], runs):
                owners = [steps.new_organization(db, "100") for _ in range(2)]
                events = [
                    event(owners[owner], f"{n}") if valid else {"id": f"{n}"}
                    for n, (owner, valid) in enumerate(reported)
                ]
                for messages, statement in told:
                    _run(
                        db, owners, [[events[n] for n in places] for places in messages], statement
                    )
                # In the end, all of it was delivered to a consumer that lives.
                _run(db, owners, [[one] for one in events], 1000)
                ledgers.append([ledger(admin, owner) for owner in owners])
            assert ledgers[0] == ledgers[1]

        check()
    assert database.audit().whole


def _run(
    db: psycopg.Connection, owners: list[UUID], messages: list[list[Any]], statement: int
) -> None:
    dying: Any = Dying(db, statement, behind=statement % 2 == 0)
    told = [message(f"m{n}", owners[n % 2], *events) for n, events in enumerate(messages)]
    try:
        assert ingest.consume(lambda: dying, steps.PLATFORM, told).failed == []
    except Killed:
        assert statement < 1000


def test_a_token_without_the_scope_charges_nothing(database: Database) -> None:
    """API Gateway puts the token's scopes beside the message; a sender of AWS needs none."""
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")

        def sent(id_: str, scope: str) -> dict[str, Any]:
            attributes = {"scope": {"stringValue": scope, "dataType": "String"}}
            body = json.dumps(event(organization_id, id_))
            return record(id_, body, messageAttributes=attributes)

        reader = sent("1", "billing:platform billing:read")
        batch = {"Records": [reader, sent("2", "billing:platform billing:charge")]}
        assert consume(db, *deliveries.read(batch)).failed == []
        assert steps.available(db, organization_id) == Decimal(9)
        assert codes(db) == [("1/0", "forbidden")]


def kinesis(number: int, key: str, told: Any) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(told).encode()).decode()
    return {
        "eventID": f"shardId-000:{number}",
        "eventSource": "aws:kinesis",
        "eventSourceARN": "arn:aws:kinesis:eu-central-1:123456789012:stream/usage",
        "kinesis": {"partitionKey": key, "sequenceNumber": f"{number}", "data": data},
    }


def kafka(*told: Any) -> dict[str, Any]:
    records = [
        {
            "topic": "usage",
            "partition": 0,
            "offset": offset,
            "value": base64.b64encode(json.dumps(one).encode()).decode(),
        }
        for offset, one in enumerate(told)
    ]
    return {"eventSource": "SelfManagedKafka", "records": {"usage-0": records}}


def test_the_same_consumer_takes_a_stream_and_a_topic(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        events = [event(organization_id, f"{n}") for n in range(3)]
        stream = {"Records": [kinesis(n, "k", one) for n, one in enumerate(events)]}
        topic = kafka([events[0], events[1]], events[2], event(organization_id, "3"))
        for batch in (stream, topic, {"Records": [record("1", json.dumps(events))]}):
            taken = consume(db, *deliveries.read(batch))
            assert deliveries.answer(batch, taken.failed) == {"batchItemFailures": []}
        assert steps.available(db, organization_id) == Decimal(6)


def test_what_failed_is_named_as_its_broker_wants_it() -> None:
    def away() -> psycopg.Connection:
        raise psycopg.OperationalError("away")

    stream = {"Records": [kinesis(7, "k", {}), kinesis(8, "k", {})]}
    failed = ingest.consume(away, steps.PLATFORM, deliveries.read(stream)).failed
    named = [{"itemIdentifier": "7"}, {"itemIdentifier": "8"}]
    assert deliveries.answer(stream, failed) == {"batchItemFailures": named}
    topic = kafka({}, {})
    failed = ingest.consume(away, steps.PLATFORM, deliveries.read(topic)).failed
    with pytest.raises(deliveries.Undelivered, match="2 messages, from usage-0:0 on"):
        deliveries.answer(topic, failed)
