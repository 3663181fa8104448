"""What the database itself refuses, and what the audit finds when somebody gets past it."""

import hashlib
import json
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import Conflict, NotFound, Unprocessable
from synaxis_billing.idempotency import IdempotencyKeyReused
from synaxis_billing.ledger.transactions import InsufficientCredits
from synaxis_billing.organizations import balance
from tests.conftest import GUARDED, Database
from tests.support import billing, steps

IMMUTABLE = [
    "credit_transactions",
    "logged_spend",
    "idempotency",
    "credited_payments",
    "erasures",
    "credit_notes",
]


@pytest.fixture
def used(database: Database) -> UUID:
    """An organization that has a row in every table."""
    with database.connect() as db:
        organization_id = steps.new_organization(db)
        bought = steps.top_up(db, organization_id, "100", reference_id="pi_1")
        charged = steps.charge(
            db,
            organization_id,
            "3",
            model="gpt-4o",
            request_id="r-1",
            metadata={"is": "é", "a": "b"},
        )
        steps.refund(db, charged, "1")
        steps.capture(db, steps.hold(db, organization_id, "2"), "1.5")
        steps.hold(db, organization_id, "2")
        steps.log_spend(db, organization_id, "0.5")
        steps.adjust(db, organization_id, "-1")
        billing.issue(db, billing.draft(db, organization_id))
        billing.credit(db, billing.invoice_topup(db, bought), amount_usd="1")
    return organization_id


@pytest.mark.parametrize("table", IMMUTABLE)
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {} SET organization_id = organization_id", "DELETE FROM {}", "TRUNCATE {}"],
)
def test_not_even_an_administrator_rewrites_what_was_written(
    database: Database, used: UUID, table: str, statement: str
) -> None:
    with database.admin() as admin:
        if table == "erasures":
            with database.connect() as db:
                steps.erase(db, used, "nobody")
        with pytest.raises(psycopg.errors.RestrictViolation):
            admin.execute(statement.format(f"billing.{table}").encode())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing.organizations SET balance_usd = 1000000",
        "INSERT INTO billing.charge_refunds VALUES (uuidv7(), uuidv7(), 1, 1)",
        "DELETE FROM billing.holds",
        "UPDATE billing.spend_rollups SET amount_usd = 0",
        "DELETE FROM billing.credit_transactions",
        "SELECT * FROM billing.idempotency",
        "SELECT billing.audit()",
        "UPDATE billing.credit_transactions SET description = NULL",
        "UPDATE billing.erasures SET reason = 'x'",
        "SET ROLE synaxis_eraser",
        "SET ROLE synaxis_ledger",
    ],
)
@pytest.mark.usefixtures("used")
def test_the_application_can_do_nothing_but_call_the_ledger(
    database: Database, statement: str
) -> None:
    with database.connect() as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute(statement.encode())


def test_a_statement_that_names_no_tenant_sees_nothing(database: Database, used: UUID) -> None:
    with database.connect() as db:
        steps.available(db, used)
        for table in (
            "organizations",
            "credit_transactions",
            "spend_logs",
            "logged_spend",
            "spend_rollups",
            "holds",
        ):
            assert db.execute(f"SELECT count(*) FROM billing.{table}".encode()).fetchone() == (0,)


def test_a_tenant_sees_and_changes_its_own_rows_alone(database: Database, used: UUID) -> None:
    with database.connect() as db:
        stranger = Caller(tenant=str(steps.new_organization(db, "5")))
        with pytest.raises(NotFound):
            balance.get_balance(lambda: db, steps.NO_CACHE, stranger, used)
        outcome = procedures.call(
            db,
            "top_up",
            tenant=stranger.tenant,
            organization_id=used,
            key="k",
            fingerprint=b"f" * 32,
            amount_usd=Decimal(1),
            description=None,
            reference_id=None,
            initiated_by=None,
            priority=50,
            expires_at=None,
            cost_basis_usd=Decimal(1),
            paid=None,
        )
        assert outcome["outcome"] == "organization_not_found"
        with db.transaction():
            db.execute("SELECT billing.set_tenant(%s)", [stranger.tenant])
            rows = db.execute(
                "SELECT DISTINCT organization_id FROM billing.credit_transactions"
            ).fetchall()
    assert rows == [(UUID(stranger.tenant),)]


@pytest.mark.usefixtures("used")
def test_the_tables_refuse_money_that_does_not_add_up(database: Database) -> None:
    with database.admin() as admin:
        for statement in (
            "UPDATE billing.charge_refunds SET refunded_usd = charged_usd + 1",
            "UPDATE billing.holds SET status = 'captured', transaction_id = NULL",
        ):
            with pytest.raises(psycopg.errors.CheckViolation):
                admin.execute(statement.encode())


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing.organizations SET balance_usd = -1",
        "UPDATE billing.organizations SET held_usd = balance_usd + 1",
        "UPDATE billing.organizations SET held_usd = -1",
        pytest.param(
            "INSERT INTO billing.credit_transactions SELECT (jsonb_populate_record(t,"
            " jsonb_build_object('amount_usd', 7, 'created_at', now()))).*"
            " FROM billing.credit_transactions AS t LIMIT 1",
            id="INSERT",
        ),
    ],
)
def test_the_ledger_itself_cannot_write_money_that_does_not_add_up(
    database: Database, statement: str
) -> None:
    with database.admin() as admin, admin.transaction(force_rollback=True):
        admin.execute("SET LOCAL ROLE synaxis_ledger")
        admin.execute("SELECT billing.set_tenant('*')")
        with pytest.raises(GUARDED, match=r"row-level security|not_overdrawn"):
            admin.execute(statement.encode())


def test_no_call_leaves_its_tenant_to_the_next_one_of_its_connection(database: Database) -> None:
    with database.admin() as admin:
        bodies = admin.execute(
            "SELECT proname, prosrc FROM pg_proc WHERE prosrc LIKE '%set_config(''billing.tenant%'"
        ).fetchall()
    assert len(bodies) > 50
    for name, body in bodies:
        for call in body.split("set_config('billing.tenant'")[1:]:
            assert call.partition(";")[0].rstrip().endswith(", true)"), name


def later(column: str, by: str) -> str:
    """A later time than a column has, by functions that a cluster takes in UPDATE."""
    return f"({column} AT TIME ZONE 'UTC' + interval '{by}') AT TIME ZONE 'UTC'"


# Each way around the guards, and the promise that the audit then finds broken.
TAMPERING = {
    "balance is the sum of the transactions": (
        "UPDATE organizations SET balance_usd = balance_usd + 1"
    ),
    "balance, version and hash are the newest transaction's": (
        "UPDATE organizations SET version = version + 1"
    ),
    "each hash is that of its row": (
        "UPDATE credit_transactions SET reference_id = 'x' WHERE version = 2"
    ),
    "each transaction follows the one before": "DELETE FROM credit_transactions WHERE version = 2",
    "held credit is the sum of the open holds": "UPDATE organizations SET held_usd = held_usd + 1",
    "a captured hold is one charge": "UPDATE holds SET captured_usd = 1 WHERE status = 'captured'",
    "rollups are the sums of the spend logs": "UPDATE spend_rollups SET tokens = tokens + 1",
    "a rollup is found by its dimensions": (
        "UPDATE spend_rollups SET dimensions = sha256(dimensions)"
    ),
    "credit is not overdrawn": "UPDATE organizations SET held_usd = 101",
    "a payment is one top-up": "UPDATE credited_payments SET reference_id = 'pi_2'",
    "a transaction has the time of its id": (
        f"UPDATE credit_transactions SET created_at = {later('created_at', '1 minute')}"
    ),
    "no transaction lies in the future": (
        f"UPDATE credit_transactions SET created_at = {later('created_at', '5 minutes')}"
    ),
    "a spend log lies in its bucket": "UPDATE spend_rollups SET bucket_end = bucket_start",
    "refunds stay within their charge": "UPDATE charge_refunds SET refunded_usd = 2",
    "a transaction has one key": "DELETE FROM idempotency",
    "the application cannot rewrite the ledger": "GRANT UPDATE ON organizations TO synaxis_app",
    "a tenant sees its own rows alone": "ALTER TABLE holds DISABLE ROW LEVEL SECURITY",
    "an invoice is its lines": (
        "UPDATE invoices SET subtotal_usd = 9, total_amount_usd = 9, settled_usd = 9"
        " WHERE kind = 'usage'"
    ),
    "what an unpaid invoice asks for is its debt": (
        "UPDATE allocations SET grant_id = NULL, covered_at = NULL, refund_id = NULL,"
        " restored_to = NULL, invoice_id = i.id FROM invoices AS i"
        " WHERE i.organization_id = allocations.organization_id AND i.kind = 'usage'"
    ),
    "a top-up has an invoice or waits for one": (
        "UPDATE invoices SET transaction_id = id WHERE kind = 'topup'"
    ),
    "an issued invoice is what was drawn in its period": (
        f"UPDATE invoices SET period_start = {later('period_start', '-9 days')},"
        f" period_end = {later('period_end', '-9 days')}"
    ),
    "numbers have no gap": "UPDATE document_counters SET last = 2",
    "the odometer is the sum of what was drawn": (
        "UPDATE organizations SET drawn_usd = drawn_usd + 1"
    ),
    "allocations partition the odometer": "DELETE FROM allocations WHERE from_usd = 0",
    "a refund gives back as much as it says": (
        "UPDATE allocations SET refund_id = NULL, restored_to = NULL"
    ),
    "grants less debt are the balance": (
        "UPDATE credit_grants SET remaining_usd = remaining_usd - 1 WHERE kind = 'paid'"
    ),
    "a grant is the sum of its movements": "UPDATE credit_grants SET amount_usd = 101",
    "a grant has the terms of its transaction": "UPDATE credit_grants SET priority = 51",
    "credit is used between its start and its end": (
        f"UPDATE credit_grants SET effective_at = {later('effective_at', '1 hour')},"
        " expires_at = 'infinity'"
    ),
    "revenue reconciles": "UPDATE credit_grants SET remaining_usd = 1 WHERE kind = 'paid'",
    "what was written is never changed": (
        "ALTER TABLE logged_spend DISABLE TRIGGER immutable_update"
    ),
}


UNDO = {
    "the application cannot rewrite the ledger": (
        "REVOKE UPDATE ON billing.organizations FROM synaxis_app"
    ),
    "a tenant sees its own rows alone": "ALTER TABLE billing.holds ENABLE ROW LEVEL SECURITY",
    "what was written is never changed": (
        "ALTER TABLE billing.logged_spend ENABLE TRIGGER immutable_update"
    ),
}


OF_THE_DATABASE = {*UNDO, "numbers have no gap"}


@pytest.mark.parametrize("promise", TAMPERING)
@pytest.mark.usefixtures("used")
def test_the_audit_finds_what_was_tampered_with(database: Database, promise: str) -> None:
    assert database.audit().whole
    with database.admin() as admin:
        with admin.transaction():
            admin.execute("SET LOCAL session_replication_role = replica")  # no trigger fires
            admin.execute("SET LOCAL search_path = billing")
            admin.execute(TAMPERING[promise].encode())
        audit = database.audit()
        # The tests of a cluster share its database, of which only the rows are deleted.
        if promise in UNDO:
            admin.execute(UNDO[promise].encode())
    # With the organization, if it is about one.
    of_one = [line for one in audit.organizations for line in one.broken]
    told = audit.broken if promise in OF_THE_DATABASE else of_one
    assert promise in {line.split(":")[0] for line in told}


@pytest.mark.parametrize("column", ["head_hash = sha256('x')", "version = version + 1"])
@pytest.mark.usefixtures("used")
def test_the_audit_compares_each_part_of_the_newest_transaction(
    database: Database, column: LiteralString
) -> None:
    with database.admin() as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute(f"UPDATE billing.organizations SET {column}")
    [organization] = [one for one in database.audit().organizations if one.broken]
    promises = {line.split(":")[0] for line in organization.broken}
    assert "balance, version and hash are the newest transaction's" in promises


def _chain(database: Database, organization_id: UUID) -> list[dict[str, Any]]:
    with database.admin() as admin, admin.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "SELECT * FROM billing.credit_transactions WHERE organization_id = %s ORDER BY version",
            [organization_id],
        ).fetchall()


def test_the_hash_chain_can_be_checked_without_the_database(database: Database, used: UUID) -> None:
    previous = hashlib.sha256(b"").digest()
    rows = _chain(database, used)
    assert len(rows) == 5
    for row in rows:
        personal = [
            str(row["personal_salt"]),
            *(row[name] for name in ("description", "initiated_by", "end_user", "metadata")),
        ]
        assert row["personal_digest"] == hashlib.sha256(_json(personal)).digest()
        content = [
            str(row["id"]),
            str(row["organization_id"]),
            str(row["version"]),
            row["transaction_type"],
            *(
                f"{row[name]:.8f}"
                for name in ("amount_usd", "balance_before_usd", "balance_after_usd")
            ),
            row["reference_id"],
            row["hold_id"] and str(row["hold_id"]),
            row["charge_id"] and str(row["charge_id"]),
            row["personal_digest"].hex(),
            str(round(row["created_at"].timestamp() * 1_000_000)),
            f"{row['drawn_usd']:.8f}",
            row["grant_id"] and str(row["grant_id"]),
            row["grants"],
        ]
        assert row["hash"] == hashlib.sha256(previous + _json(content)).digest()
        previous = row["hash"]


def _json(values: list[Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode()


def test_adjustments_take_more_than_there_is_only_when_told_to(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "5")
        with pytest.raises(InsufficientCredits):
            steps.adjust(db, organization_id, "-6")
        below = steps.adjust(db, organization_id, "-6", allow_negative_balance=True)
        assert below.balance_after_usd == -1
        with pytest.raises(InsufficientCredits):
            steps.charge(db, organization_id, "0.01")
        steps.top_up(db, organization_id, "2")
        assert steps.charge(db, organization_id, "1").balance_after_usd == 0
    assert database.audit().whole


def test_a_refund_is_of_a_charge_and_within_it(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        credited = steps.top_up(db, organization_id, "1")
        charged = steps.charge(db, organization_id, "4")
        assert steps.refund(db, charged, "1.5").refunded_transaction_id == charged.id
        assert steps.refund(db, charged).amount_usd == Decimal("2.5")
        for amount in ("0.00000001", None):
            with pytest.raises(Unprocessable):
                steps.refund(db, charged, amount)
        with pytest.raises(Conflict, match="only a charge"):
            steps.refund(db, credited)
        for unknown in (UUID(int=1), UUID("01a20b9a-70a9-7659-aaf5-efc6d692b114")):
            with pytest.raises(NotFound):
                steps.refund(db, charged.model_copy(update={"id": unknown}))
    assert database.audit().whole


def test_a_default_that_is_named_makes_no_other_request(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db)
        first = steps.top_up(db, organization_id, "5", "key")
        assert steps.top_up(db, organization_id, "5", "key", priority=50, paid=None) == first
        with pytest.raises(IdempotencyKeyReused):
            steps.top_up(db, organization_id, "5", "key", priority=51)


def test_a_refused_request_leaves_its_key_free(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "1")
        with pytest.raises(InsufficientCredits):
            steps.charge(db, organization_id, "2", "k")
        steps.top_up(db, organization_id, "1")
        assert steps.charge(db, organization_id, "2", "k").balance_after_usd == 0
