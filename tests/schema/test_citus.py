"""A Citus cluster runs the ledger: `CITUS_URL` names its coordinator."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from local.database import prepare
from synaxis_billing import procedures
from synaxis_billing.invoices import invoices, month_end
from synaxis_billing.organizations import listing
from synaxis_billing.prices.unpriced import list_unpriced
from synaxis_billing.schema.migrate import migrate
from synaxis_billing.schema.partitions import ensure_partitions
from tests.conftest import CITUS_URL, Database
from tests.support import billing, citus, steps
from tests.support.clock import move_clock

pytestmark = pytest.mark.skipif(not CITUS_URL, reason="CITUS_URL names no cluster")
MANY = 12


@pytest.fixture
def admin(database: Database) -> Iterator[psycopg.Connection]:
    with database.admin() as connection:
        yield connection


def test_a_second_run_changes_nothing(admin: psycopg.Connection) -> None:
    assert migrate(admin) == []
    assert migrate(admin, distributed=True) == []


def test_every_table_and_function_is_on_every_node(
    database: Database, admin: psycopg.Connection
) -> None:
    tables: dict[str, str] = dict(
        admin.execute(
            "SELECT table_name::text, citus_table_type FROM citus_tables"
            " WHERE NOT (SELECT relispartition FROM pg_class WHERE oid = table_name)"
        ).fetchall()
    )
    assert tables["billing.organizations"] == tables["billing.holds"] == "distributed"
    assert tables["billing.prices"] == "reference"
    assert tables["billing.document_counters"] == "local"
    rights = (
        "SELECT p.oid::regprocedure::text, pg_get_userbyid(p.proowner),"
        " has_function_privilege('synaxis_app', p.oid, 'EXECUTE'),"
        " has_function_privilege('synaxis_ledger', p.oid, 'EXECUTE')"
        " FROM pg_proc AS p WHERE p.pronamespace = 'billing'::regnamespace ORDER BY 1"
    )
    found = []
    for url in database.nodes():
        with psycopg.connect(url) as node:
            found.append(node.execute(rights).fetchall())
    assert all(of_node == found[0] for of_node in found)


def test_the_next_run_distributes_what_is_new(admin: psycopg.Connection) -> None:
    admin.execute(
        "CREATE TABLE billing.notes (organization_id uuid REFERENCES billing.organizations,"
        " id uuid, PRIMARY KEY (organization_id, id))"
    )
    admin.execute(
        "CREATE FUNCTION billing.note(p_tenant text, p_organization_id uuid) RETURNS bigint"
        " LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM billing.notes"
        " WHERE organization_id = p_organization_id); END'"
    )
    admin.execute("GRANT EXECUTE ON FUNCTION billing.note TO synaxis_app")
    try:
        assert migrate(admin) == ["billing.notes", "billing.note(text,uuid)"]
        assert migrate(admin) == []
    finally:
        admin.execute("DROP FUNCTION billing.note")
        admin.execute("DROP TABLE billing.notes")


def test_a_new_release_of_the_functions_is_distributed_like_the_old(
    database: Database, admin: psycopg.Connection
) -> None:
    admin.execute("UPDATE billing.migrations SET checksum = 'x' WHERE name = 'functions'")
    assert migrate(admin)[0] == "functions"
    assert migrate(admin) == []
    with database.connect() as db:
        organization_id = steps.new_organization(db, "10")
        assert steps.charge(db, organization_id, "4").balance_after_usd == 6
    assert database.audit().whole


def test_a_ledger_that_was_in_use_on_one_server_is_distributed_with_its_rows() -> None:
    assert CITUS_URL
    with citus.cluster(CITUS_URL, f"synaxis_moved_{os.getpid()}") as admin_url:
        app_url = prepare(admin_url)
        with psycopg.connect(app_url, autocommit=True) as db:
            organization_id = steps.new_organization(db, "10", external_id="acme")
            steps.charge(db, organization_id, "4")
        with psycopg.connect(admin_url, autocommit=True) as admin:
            assert "billing.organizations" in migrate(admin, distributed=True)
            assert migrate(admin) == []
        moved = Database(app_url, admin_url)
        with moved.connect() as db:
            assert steps.charge(db, organization_id, "4").balance_after_usd == 2
        assert moved.audit().whole


def test_no_node_has_other_policies_than_those_of_tenants(database: Database) -> None:
    for url in database.nodes():
        with psycopg.connect(url) as node:
            node.execute("SET citus.override_table_visibility TO off")
            found = node.execute(
                "SELECT DISTINCT policyname, permissive FROM pg_policies"
                " WHERE schemaname = 'billing' AND qual !~ 'billing.tenant' ORDER BY 1"
            ).fetchall()
        assert found == [("erasure", "PERMISSIVE"), ("everybody", "PERMISSIVE")]


def test_money_is_guarded_on_every_node(database: Database, admin: psycopg.Connection) -> None:
    admin.execute(
        "CREATE FUNCTION billing.forge(p_tenant text, p_organization_id uuid) RETURNS void"
        " LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE t billing.credit_transactions; BEGIN"
        " PERFORM set_config('billing.tenant', p_organization_id::text, true);"
        " SELECT * INTO t FROM billing.credit_transactions"
        " WHERE organization_id = p_organization_id LIMIT 1;"
        " t.created_at := t.created_at + interval '1 second'; t.version := t.version + 1;"
        " t.balance_after_usd := t.balance_after_usd + 1;"
        " PERFORM billing.store_transactions(ARRAY[t]); END $$"
    )
    try:
        admin.execute("GRANT EXECUTE ON FUNCTION billing.forge TO synaxis_app")
        admin.execute("GRANT CREATE ON SCHEMA billing TO synaxis_ledger")
        admin.execute("ALTER FUNCTION billing.forge OWNER TO synaxis_ledger")
        assert migrate(admin) == ["billing.forge(text,uuid)"]
        with database.connect() as db:
            organization_id = steps.new_organization(db, "10")
            steps.charge(db, organization_id, "1")
            with pytest.raises(psycopg.errors.CheckViolation):
                procedures.call(db, "forge", tenant="*", organization_id=organization_id)
    finally:
        admin.execute("REVOKE CREATE ON SCHEMA billing FROM synaxis_ledger")
        admin.execute("DROP FUNCTION billing.forge")


def test_organizations_live_on_every_node_and_each_call_on_its_own(
    database: Database, admin: psycopg.Connection
) -> None:
    with database.connect() as db:
        for _ in range(MANY):
            steps.charge(db, steps.new_organization(db, "10"), "1")
    sizes = admin.execute(
        "SELECT nodeport, result::int FROM run_command_on_placements('billing.organizations',"
        " 'SELECT count(*) FROM %s') WHERE success"
    ).fetchall()
    held: dict[int, int] = {}
    for port, count in sizes:
        held[port] = held.get(port, 0) + count
    assert sum(held.values()) == MANY
    assert all(held.values())
    assert database.audit().whole


def test_what_spans_organizations_asks_every_node(
    database: Database, admin: psycopg.Connection
) -> None:
    with database.connect() as db:
        ids = [
            steps.new_organization(db, payment_terms_days=0, credit_limit_usd="10")
            for _ in range(MANY)
        ]
        for organization_id in ids:
            steps.charge(db, organization_id, "1")
        listed = listing.list_organizations(
            db, steps.PLATFORM, listing.OrganizationFilter(), MANY, None
        )
        assert {row.id for row in listed.items} == set(ids)
        assert {row.balance_usd for row in listed.items} == {-1}

        # A batch over all of them: one transaction each.
        results = steps.charge_batch(db, *[steps.item(one, "1") for one in [*ids, *ids]])
        assert [result.status for result in results] == [201] * 2 * MANY

        pending = procedures.call(db, "pending_invalidations", tenant="*", limit=1000)
        assert {row["tenant"] for row in pending} == {str(one) for one in ids}
        sent = [UUID(row["id"]) for row in pending]
        assert procedures.call(db, "delivered_invalidations", tenant="*", ids=sent) == len(sent)
        assert procedures.call(db, "pending_invalidations", tenant="*", limit=1000) == []

        month = datetime.now(UTC).strftime("%Y-%m")
        move_clock(admin, timedelta(days=40))
        jobs = [job for page in month_end.plan_month(db, month) for job in page]
        assert {job.organization_id for job in jobs} == set(ids)
        for job in jobs:
            assert month_end.bill_month(db, job, billing.rates(), billing.ISSUER) == "issued"
        progress = month_end.get_progress(db, steps.PLATFORM, month)
        assert (progress.issued, progress.pending) == (MANY, 0)

        move_clock(admin, timedelta(days=3))
        assert invoices.mark_overdue(lambda: db) == MANY
        assert invoices.mark_overdue(lambda: db) == 0
        assert list_unpriced(db, steps.PLATFORM, 10, None).items == []
        assert ensure_partitions(db) != []
    audited = database.audit()
    assert audited.whole
    assert len(audited.organizations) == MANY
    numbers = admin.execute("SELECT invoice_number FROM billing.invoices ORDER BY 1").fetchall()
    assert [int(number.rsplit("-", 1)[1]) for (number,) in numbers] == list(range(1, MANY + 1))
