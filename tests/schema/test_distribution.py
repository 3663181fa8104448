"""The schema keeps the rules by which an organization's rows can live on one of several servers.

They are those of Citus for a table that is distributed by a column:
https://docs.citusdata.com/en/stable/sharding/data_modeling.html
"""

import re
from pathlib import Path

import pytest

from synaxis_billing.schema.distribution import COORDINATOR
from synaxis_billing.schema.migrate import api_functions, function_files
from tests.conftest import Database

# The price book, which each server has whole, so that any row may refer to it.
BOOK = {"prices", "reratings"}
# Rows that belong to no organization, or find one.
SHARED = {"exchange_rates", "document_counters", "external_ids", "migrations"} | BOOK
SHARED |= {"payment_objects", "payment_events", "document_key"}
# By which column an organization's rows are found.
COLUMN = {"organizations": "id", "invalidations": "tenant"}
# What is asked of the whole platform. The lists of organizations only read; what they list is
# then done for one organization after the other.
OF_ALL = {
    "delivered_invalidations",
    "client_to_verify",
    "due_invoices",
    "due_auto_topups",
    "due_payments",
    "due_topups",
    "due_webhooks",
    "failed_topups",
    "failed_invalidations",
    "waiting_invalidations",
    "waiting_months",
    "waiting_webhooks",
    "event_subjects",
    "organizations_by",
    "refused_events_page",
    "ensure_partitions",
    "month_end",
    "organizations_charged_for",
    "organizations_page",
    "organizations_to_dun",
    "organizations_to_settle",
    "organizations_with_unpriced",
    "pending_invalidations",
    "plan_forecasts",
    "plan_month_end",
    "platform_daily_spend",
    "platform_payments",
    "platform_spending",
    "revenue",
    "unpriced",
    # The price book.
    "everyones_quote",
    "create_price",
    "create_rerating",
    "import_prices",
    "price",
    "prices",
    # Refused by a cluster, whose callers charge the batch of each organization by itself.
    "charge_batch",
    "spend_batch",
    "set_tenant",
    # A provider names its own objects.
    "store_payment_event",
    "empty_payment_events",
    "unknown_payment_events",
    "unmatched_payment_events",
}
# Of these, what one server does, or the coordinator by its own copy of the book.
AT_HAND = {"charge_batch", "everyones_quote", "price", "prices", "set_tenant"}


def test_every_key_begins_with_the_organization(database: Database) -> None:
    with database.admin() as admin:
        keys = admin.execute(
            "SELECT c.relname, i.indexrelid::regclass::text, a.attname"
            " FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid"
            " LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]"
            " WHERE c.relnamespace = 'billing'::regnamespace AND i.indisunique"
            " AND NOT c.relispartition"
        ).fetchall()
    assert len(keys) > 20
    for table, key, first in keys:
        if table not in SHARED:
            assert first == COLUMN.get(table, "organization_id"), key


def test_every_table_of_an_organization_names_it(database: Database) -> None:
    with database.admin() as admin:
        tables = admin.execute(
            "SELECT c.relname, array_agg(a.attname) FROM pg_class AS c"
            " JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0"
            " WHERE c.relnamespace = 'billing'::regnamespace AND c.relkind IN ('r', 'p')"
            " AND NOT c.relispartition GROUP BY 1"
        ).fetchall()
    for table, columns in tables:
        assert table in SHARED or COLUMN.get(table, "organization_id") in columns, table


def test_a_reference_stays_within_the_organization(database: Database) -> None:
    with database.admin() as admin:
        references = admin.execute(
            "SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid)"
            " FROM pg_constraint WHERE contype = 'f'"
            " AND connamespace = 'billing'::regnamespace AND conparentid = 0"
        ).fetchall()
    assert references
    for name, table, definition in references:
        own = re.match(r"FOREIGN KEY \(organization_id\b", definition)
        whole = re.search(rf"REFERENCES billing\.({'|'.join(BOOK)})\(", definition)
        assert own or whole, (name, table, definition)


@pytest.mark.parametrize("path", function_files(), ids=lambda path: path.stem)
def test_a_function_of_the_api_takes_its_organization_by_itself(path: Path) -> None:
    text = path.read_text()
    for name in api_functions(text):
        found = re.search(
            rf"OR REPLACE \w+ billing\.{name}\((.*?)\)\s+(?:RETURNS|LANG)", text, re.S
        )
        assert found, name
        if "p_tenant text" in found[1] and name not in OF_ALL and "rate" not in name:
            assert "p_organization_id uuid" in found[1], name


def _statements() -> list[tuple[str, str]]:
    """Return the statements of every function's body, each with its file."""
    texts = [(path.name, re.sub(r"--[^\n]*", "", path.read_text())) for path in function_files()]
    return [(name, part) for name, text in texts for part in text.split(";")]


def test_what_is_asked_of_all_organizations_sets_its_tenant_on_every_node() -> None:
    for path in function_files():
        text = path.read_text()
        for found in re.finditer(
            r"OR REPLACE FUNCTION billing\.(\w+)\((.*?)\)\s+RETURNS.*?(?:END|\n) ?\$\$;", text, re.S
        ):
            if found[1] in OF_ALL - AT_HAND:
                assert "set_config('billing.tenant'" not in found[0], found[1]


def test_a_change_computes_its_values_before_it_reaches_the_row() -> None:
    """A cluster sends the text of an UPDATE to a node, and takes no volatile function in it."""
    checked = 0
    for name, statement in _statements():
        found = re.search(
            r"(?:UPDATE billing\.|DO UPDATE\b|DELETE FROM billing\.).*", statement, re.S
        )
        if found:
            checked += 1
            assert not re.search(r"billing\.now\(\)|random\(\)|gen_random_uuid\(\)", found[0]), (
                name,
                found[0],
            )
    assert checked > 20


def test_rows_of_the_coordinator_are_looked_for_by_themselves() -> None:
    """A node asks the coordinator for columns, of which EXISTS in a larger query has none."""
    checked = 0
    for name, statement in _statements():
        if re.search(rf"SELECT FROM billing\.({'|'.join(COORDINATOR)})\b", statement):
            checked += 1
            tables = re.findall(r"(?:FROM|JOIN|INTO|UPDATE) billing\.(\w+)\b(?!\()", statement)
            assert set(tables) <= set(COORDINATOR), (name, statement)
    assert checked


def test_a_function_that_uses_rows_of_the_coordinator_sets_its_tenant_there() -> None:
    found = {}
    for path in function_files():
        text = re.sub(r"--[^\n]*", "", path.read_text())
        for body in re.finditer(r"OR REPLACE \w+ billing\.(\w+)\((?:(?!OR REPLACE).)*", text, re.S):
            if re.search(r"billing\.(external_ids|payment_objects)\b", body[0]):
                found[body[1]] = "billing.set_tenant(" in body[0]
    assert found["know_objects"]
    assert all(found.values()), found


def test_a_row_is_given_to_a_function_by_its_columns() -> None:
    """A shard's rows are of another type than the table's: ROW(t.*)::billing.table is of either."""
    for name, statement in _statements():
        for function, row in re.findall(r"billing\.(\w+)\((?:ARRAY\[)?(\w+)[],)]", statement):
            table = rf"(FROM|JOIN) (billing\.\w+|\([^;]*FROM billing[^;]*\)) AS {row}\b"
            assert row not in ("NEW", "OLD"), (name, function)
            assert not re.search(table, statement), (name, function, row)


def test_an_audit_calls_no_function_in_a_join() -> None:
    """A cluster joins tables on the organization, and nothing else to them."""
    checked = 0
    for name, statement in _statements():
        if name == "audit.sql":
            checked += 1
            assert not re.search(r"LATERAL billing\.", statement), statement
    assert checked


def test_a_function_that_reads_an_organization_is_planned_with_its_id(database: Database) -> None:
    """A cluster plans no query of an SQL function, whose parameters have no values."""
    with database.admin() as admin:
        found = admin.execute(
            "SELECT DISTINCT p.proname FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang"
            " JOIN pg_class AS c ON c.relnamespace = p.pronamespace"
            " AND c.relkind IN ('r', 'p', 'v')"
            " WHERE p.pronamespace = 'billing'::regnamespace AND l.lanname = 'sql'"
            r" AND p.prosrc ~ ('(FROM|JOIN|UPDATE) billing\.' || c.relname || '\y')"
            " AND c.relname <> ALL (%s)",
            [list(SHARED)],
        ).fetchall()
    assert found == []
