"""Usage events are taken once, in any order and any number of times, and none is lost."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synaxis_billing.caller import Caller
from synaxis_billing.events import refused, usage_events
from synaxis_billing.ledger import charges
from tests.conftest import Database
from tests.support import steps
from tests.support.clock import move_clock
from tests.support.racing import at_once

SOURCE = "gateway.example.com/eu-1"


def event(subject: object, id_: str, amount_usd: str = "1", /, **more: Any) -> dict[str, Any]:
    data = {"amount_usd": amount_usd, "description": "chat completion", **more.pop("data", {})}
    known = {
        "specversion": "1.0",
        "type": "com.synaxis.usage.v1",
        "source": SOURCE,
        "id": id_,
        "subject": str(subject),
        "data": data,
    }
    return {name: of for name, of in {**known, **more}.items() if of is not None}


def take(
    db: psycopg.Connection, *events: Any, caller: Caller = steps.PLATFORM
) -> list[charges.Result]:
    return usage_events.take(db, caller, events)


def statuses(results: Sequence[charges.Result]) -> list[int]:
    return [result.status for result in results]


def codes(db: psycopg.Connection, caller: Caller = steps.PLATFORM) -> list[tuple[str, str]]:
    """The refused events, oldest first: their ids and the reasons."""
    listed = refused.list_refused(db, caller, 100, None).items
    return [(entry.event_id, entry.code) for entry in reversed(listed)]


def ledger(db: psycopg.Connection, organization_id: UUID) -> Any:
    """What an organization's ledger says, whatever the order in which it was told."""
    balance = steps.available(db, organization_id)
    rows = db.execute(
        "SELECT k.key, t.amount_usd, t.request_id, t.model, t.occurred_at"
        " FROM billing.credit_transactions AS t JOIN billing.idempotency AS k"
        " ON k.organization_id = t.organization_id AND k.result_id = t.id"
        " WHERE t.organization_id = %s AND t.transaction_type = 'charge' ORDER BY 1",
        [organization_id],
    ).fetchall()
    return balance, rows


def test_an_event_names_its_organization_by_either_id(database: Database) -> None:
    with database.connect() as db:
        ours = str(uuid4())
        organization_id = steps.new_organization(db, "10", external_id="customer 42")
        other = steps.new_organization(db, "10", external_id=ours)
        results = take(
            db, event(organization_id, "1"), event("customer 42", "2"), event(ours, "3", "2")
        )
    assert statuses(results) == [201, 201, 201]
    assert [str(one.transaction.organization_id) for one in results] == [  # type: ignore[union-attr]
        str(organization_id),
        str(organization_id),
        str(other),
    ]


def test_source_and_id_are_the_key(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        first = event(organization_id, "1")
        [charged] = take(db, first)
        assert isinstance(charged, charges.Charged)
        assert not charged.replayed
        # A broker that stamps each delivery anew still delivers one event.
        [again] = take(db, {**first, "time": "2026-11-01T00:00:00Z"} | _now(db))
        assert isinstance(again, charges.Charged)
        assert again.replayed
        assert again.transaction.id == charged.transaction.id
        # What separates source and id in the key is in neither.
        results = take(db, {**first, "source": "a", "id": "b c"}, {**first, "source": "a/b"})
        assert statuses(results) == [201, 201]
        [other] = take(db, event(organization_id, "1", "2"))
        assert isinstance(other, charges.Refused)
        assert other.error["code"] == "idempotency_key_reused"
        # It says something else about a call that was charged: somebody has to look.
        assert codes(db) == [("1", "idempotency_key_reused")]
        assert steps.available(db, organization_id) == Decimal(7)
        # No client's key is an event's.
        steps.charge(db, organization_id, "1", f"event {SOURCE} 1")
    assert database.audit().whole


def test_a_reused_id_is_listed_whatever_letters_its_event_has(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        take(db, event(organization_id, "1", "1"))
        take(db, {**event(organization_id, "1", "2"), "note": "a\0b"})
        assert codes(db) == [("1", "idempotency_key_reused")]


def test_a_reused_id_is_listed_until_its_call_is_charged_by_another(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "10")
        for id_ in ("1", "2"):
            take(db, event(organization_id, id_, data={"request_id": f"first {id_}"}))
            take(db, event(organization_id, id_, data={"request_id": f"second {id_}"}))
        reused = "idempotency_key_reused"
        assert codes(db) == [("1", reused), ("2", reused)]
        # The event that was charged comes again: that says nothing of the other.
        take(db, event(organization_id, "1", data={"request_id": "first 1"}))
        assert codes(db) == [("1", reused), ("2", reused)]
        assert statuses(take(db, event(organization_id, "3", data={"request_id": "second 1"}))) == [
            201
        ]
        assert codes(db) == [("2", reused)]
        # Its time would be too late.
        move_clock(admin, usage_events.LATEST)
        assert codes(db) == []
        assert steps.available(db, organization_id) == Decimal(7)
    assert database.audit().whole


def _now(db: psycopg.Connection) -> dict[str, str]:
    row = db.execute("SELECT billing.now()").fetchone()
    assert row
    return {"time": row[0].isoformat()}


def _ago(db: psycopg.Connection, interval: str) -> dict[str, str]:
    row = db.execute("SELECT billing.now() - %s::interval", [interval]).fetchone()
    assert row
    return {"time": row[0].isoformat()}


def test_a_late_event_is_booked_now_with_its_own_time(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        before = _now(db)["time"]
        late = _ago(db, "34 days 23 hours")
        [charged] = take(db, event(organization_id, "1", **late))
    assert isinstance(charged, charges.Charged)
    assert charged.transaction.occurred_at is not None
    assert charged.transaction.occurred_at.isoformat() == late["time"]
    assert charged.transaction.created_at.isoformat() >= before


def test_an_event_that_is_too_late_is_refused_and_kept(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        too_late = event(organization_id, "late", **_ago(db, "35 days 1 hour"))
        [result, charged] = take(db, too_late, event(organization_id, "1"))
        assert isinstance(result, charges.Refused)
        assert (result.status, result.error["code"]) == (422, "event_too_late")
        assert charged.status == 201
        assert codes(db) == [("late", "event_too_late")]
        [entry] = refused.list_refused(db, steps.PLATFORM, 100, None).items
        assert entry.event == too_late
        assert entry.organization_id == organization_id
        # Somebody decides that it is charged all the same, and the entry is gone.
        del too_late["time"]
        assert statuses(take(db, too_late)) == [201]
        assert codes(db) == []
        assert steps.available(db, organization_id) == Decimal(8)


def test_an_event_that_was_taken_in_time_is_answered_as_before_when_it_is_late(
    database: Database,
) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        known = event(organization_id, "1", **_ago(db, "34 days"))
        [first] = take(db, known)
        [again] = take(db, {**known, **_ago(db, "36 days")})
        assert isinstance(first, charges.Charged)
        assert isinstance(again, charges.Charged)
        assert again.transaction.id == first.transaction.id
        assert codes(db) == []


def test_an_event_of_the_future_is_refused(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        [soon, never] = take(
            db,
            event(organization_id, "1", **_ago(db, "-4 minutes")),
            event(organization_id, "2", **_ago(db, "-6 minutes")),
        )
    assert (soon.status, never.status) == (201, 400)
    assert isinstance(never, charges.Refused)
    assert never.error["errors"][0]["pointer"] == "/1/time"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"specversion": "0.3"}, "/0/specversion"),
        ({"type": "com.example.other"}, "/0/type"),
        ({"source": None}, "/0/source"),
        ({"source": "a b"}, "/0/source"),
        ({"source": "x" * 256}, "/0/source"),
        ({"id": ""}, "/0/id"),
        ({"id": "a\x00b"}, "/0/id"),
        ({"subject": None}, "/0/subject"),
        ({"time": "yesterday"}, "/0/time"),
        ({"datacontenttype": "text/xml"}, "/0/datacontenttype"),
        ({"data": {"amount_usd": "-1"}}, "/0/data/amount_usd"),
        ({"data": {"amount_usd": 1.5}}, "/0/data/amount_usd"),
        ({"data": {"organization_id": str(uuid4())}}, "/0/data/organization_id"),
        ({"data": {"a\x00b": 1}}, "/0/data/a\x00b"),
    ],
)
def test_an_invalid_event_names_its_field_and_affects_no_other(
    database: Database, change: dict[str, Any], pointer: str
) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        [bad, good] = take(db, event(organization_id, "1", **change), event(organization_id, "2"))
        assert isinstance(bad, charges.Refused)
        assert bad.error["errors"][0]["pointer"] == pointer
        assert (bad.status, good.status) == (400, 201)
        # It is kept if it can be named.
        named = "source" not in change and "id" not in change
        assert codes(db) == ([("1", "invalid_request")] if named else [])


@pytest.mark.parametrize("raw", [None, 1, "event", [], {}, {"source": 1, "id": []}])
def test_what_is_no_event_is_refused(database: Database, raw: Any) -> None:
    with database.connect() as db:
        [result] = take(db, raw)
        assert result.status == 400
        assert codes(db) == []


def test_extension_attributes_are_taken(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        extended = event(
            organization_id, "1", traceparent="00-1", datacontenttype="application/json"
        )
        assert statuses(take(db, extended)) == [201]


def test_what_the_credit_does_not_cover_is_kept_until_it_does(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "1")
        uncovered = event(organization_id, "1", "2")
        for times in (1, 2):
            assert statuses(take(db, uncovered)) == [402]
            [entry] = refused.list_refused(db, steps.PLATFORM, 100, None).items
            assert (entry.code, entry.times) == ("insufficient_credits", times)
            assert entry.error["deficit_usd"] == "1.00"
        steps.top_up(db, organization_id, "1")
        assert statuses(take(db, uncovered)) == [201]
        assert codes(db) == []


def test_an_event_of_nobody_is_kept_until_there_is_somebody(database: Database) -> None:
    with database.connect() as db:
        early = event("customer-1", "1", "0")
        assert statuses(take(db, early, early)) == [404, 404]
        [entry] = refused.list_refused(db, steps.PLATFORM, 100, None).items
        assert (entry.organization_id, entry.subject) == (None, "customer-1")
        steps.new_organization(db, external_id="customer-1")
        assert statuses(take(db, early)) == [201]
        assert codes(db) == []


def test_a_tenant_reports_for_itself_alone(database: Database) -> None:
    with database.connect() as db:
        ours = steps.new_organization(db, "10", external_id="ours")
        theirs = steps.new_organization(db, "10", external_id="theirs")
        tenant = Caller(tenant=str(ours), subject="ours")
        other = Caller(tenant=str(theirs), subject="theirs")
        results = take(
            db, event("ours", "1"), event("theirs", "2"), event(theirs, "3"), caller=tenant
        )
        assert statuses(results) == [201, 404, 404]
        assert {id_ for id_, _ in codes(db, tenant)} == {"2", "3"}
        assert codes(db, other) == []
        assert steps.available(db, theirs) == Decimal(10)


def test_a_call_that_was_charged_by_another_key_is_no_loss(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        steps.charge(db, organization_id, "1", request_id="chatcmpl-1")
        [result] = take(db, event(organization_id, "1", data={"request_id": "chatcmpl-1"}))
        assert result.status == 409
        assert codes(db) == []
        assert steps.available(db, organization_id) == Decimal(9)


def test_usage_without_a_price_waits_with_its_time(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        data = {
            "usage": {"format": "otel", "gen_ai.usage.input_tokens": 10},
            "provider": "nobody",
            "model": "none",
            "amount_usd": None,
        }
        kept = event(organization_id, "1", data=data)
        del kept["data"]["amount_usd"]
        assert statuses(take(db, kept, kept)) == [202, 202]
        assert codes(db) == []


def test_one_event_in_two_deliveries_at_once_is_charged_once(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")

    def deliver(db: psycopg.Connection) -> list[int]:
        return statuses(take(db, *(event(organization_id, str(n)) for n in (1, 2, 3))))

    assert at_once(database, *[deliver] * 4) == [[201, 201, 201]] * 4
    with database.connect() as db:
        assert steps.available(db, organization_id) == Decimal(7)
    assert database.audit().whole


# Few amounts and models; the ids tell the events apart.
_reported = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(["0", "0.1", "2.5"]), st.sampled_from(["m", "n"])),
    min_size=1,
    max_size=8,
)


@st.composite
def _deliveries(draw: Any) -> tuple[list[Any], list[list[int]]]:
    """What was reported, and deliveries in which each of it is at least once."""
    reported = draw(_reported)
    places = [*range(len(reported)), *draw(st.lists(st.integers(0, len(reported) - 1), max_size=8))]
    order = draw(st.permutations(places))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=4)) | {len(order)})
    return reported, [order[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]


def test_any_order_repetition_and_split_gives_one_ledger(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:

        @settings(max_examples=40)
        @given(_deliveries())
        def check(drawn: tuple[list[Any], list[list[int]]]) -> None:
            reported, deliveries = drawn
            ledgers = []
            for parts in ([list(range(len(reported)))], deliveries):
                owners = [steps.new_organization(db, "100") for _ in range(2)]
                events = [
                    event(
                        owners[owner], f"e{n}", amount, data={"model": model, "request_id": f"r{n}"}
                    )
                    for n, (owner, amount, model) in enumerate(reported)
                ]
                for part in parts:
                    assert set(statuses(take(db, *(events[n] for n in part)))) <= {201}
                ledgers.append([ledger(admin, owner) for owner in owners])
            assert ledgers[0] == ledgers[1]

        check()
        assert codes(db) == []
    assert database.audit().whole


def test_an_erasure_empties_refused_events(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db)
        take(db, event(organization_id, "1", data={"end_user": "someone"}))
        steps.erase(db, organization_id)
        [entry] = refused.list_refused(db, steps.PLATFORM, 100, None).items
        assert (entry.event, entry.error) == (None, {})
        assert (entry.event_id, entry.code) == ("1", "insufficient_credits")


def test_the_list_has_pages(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db)
        take(db, *(event(organization_id, f"{n:02}") for n in range(25)))
        found: list[str] = []
        cursor = None
        while True:
            page = refused.list_refused(db, steps.PLATFORM, 10, cursor)
            found += [entry.event_id for entry in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert sorted(found) == [f"{n:02}" for n in range(25)]
    assert len(set(found)) == 25
