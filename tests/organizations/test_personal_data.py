"""What is held can be exported whole, and erased; the ledger and its chain stay valid."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from synaxis_billing.caller import Caller
from synaxis_billing.errors import InvalidRequest, NotFound
from synaxis_billing.ledger import charges, holds, transactions
from synaxis_billing.organizations import personal_data, profile
from synaxis_billing.usage import labels
from synaxis_billing.webhooks import endpoints
from tests.conftest import Database
from tests.support.billing import cancel, credit, draft, invoice_topup, issue
from tests.support.running import wait_until
from tests.support.steps import (
    NO_CACHE,
    PLATFORM,
    budget,
    capture,
    erase,
    log_spend,
    new_key,
    new_organization,
    release,
    top_up,
)

JANE, JOE = "jane@example.com", "joe@example.com"


def at(line1: str) -> dict[str, str | None]:
    """An address as an invoice has it."""
    where = profile.Address(line1=line1, city="Dublin", country="IE")
    return where.model_dump()


def charge(
    db: psycopg.Connection, organization_id: UUID, amount_usd: str, by: str = JOE, key: str = ""
) -> transactions.Transaction:
    asked = charges.ChargeRequest.model_validate(
        {"amount_usd": amount_usd, "description": f"a question of {by}"}
    )
    caller = Caller(tenant="*", subject=by)
    charged, _ = charges.charge(db, caller, organization_id, key or new_key(), asked)
    assert isinstance(charged, transactions.Transaction)
    return charged


def hold(db: psycopg.Connection, organization_id: UUID, by: str) -> holds.Hold:
    asked = holds.HoldRequest.model_validate({"amount_usd": "3", "description": f"for {by}"})
    return holds.hold(db, Caller(tenant="*", subject=by), organization_id, new_key(), asked)[0]


@pytest.fixture
def db(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


@pytest.fixture
def used(db: psycopg.Connection) -> UUID:
    """An organization of which there is something of every kind."""
    acme = new_organization(
        db, "100", address=at("Main Street 1"), low_balance_threshold_usd="99.5"
    )
    request = endpoints.NewWebhookEndpoint.model_validate({"url": "https://hooks.example.com/"})
    endpoints.create_endpoint(db, PLATFORM, acme, request, private=False)
    bought = top_up(db, acme, "1", description="for Jane", initiated_by=JANE)
    charge(db, acme, "2", JANE)
    charge(db, acme, "2")
    capture(db, hold(db, acme, JANE), "1")
    release(db, hold(db, acme, JOE))
    log_spend(db, acme, "1")
    issue(db, draft(db, acme))
    credit(db, invoice_topup(db, bought))
    erase(db, acme, "nobody")
    return acme


def exported(
    db: psycopg.Connection, organization_id: UUID, initiated_by: str | None = None, limit: int = 2
) -> list[personal_data.PersonalDataRecord]:
    found: list[personal_data.PersonalDataRecord] = []
    cursor = None
    while True:
        page = personal_data.export_personal_data(
            db, PLATFORM, organization_id, initiated_by, limit, cursor
        )
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_everything_that_is_held_is_exported_once(db: psycopg.Connection, used: UUID) -> None:
    new_organization(db, "5", name="Stranger")
    records = exported(db, used)
    assert Counter(record.kind for record in records) == {
        "organization": 1,
        "transaction": 5,
        "hold": 2,
        "credit_grant": 2,
        "spend_log": 4,
        "invoice": 2,
        "credit_note": 1,
        "webhook_endpoint": 1,
        "webhook_event": 5,
        "erasure": 1,
    }
    text = str([record.data for record in records])
    for held in (
        "Main Street 1",
        f"a question of {JANE}",
        f"for {JANE}",
        "https://hooks.example.com/",
    ):
        assert held in text
    assert "Stranger" not in text
    assert "secret" not in text


def test_of_a_person_it_is_what_that_person_initiated(db: psycopg.Connection, used: UUID) -> None:
    records = exported(db, used, JANE)
    assert Counter(record.kind for record in records) == {"transaction": 3, "hold": 1}
    captured = records[0].data
    # Somebody else captured it, and it says what the hold said.
    assert (captured["initiated_by"], captured["description"]) == ("gateway", f"for {JANE}")
    assert {record.data["initiated_by"] for record in records[1:]} == {JANE}


def test_each_row_comes_once_while_charges_go_on(
    database: Database, db: psycopg.Connection
) -> None:
    acme = new_organization(db, "100")
    before = {charge(db, acme, "0.01").id for _ in range(40)}

    def spend(_: int) -> None:
        with database.connect() as own:
            for _ in range(20):
                charge(own, acme, "0.01")

    with ThreadPoolExecutor(2) as pool:
        working = [pool.submit(spend, number) for number in range(2)]
        records = exported(db, acme, limit=3)
        for one in working:
            one.result()
    ids = [UUID(record.data["id"]) for record in records if record.kind == "transaction"]
    assert len(ids) == len(set(ids))
    assert before <= set(ids)


def test_an_erasure_empties_what_is_of_that_person_and_the_chain_holds(
    database: Database, db: psycopg.Connection, used: UUID
) -> None:
    before = exported(db, used)
    erased = erase(db, used, JANE)
    assert (erased.transactions, erased.holds) == (3, 1)
    assert exported(db, used, JANE) == []
    assert JANE not in str([one.data for one in exported(db, used) if one.kind != "erasure"])
    # Of the others nothing has changed, and of these nothing else.
    for old, new in zip(before, exported(db, used), strict=False):
        if old.kind in ("transaction", "hold") and JANE in str(old.data):
            assert new.data == old.data | {"initiated_by": None, "description": None}
        elif old.kind in ("transaction", "hold"):
            assert new.data == old.data
    assert erase(db, used, JANE).transactions == 0
    assert database.audit().whole
    records = [one.data for one in exported(db, used) if one.kind == "erasure"]
    assert [(one["transactions"], one["holds"], one["erased_by"]) for one in records] == [
        *((0, 0, "gateway"), (3, 1, "gateway"), (0, 0, "gateway"))
    ]
    assert all(one["of_one_initiator"] for one in records)
    assert JANE not in str(records)


def test_everybodys_is_erased_with_the_profile_if_asked(
    database: Database, db: psycopg.Connection, used: UUID
) -> None:
    tax = {"label": "VAT", "rate_percent": "20", "tax_id": "DE1", "category": "standard"}
    taxed = new_organization(db, "9", tax=tax, address=at("Main Street 2"))
    for one in (used, taxed):
        erase(db, one, profile=True)
        profile = exported(db, one)[0].data
        assert (profile["name"], profile["address"]) == ("erased", None)
        held = [row for row in exported(db, one) if row.kind in ("transaction", "hold")]
        assert all(row.data["description"] is row.data["initiated_by"] is None for row in held)
    assert profile["tax"] == tax | {"tax_id": None}
    # What was issued stays as it was issued.
    issued = [row.data for row in exported(db, used) if row.kind == "invoice"]
    assert [one["customer"]["address"]["line1"] for one in issued] == ["Main Street 1"] * 2
    assert database.audit().whole
    with pytest.raises(InvalidRequest):
        erase(db, used, JANE, profile=True)


def test_a_large_ledger_is_erased_in_parts(
    database: Database, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "BATCH", 3)
    acme = new_organization(db, "10")
    first = hold(db, acme, JANE)
    for number in range(11):
        charge(db, acme, "0.01", JANE if number % 2 else JOE)
    release(db, first)
    erased = erase(db, acme, JANE)
    assert (erased.transactions, erased.holds) == (5, 1)
    assert exported(db, acme, JANE) == []
    assert database.audit().whole


WAITING = (
    "SELECT EXISTS (SELECT FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock')"
)
ERASING = "SELECT EXISTS (SELECT FROM billing.erasures)"


def holding_up(
    database: Database,
    change: Callable[[psycopg.Connection], Any],
    late: Callable[[], Any],
    until: str = WAITING,
) -> Any:
    """What `late` returns, which needs what `change` has locked and is committed then."""
    with database.admin() as admin, database.connect() as own, ThreadPoolExecutor(1) as pool:
        with own.transaction():
            change(own)
            following = pool.submit(late)
            wait_until(lambda: admin.execute(until.encode()).fetchone() == (True,))
        return following.result()


def test_a_hold_that_is_captured_while_it_is_erased_leaves_nothing_in_its_charge(
    database: Database, db: psycopg.Connection
) -> None:
    acme = new_organization(db, "10")
    held = hold(db, acme, JANE)
    erased = holding_up(
        database, lambda own: capture(own, held, "1"), lambda: erase(db, acme, JANE), ERASING
    )
    assert (erased.transactions, erased.holds) == (1, 1)
    assert JANE not in str(exported(db, acme))
    assert database.audit().whole


def test_a_hold_that_is_erased_while_it_is_captured_leaves_nothing_in_its_charge(
    database: Database, db: psycopg.Connection
) -> None:
    acme = new_organization(db, "10")
    held = hold(db, acme, JANE)
    charged = holding_up(
        database, lambda own: erase(own, acme, JANE), lambda: capture(db, held, "1")
    )
    assert charged.description is None
    assert JANE not in str(exported(db, acme))
    assert database.audit().whole


def test_a_hold_that_is_captured_between_two_parts_of_its_erasure_leaves_nothing(
    database: Database, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "BATCH", 2)
    monkeypatch.setattr(personal_data, "ERASING_SECONDS", 0)
    acme = new_organization(db, "10")
    held = hold(db, acme, JANE)
    for _ in range(4):
        charge(db, acme, "0.01", JANE)
    cursor = erase(db, acme, JANE).next_cursor
    assert cursor is not None
    capture(db, held, "1")
    while cursor is not None:
        cursor = erase(db, acme, JANE, cursor=cursor).next_cursor
    assert JANE not in str([one.data for one in exported(db, acme) if one.kind != "erasure"])
    assert database.audit().whole


def test_an_erasure_waits_for_no_change_under_way(
    database: Database, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Charges and erasures meet holds in different orders, and would wait for each other."""
    monkeypatch.setattr(personal_data, "ERASING_SECONDS", 0)
    acme = new_organization(db, "10")
    first, _second = hold(db, acme, JANE), hold(db, acme, JANE)
    with database.connect() as own, own.transaction():
        capture(own, first, "1")
        part = erase(db, acme, JANE)
    assert (part.transactions, part.holds) == (0, 1)
    rest = erase(db, acme, JANE, cursor=part.next_cursor)
    assert (rest.transactions, rest.holds, rest.next_cursor) == (1, 1, None)
    assert JANE not in str([one.data for one in exported(db, acme) if one.kind != "erasure"])


def test_erasures_of_one_organization_take_turns(
    database: Database, db: psycopg.Connection
) -> None:
    acme = new_organization(db, "10")
    for who in (JANE, JOE):
        charge(db, acme, "0.01", who)
    late = holding_up(database, lambda own: erase(own, acme, JOE), lambda: erase(db, acme))
    assert late.transactions == 2


def test_an_erasure_that_takes_long_goes_on_where_it_left_off(
    db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "BATCH", 3)
    monkeypatch.setattr(personal_data, "ERASING_SECONDS", 0)
    acme = new_organization(db, "10")
    for _ in range(7):
        charge(db, acme, "0.01", JANE)
    parts = [erase(db, acme, JANE)]
    while parts[-1].next_cursor is not None:
        parts.append(erase(db, acme, JANE, cursor=parts[-1].next_cursor))
    assert [part.transactions for part in parts] == [3, 3, 1]
    assert exported(db, acme, JANE) == []
    for other in (JOE, None):
        with pytest.raises(InvalidRequest):
            erase(db, acme, other, cursor=parts[0].next_cursor)


def test_what_a_person_initiated_is_looked_for_in_parts(
    db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "SCAN", 4)
    acme = new_organization(db, "100")
    for number in range(25):
        charge(db, acme, "0.01", JANE if number % 8 == 0 else JOE)
        hold(db, acme, JANE if number % 8 == 0 else JOE)
    found = exported(db, acme, JANE)
    assert Counter(record.kind for record in found) == {"transaction": 4, "hold": 4}
    assert len({record.data["id"] for record in found}) == 8


def test_drafts_name_nobody_whose_profile_was_erased_and_invoices_do(
    database: Database, db: psycopg.Connection
) -> None:
    tax = {"label": "VAT", "rate_percent": "20", "tax_id": "DE1"}
    acme = new_organization(db, "9", name="Jane Doe", tax=tax, address=at("Main Street 3"))
    charge(db, acme, "1")
    issued = issue(db, draft(db, acme))
    months = [datetime(2020, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
    cancel(db, draft(db, acme, months[0], months[1]))
    draft(db, acme, months[1], months[2])
    erase(db, acme, profile=True)
    invoices = [row.data for row in exported(db, acme) if row.kind == "invoice"]
    assert Counter(one["status"] for one in invoices) == {"paid": 1, "cancelled": 1, "draft": 1}
    for one in invoices:
        kept = one["id"] == str(issued.id)
        assert one["customer"]["name"] == ("Jane Doe" if kept else "erased")
        assert (one["customer"]["address"] or {}).get("line1") == (
            "Main Street 3" if kept else None
        )
        assert one["customer"]["tax_id"] == one["tax"]["tax_id"] == ("DE1" if kept else None)
    assert database.audit().whole


def test_erasing_a_profile_is_recorded_with_it_and_is_no_part_of_going_on(
    db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "BATCH", 1)
    monkeypatch.setattr(personal_data, "ERASING_SECONDS", 0)
    acme = new_organization(db, "10")
    charge(db, acme, "1")
    first = erase(db, acme, profile=True)
    rename = profile.OrganizationChange(name="Acme again")
    profile.update_organization(db, PLATFORM, acme, rename)
    second = erase(db, acme, profile=True, cursor=first.next_cursor)
    assert (first.profile, second.profile) == (True, False)
    records = [row.data for row in exported(db, acme) if row.kind == "erasure"]
    assert [row["profile"] for row in records] == [False, False, True]
    assert exported(db, acme)[0].data["name"] == "Acme again"


def test_what_a_person_erased_is_held_of_that_person(db: psycopg.Connection, used: UUID) -> None:
    request = personal_data.ErasureRequest(reason="asked for", initiated_by=JOE)
    personal_data.erase_personal_data(db, Caller(tenant="*", subject=JANE), used, request)
    kinds = Counter(record.kind for record in exported(db, used, JANE))
    assert kinds["erasure"] == 1


def test_a_change_of_the_profile_while_it_is_erased_is_kept(
    database: Database, db: psycopg.Connection
) -> None:
    tax = {"label": "VAT", "rate_percent": "20", "tax_id": "DE1"}
    acme = new_organization(db, "9", tax=tax)
    change = profile.OrganizationChange.model_validate(
        {"tax": {"label": "VAT", "rate_percent": "19", "tax_id": "DE2"}, "locale": "de"}
    )
    holding_up(
        database,
        lambda own: profile.update_organization(own, PLATFORM, acme, change),
        lambda: erase(db, acme, profile=True),
    )
    kept = exported(db, acme)[0].data
    assert (kept["tax"]["rate_percent"], kept["tax"]["tax_id"]) == ("19", None)
    assert (kept["name"], kept["locale"]) == ("erased", "de")


def test_charges_go_on_while_it_erases(
    database: Database, db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "BATCH", 5)
    acme = new_organization(db, "100")
    for _ in range(30):
        charge(db, acme, "0.01", JANE)

    def spend(_: int) -> None:
        with database.connect() as own:
            for _ in range(25):
                charge(own, acme, "0.01")

    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(spend, number) for number in range(3)]
        assert erase(db, acme, JANE).transactions == 30
        for one in working:
            one.result()
    assert len(exported(db, acme, JOE)) == 75
    assert database.audit().whole


def test_a_replay_of_what_was_erased_has_nothing_personal(db: psycopg.Connection) -> None:
    acme = new_organization(db, "10")
    charged = charge(db, acme, "1", JANE, "k")
    erase(db, acme)
    again = charge(db, acme, "1", JANE, "k")
    assert (again.id, again.description, again.initiated_by) == (charged.id, None, None)


def test_another_tenants_data_is_neither_exported_nor_erased(
    db: psycopg.Connection, used: UUID
) -> None:
    stranger = Caller(tenant=str(new_organization(db)), subject="x")
    request = personal_data.ErasureRequest(reason="mine")
    for attempt in (
        lambda: personal_data.export_personal_data(db, stranger, used, None, 5, None),
        lambda: personal_data.erase_personal_data(db, stranger, used, request),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert len(exported(db, used, JANE)) == 4


@pytest.mark.parametrize("cursor", ["x", "x.", "spend_log.", "hold.x", "transaction"])
def test_a_cursor_of_another_list_is_refused(
    cursor: str, db: psycopg.Connection, used: UUID
) -> None:
    if cursor == "transaction":
        assert personal_data.export_personal_data(db, PLATFORM, used, JANE, 9, cursor).items
        return
    with pytest.raises(InvalidRequest):
        personal_data.export_personal_data(db, PLATFORM, used, JANE, 9, cursor)


def test_caches_forget_an_erased_profile(db: psycopg.Connection, used: UUID) -> None:
    erase(db, used, profile=True)
    assert profile.get_organization(lambda: db, NO_CACHE, PLATFORM, used).name == "erased"
    waiting: Any = db.execute("SELECT billing.pending_invalidations('*', 100)").fetchone()
    assert str(used) in {row["tenant"] for row in waiting[0]}


def test_an_organization_whose_last_budget_was_erased_has_none(db: psycopg.Connection) -> None:
    acme = new_organization(db, "10")
    named = labels.NewLabel.model_validate({"kind": "team", "id": "team-7", "name": "Jane's"})
    labels.put_label(db, PLATFORM, acme, named)
    budget(db, acme, "1", end_user="jane")
    erase(db, acme)
    assert labels.list_labels(db, PLATFORM, acme, None, 10, None).items == []
    # Charges ask for budgets only where there are some.
    budgeted = "SELECT budgeted FROM billing.organizations WHERE id = %s"
    with db.transaction():
        db.execute("SELECT set_config('billing.tenant', '*', true)")
        assert db.execute(budgeted, [acme]).fetchone() == (False,)
