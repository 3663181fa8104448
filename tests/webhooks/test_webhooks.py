"""Webhooks: recorded by the change itself, signed, delivered at least once, never to a private
address."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import WebhookVerificationError

from synaxis_billing import web
from synaxis_billing.caller import Caller
from synaxis_billing.errors import BillingError, Conflict, InvalidRequest, NotFound
from synaxis_billing.invoices import invoices
from synaxis_billing.ledger.transactions import InsufficientCredits
from synaxis_billing.organizations import profile
from synaxis_billing.organizations.profile import OrganizationChange
from synaxis_billing.webhooks import delivery, endpoints
from synaxis_billing.webhooks.delivery import Attempt, Signed
from synaxis_billing.webhooks.endpoints import (
    NewWebhookEndpoint,
    WebhookEndpointChange,
    WebhookEndpointWithSecret,
    WebhookEvent,
    WebhookReplay,
)
from synaxis_billing.webhooks.events import BODIES
from tests.conftest import Database
from tests.support.billing import cancel, credit, draft, issue, pay
from tests.support.certificates import certificate_of
from tests.support.receiver import Received, Receiver, receiving
from tests.support.steps import (
    PLATFORM,
    adjust,
    charge,
    charge_batch,
    grant,
    item,
    new_organization,
    top_up,
)

URL = "https://hooks.example.com/billing"


def last_hour() -> WebhookReplay:
    return WebhookReplay.model_validate(
        {"since": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    )


@pytest.fixture
def db(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def endpoint(
    db: psycopg.Connection,
    organization_id: UUID,
    url: str = URL,
    types: Any = (),
    private: bool = True,
) -> WebhookEndpointWithSecret:
    request = NewWebhookEndpoint.model_validate({"url": url, "types": types})
    return endpoints.create_endpoint(db, PLATFORM, organization_id, request, private=private)


def update(
    db: psycopg.Connection, of: endpoints.WebhookEndpoint, **change: Any
) -> endpoints.WebhookEndpoint:
    asked = WebhookEndpointChange.model_validate(change)
    return endpoints.update_endpoint(db, PLATFORM, of.organization_id, of.id, asked, private=False)


def events(db: psycopg.Connection, organization_id: UUID) -> list[WebhookEvent]:
    """Newest first."""
    return endpoints.list_events(db, PLATFORM, organization_id, None, 100, None).items


def types(db: psycopg.Connection, organization_id: UUID) -> list[str]:
    """Oldest first."""
    return [event.type for event in reversed(events(db, organization_id))]


def claim(db: psycopg.Connection) -> list[Signed]:
    return [one for many in delivery.claim(db, datetime.now(UTC)) for one in many]


def attempt(of: Signed, code: int | None = None, error: str | None = None) -> Attempt:
    return Attempt(
        organization_id=of.organization_id,
        event_id=of.event_id,
        endpoint_id=of.endpoint_id,
        lease=of.lease,
        status_code=code,
        error=error,
    )


def low(db: psycopg.Connection, threshold: str = "5", **profile: Any) -> UUID:
    """An organization of 10 dollars that wants to know when it has less than 5."""
    return new_organization(db, "10", low_balance_threshold_usd=threshold, **profile)


def alert(db: psycopg.Connection, organization_id: UUID) -> None:
    """Cause one event."""
    top_up(db, organization_id, "10")
    charge(db, organization_id, str(balance(db, organization_id) - 1))


def balance(db: psycopg.Connection, organization_id: UUID) -> Decimal:
    value = db.execute("SELECT billing.balance('*', %s)", [organization_id]).fetchone()
    assert value
    return Decimal(value[0]["value"]["balance_usd"])


def make_due(admin: psycopg.Connection) -> None:
    admin.execute("UPDATE billing.webhook_deliveries SET next_attempt_at = now()")


def test_every_step_of_an_invoice_is_an_event(database: Database, db: psycopg.Connection) -> None:
    acme = new_organization(db, credit_limit_usd="10", billing_currency="EUR")
    endpoint(db, acme)
    charge(db, acme, "4")
    invoice = issue(db, draft(db, acme))
    with database.admin() as admin:
        admin.execute(
            "ALTER TABLE billing.invoices DISABLE TRIGGER guard;"
            " UPDATE billing.invoices SET due_date = due_date - 40;"
            " ALTER TABLE billing.invoices ENABLE TRIGGER guard"
        )
    assert invoices.mark_overdue(lambda: db) == 1
    pay(db, invoice)
    pay(db, invoice)
    note = credit(db, invoice, "k", refund_credit=True)
    assert credit(db, invoice, "k", refund_credit=True) == note
    assert types(db, acme) == [
        *("invoice.issued", "invoice.overdue", "invoice.paid"),
        *("credit_note.issued", "invoice.cancelled"),
    ]
    cancelled, credited, *_, issued = events(db, acme)
    assert issued.data == {
        "organization_id": str(acme),
        "invoice_id": str(invoice.id),
        "invoice_number": invoice.invoice_number,
        "kind": "usage",
        "status": "issued",
        "period_start": issued.data["period_start"],
        "period_end": issued.data["period_end"],
        "total_amount_usd": "4.00",
        "billing_currency": "EUR",
        "total_amount_billing_currency": "3.68",
        "amount_due_usd": "4.00",
        "amount_due_billing_currency": "3.68",
        "due_date": str(invoice.due_date),
        "paid_at": None,
    }
    assert cancelled.data["status"] == "cancelled"
    assert credited.data["credit_note_number"] == note.credit_note_number
    assert credited.data["transaction_id"] == str(note.transaction_id)
    bodies = [json.loads(request.body) for request in claim(db)]
    assert len(bodies) == 5
    for body in bodies:
        # Exactly what the document says.
        BODIES[body["type"]].model_validate(body, extra="forbid")


def test_a_draft_is_nobodys_news(db: psycopg.Connection) -> None:
    acme = new_organization(db, "10")
    charge(db, acme, "4")
    cancel(db, draft(db, acme))
    assert events(db, acme) == []


def test_a_low_balance_is_told_once_per_crossing(db: psycopg.Connection) -> None:
    acme = low(db)
    charge(db, acme, "5")
    assert types(db, acme) == []
    charge(db, acme, "0.00000001")
    charge(db, acme, "1")
    with pytest.raises(InsufficientCredits):
        charge(db, acme, "100")
    top_up(db, acme, "0.5")
    assert types(db, acme) == ["balance.low", "balance.exhausted"]
    assert events(db, acme)[1].data == {
        "organization_id": str(acme),
        "balance_usd": "4.99999999",
        "low_balance_threshold_usd": "5.00",
        "version": 3,
    }
    top_up(db, acme, "10")
    charge_batch(db, *(item(acme, "1.5") for _ in range(8)))
    assert types(db, acme) == ["balance.low", "balance.exhausted", "balance.low"]
    adjust(db, acme, "20")
    change = OrganizationChange.model_validate({"low_balance_threshold_usd": "100"})
    profile.update_organization(db, PLATFORM, acme, change)
    assert types(db, acme) == ["balance.low", "balance.exhausted", "balance.low", "balance.low"]


def test_many_charges_at_once_cross_once(database: Database, db: psycopg.Connection) -> None:
    acme = low(db)

    def spend(_: int) -> None:
        with database.connect() as own:
            charge(own, acme, "0.2")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(spend, range(48)))
    assert types(db, acme) == ["balance.low"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("charge"), st.integers(1, 40)),
        st.tuples(st.just("top_up"), st.integers(1, 40)),
        st.tuples(st.just("threshold"), st.one_of(st.none(), st.integers(0, 60))),
    ),
    max_size=25,
)


@settings(max_examples=40)
@given(steps=STEPS)
def test_for_any_changes_there_is_one_event_for_each_time_that_the_balance_becomes_low(
    db: psycopg.Connection, steps: list[tuple[str, int | None]]
) -> None:
    acme = new_organization(db, "20")
    held, threshold, was_low, expected = 20, None, False, 0
    for kind, value in steps:
        if kind == "threshold":
            threshold = value
            change = {"low_balance_threshold_usd": None if value is None else str(value)}
            profile.update_organization(
                db, PLATFORM, acme, OrganizationChange.model_validate(change)
            )
        elif kind == "top_up":
            assert value
            held += value
            top_up(db, acme, str(value))
        elif value and value <= held:
            held -= value
            charge(db, acme, str(value))
        is_low = threshold is not None and held < threshold
        expected += is_low and not was_low
        was_low = is_low
    assert types(db, acme) == ["balance.low"] * expected


def test_what_is_rolled_back_was_never_an_event(database: Database, db: psycopg.Connection) -> None:
    acme = low(db)
    with database.connect() as own, own.transaction(force_rollback=True):
        charge(own, acme, "9")
        assert types(own, acme) == ["balance.low"]
    assert events(db, acme) == []
    assert claim(db) == []


def test_an_endpoint_is_told_what_it_wants(db: psycopg.Connection) -> None:
    acme, other = low(db, credit_limit_usd="10"), low(db)
    everything = endpoint(db, acme)
    paid = endpoint(db, acme, f"{URL}/paid", ["invoice.paid"])
    off = endpoint(db, acme, f"{URL}/off")
    update(db, off, enabled=False)
    endpoint(db, other)
    charge(db, acme, "16")
    assert [one.endpoint_id for one in claim(db)] == [everything.id]
    invoice = issue(db, draft(db, acme))
    pay(db, invoice)
    told = [(one.endpoint_id, json.loads(one.body)["type"]) for one in claim(db)]
    assert sorted(told, key=str) == sorted(
        [
            (everything.id, "invoice.issued"),
            (everything.id, "invoice.paid"),
            (paid.id, "invoice.paid"),
        ],
        key=str,
    )


def test_what_is_sent_is_signed_as_the_standard_says(
    database: Database, db: psycopg.Connection, receiver: Receiver
) -> None:
    acme = low(db)
    made = endpoint(db, acme, receiver.url)
    charge(db, acme, "6")
    [request] = claim(db)
    assert delivery.record(db, delivery.send(request, private=True)) == "delivered"
    [got] = receiver.received
    [event] = events(db, acme)
    told_at = event.created_at.isoformat().replace("+00:00", "Z")
    assert got.verified(made.secret) == {
        "type": "balance.low",
        "timestamp": told_at,
        "data": event.data,
    }
    assert got.headers["webhook-id"] == str(event.id)
    [told] = event.deliveries
    assert (told.status, told.attempts, told.status_code) == ("delivered", 1, 204)
    for forged in (
        got._replace(body=got.body.replace("4.0", "9.0")),
        got._replace(headers={**got.headers, "webhook-id": str(uuid4())}),
    ):
        with pytest.raises(WebhookVerificationError):
            forged.verified(made.secret)

    rotated = endpoints.rotate_secret(db, PLATFORM, acme, made.id)
    assert rotated.secret != made.secret
    for accepted in ([made.secret, rotated.secret], [rotated.secret]):
        alert(db, acme)
        [request] = claim(db)
        for secret in (made.secret, rotated.secret):
            got = Received("", request.headers, request.body)
            if secret in accepted:
                got.verified(secret)
            else:
                with pytest.raises(WebhookVerificationError):
                    got.verified(secret)
        with database.admin() as admin:
            admin.execute("UPDATE billing.webhook_endpoints SET old_secret_ends_at = now()")


def test_two_dispatchers_at_once_send_each_once_and_one_that_dies_loses_nothing(
    database: Database, db: psycopg.Connection
) -> None:
    many = [low(db) for _ in range(20)]
    for one in many:
        endpoint(db, one)
        charge(db, one, "6")

    def dispatch(_: int) -> list[Signed]:
        with database.connect() as own:
            return claim(own)

    with ThreadPoolExecutor(4) as pool:
        claimed = [one for some in pool.map(dispatch, range(4)) for one in some]
    assert len(claimed) == len({one.event_id for one in claimed}) == 20
    assert claim(db) == []
    # Nothing is ever heard of them: after the lease they are sent again, and the results of the
    # first ones, should they still come, count no more.
    with database.admin() as admin:
        make_due(admin)
    again = claim(db)
    assert {one.event_id for one in again} == {one.event_id for one in claimed}
    assert delivery.record(db, attempt(claimed[0], 204)) == "forgotten"
    assert {delivery.record(db, attempt(one, 204)) for one in again} == {"delivered"}
    assert delivery.record(db, attempt(again[0], 500, "it answered 500")) == "forgotten"


def test_an_endpoints_backlog_is_in_nobodys_way(
    db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MOST_OF_AN_ENDPOINT", 2)
    busy, quiet = low(db), low(db)
    busy_endpoint, quiet_endpoint = endpoint(db, busy), endpoint(db, quiet)
    for _ in range(5):
        alert(db, busy)
    alert(db, quiet)
    pages = [
        sorted(str(one.endpoint_id) for one in page)
        for page in delivery.claim(db, datetime.now(UTC))
    ]
    of_busy = str(busy_endpoint.id)
    assert pages == [
        sorted([of_busy, of_busy, str(quiet_endpoint.id)]),
        [of_busy, of_busy],
        [of_busy],
    ]


def test_a_failure_is_tried_again_after_growing_delays_until_it_is_given_up(
    database: Database, db: psycopg.Connection
) -> None:
    acme = low(db)
    made = endpoint(db, acme)
    alert(db, acme)
    # The least and the most that each wait can be.
    waits = []
    with database.admin() as admin:
        for number in range(1, 11):
            [request] = claim(db)
            began = datetime.now(UTC)
            outcome = delivery.record(db, attempt(request, 500, "it answered 500"))
            ended = datetime.now(UTC)
            [told] = events(db, acme)[0].deliveries
            assert (told.attempts, told.error) == (number, "it answered 500")
            if number < 10:
                assert outcome == "retried"
                assert told.next_attempt_at
                waits.append((told.next_attempt_at - ended, told.next_attempt_at - began))
                assert claim(db) == []
            make_due(admin)
    assert outcome == "failed"
    assert (told.status, told.next_attempt_at) == ("failed", None)
    assert claim(db) == []
    assert waits == sorted(waits)
    for (shortest, longest), delay in (
        (waits[0], timedelta(seconds=5)),
        (waits[-1], timedelta(hours=24)),
    ):
        # Up to a tenth is added by chance.
        assert delay <= longest
        assert shortest <= delay * 1.1
    assert endpoints.replay_events(db, PLATFORM, acme, made.id, last_hour()).replayed == 1
    assert len(claim(db)) == 1


def test_a_delivery_whose_senders_all_die_is_given_up_too(
    database: Database, db: psycopg.Connection
) -> None:
    acme = low(db)
    endpoint(db, acme)
    alert(db, acme)
    with database.admin() as admin:
        for _ in range(10):
            assert len(claim(db)) == 1
            make_due(admin)
    assert claim(db) == []
    [told] = events(db, acme)[0].deliveries
    assert told.status == "failed"
    assert told.error == "no result was reported for the last attempt"


def test_an_endpoint_that_only_fails_is_disabled_and_enabled_again_by_its_owner(
    database: Database, db: psycopg.Connection
) -> None:
    acme = low(db)
    made = endpoint(db, acme)
    with database.admin() as admin:
        for outcome, code, error in (
            ("retried", 500, "it answered 500"),
            ("delivered", 200, None),
            ("retried", None, "it did not answer in time"),
        ):
            alert(db, acme)
            [request, *_] = claim(db)
            assert delivery.record(db, attempt(request, code, error)) == outcome
            [listed] = endpoints.list_endpoints(db, PLATFORM, acme).items
            assert (listed.failing_since is None) == (error is None)
        admin.execute(
            "UPDATE billing.webhook_endpoints SET failing_since = failing_since - %s",
            [delivery.PATIENCE],
        )
        make_due(admin)
        first, *others = claim(db)
        assert delivery.record(db, attempt(first, 500, "it answered 500")) == "disabled"
        for one in others:
            delivery.record(db, attempt(one, 500, "it answered 500"))
        make_due(admin)
    [listed] = endpoints.list_endpoints(db, PLATFORM, acme).items
    assert not listed.enabled
    assert "only failures since" in str(listed.disabled_because)
    assert claim(db) == []
    before = len(events(db, acme))
    alert(db, acme)
    assert (len(events(db, acme)), claim(db)) == (before + 1, [])
    with pytest.raises(Conflict, match="disabled"):
        endpoints.replay_events(db, PLATFORM, acme, made.id, last_hour())
    enabled = update(db, made, enabled=True)
    assert (enabled.enabled, enabled.failing_since) == (True, None)
    # What waited is told; what happened meanwhile is for the asking.
    waiting = len(claim(db))
    assert endpoints.replay_events(db, PLATFORM, acme, made.id, last_hour()).replayed == 1
    assert (waiting, len(claim(db))) == (2, 1)


def test_an_endpoint_that_is_gone_says_so_at_once(db: psycopg.Connection) -> None:
    acme = low(db)
    endpoint(db, acme)
    alert(db, acme)
    [request] = claim(db)
    assert delivery.record(db, attempt(request, 410, "it answered 410")) == "disabled"
    [listed] = endpoints.list_endpoints(db, PLATFORM, acme).items
    assert listed.disabled_because == "it answered 410, gone"


def test_an_event_is_told_again_when_asked_with_the_same_id(db: psycopg.Connection) -> None:
    acme = low(db)
    made = endpoint(db, acme)
    alert(db, acme)
    [first] = claim(db)
    delivery.record(db, attempt(first, 200))
    nothing = endpoints.replay_events(db, PLATFORM, acme, made.id, last_hour())
    assert nothing.replayed == 0
    asked = WebhookReplay(event_id=first.event_id)
    assert endpoints.replay_events(db, PLATFORM, acme, made.id, asked).replayed == 1
    [second] = claim(db)
    assert (second.headers["webhook-id"], second.body) == (first.headers["webhook-id"], first.body)
    later = endpoint(db, acme, f"{URL}/later")
    assert endpoints.replay_events(db, PLATFORM, acme, later.id, last_hour()).replayed == 1
    stranger = low(db)
    theirs = endpoint(db, stranger)
    with pytest.raises(NotFound, match="event does not exist"):
        endpoints.replay_events(db, PLATFORM, stranger, theirs.id, asked)
    for wrong in (WebhookReplay(), last_hour().model_copy(update={"event_id": first.event_id})):
        with pytest.raises(InvalidRequest):
            endpoints.replay_events(db, PLATFORM, acme, made.id, wrong)


def test_an_endpoint_is_changed_and_deleted_by_its_organization_alone(
    db: psycopg.Connection,
) -> None:
    acme, other = low(db), low(db)
    made = endpoint(db, acme)
    with pytest.raises(Conflict, match="with this URL"):
        endpoint(db, acme)
    second = endpoint(db, acme, f"{URL}/second")
    with pytest.raises(Conflict, match="with this URL"):
        update(db, second, url=URL)
    changed = update(db, second, url=f"{URL}/third", types=["invoice.paid"])
    assert (changed.url, changed.types) == (f"{URL}/third", ["invoice.paid"])
    assert not hasattr(endpoints.list_endpoints(db, PLATFORM, acme).items[0], "secret")
    of_other = Caller(tenant=str(other), subject="x")

    def attempts(of: UUID) -> list[Callable[[], object]]:
        return [
            lambda: endpoints.delete_endpoint(db, of_other, of, made.id),
            lambda: endpoints.rotate_secret(db, of_other, of, made.id),
            lambda: endpoints.replay_events(db, of_other, of, made.id, last_hour()),
            lambda: endpoints.update_endpoint(
                db, of_other, of, made.id, WebhookEndpointChange(enabled=False), private=False
            ),
        ]

    for of, code in ((acme, "organization_not_found"), (other, "webhook_endpoint_not_found")):
        for attempted in attempts(of):
            with pytest.raises(BillingError) as refused:
                attempted()
            assert refused.value.code == code
    alert(db, acme)
    endpoints.delete_endpoint(db, PLATFORM, acme, made.id)
    assert claim(db) == []
    assert len(endpoints.list_endpoints(db, PLATFORM, acme).items) == 1


def test_there_are_so_many_endpoints_and_no_more(
    db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 2)
    acme = low(db)
    for number in range(2):
        endpoint(db, acme, f"{URL}/{number}")
    with pytest.raises(Conflict, match="2 endpoints already"):
        endpoint(db, acme)


def test_the_application_cannot_read_a_secret(db: psycopg.Connection) -> None:
    acme = low(db)
    endpoint(db, acme)
    for table in ("webhook_endpoints", "webhook_events", "webhook_deliveries"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(f"SELECT * FROM billing.{table}".encode())


@pytest.mark.parametrize(
    "url",
    [
        *("http://hooks.example.com/", "https://localhost/", "https://169.254.169.254/latest"),
        *("https://10.0.0.5/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://db/"),
    ],
)
def test_an_inner_address_is_refused_when_it_is_registered(
    url: str, db: psycopg.Connection
) -> None:
    acme = low(db)
    with pytest.raises(InvalidRequest) as refused:
        endpoint(db, acme, url, private=False)
    assert refused.value.facts["errors"][0]["pointer"] == "/url"
    made = endpoint(db, acme, private=False)
    with pytest.raises(InvalidRequest):
        update(db, made, url=url)


def request_to(url: str, now: datetime | None = None) -> Signed:
    claimed = {
        "lease": str(uuid4()),
        "organization_id": str(UUID(int=1)),
        "event_id": str(uuid4()),
        "endpoint_id": str(uuid4()),
        "url": url,
        "secrets": ["c2VjcmV0"],
        "type": "balance.low",
        "created_at": "2026-03-01T00:00:00+00:00",
        "data": {},
    }
    return delivery.sign(claimed, now or datetime.now(UTC))


@pytest.mark.parametrize("minutes", range(15))
def test_a_request_that_waited_is_sent_with_a_signature_of_now(
    minutes: int, receiver: Receiver
) -> None:
    signed = request_to(receiver.url, datetime.now(UTC) - timedelta(minutes=minutes))
    assert delivery.send(signed, private=True).error is None
    [got] = receiver.received
    # Standard Webhooks' own library refuses a time that is five minutes ago, or to come.
    assert got.verified("whsec_c2VjcmV0")["type"] == "balance.low"
    age = datetime.now(UTC).timestamp() - int(got.headers["webhook-timestamp"])
    assert 0 <= age < delivery.SIGNATURE.total_seconds() + 60


def test_a_request_whose_lease_has_ended_is_not_sent(receiver: Receiver) -> None:
    signed = request_to(receiver.url, datetime.now(UTC) - delivery.LEASE)
    assert delivery.send(signed, private=True).error == "it waited too long to be sent"
    assert receiver.received == []


def test_a_request_of_the_release_before_is_sent_as_it_is(receiver: Receiver) -> None:
    signed = request_to(receiver.url, datetime.now(UTC) - timedelta(minutes=4))
    old = Signed.model_validate(signed.model_dump(exclude={"later"}))
    assert delivery.send(old, private=True).error is None
    assert receiver.received[0].headers["webhook-timestamp"] == old.headers["webhook-timestamp"]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        # Names and numbers that lead to this machine only when they are looked up.
        ("https://localhost:{port}/", "its address is not on the public internet"),
        ("https://2130706433:{port}/", "its address is not on the public internet"),
        ("https://0x7f.1:{port}/", "its address is not on the public internet"),
        ("https://[::1]:{port}/", "its address is not on the public internet"),
        ("http://93.184.215.14/", "its URL does not begin with https://"),
        # What may have been registered before it was refused.
        ("https://a_b.example.com/", "must be a URL such as https://example.com/billing"),
    ],
)
def test_an_inner_address_is_refused_when_it_is_sent_to(
    url: str, error: str, receiver: Receiver
) -> None:
    request = request_to(url.format(port=receiver.server_port))
    assert delivery.send(request, private=False).error == error
    assert receiver.received == []


def test_an_answer_that_is_no_success_is_a_failure(receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.headers = {"location": elsewhere.url}
        for status in (301, 307, 400, 404, 429, 500):
            receiver.status = status
            sent = delivery.send(request_to(receiver.url), private=True)
            assert (sent.status_code, sent.error) == (status, f"it answered {status}")
        assert elsewhere.received == []
    receiver.status = 299
    assert delivery.send(request_to(receiver.url), private=True).error is None


def test_an_endpoint_that_is_slow_or_not_there_is_a_failure_in_time(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "DEADLINE_SECONDS", 0.3)
    for trickles in (0.02, 30):
        receiver.trickles = trickles
        sent = delivery.send(request_to(receiver.url), private=True)
        assert sent.error == "it did not answer within 0.3 seconds"
        assert not receiver.trickled
    with receiving() as gone:
        url = gone.url
    assert "could not be reached" in str(delivery.send(request_to(url), private=True).error)
    unknown = delivery.send(request_to("https://nobody.invalid/"), private=False)
    assert unknown.error == "it could not be reached (gaierror)"


def test_a_certificate_must_be_vouched_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = certificate_of(tmp_path)
    with receiving(certificate) as secure:
        url = secure.url.replace("http://", "https://")
        refused = delivery.send(request_to(url), private=True)
        assert "its certificate is refused" in str(refused.error)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        accepted = delivery.send(request_to(url), private=True)
        assert (accepted.status_code, accepted.error) == (204, None)
        assert len(secure.received) == 1


def test_events_under_a_clock_that_stands_still_are_told_in_their_order(
    db: psycopg.Connection, database: Database
) -> None:
    acme = new_organization(db)
    with database.admin() as admin:
        row = admin.execute("SELECT quote_literal(billing.now())").fetchone()
        assert row
        admin.execute(
            "CREATE OR REPLACE FUNCTION billing.now() RETURNS timestamptz LANGUAGE sql VOLATILE"
            f" RETURN {row[0]}::timestamptz"
        )
    db.execute("SET statement_timeout = '20s'")
    given = [grant(db, acme, "1").id for _ in range(3)]
    told = endpoints.list_events(db, PLATFORM, acme, "grant.created", 100, None).items
    assert [event.data["grant_id"] for event in reversed(told)] == [str(id_) for id_ in given]
    assert len({event.created_at for event in told}) == 3
