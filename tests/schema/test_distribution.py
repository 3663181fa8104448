"""The schema keeps the rules by which an organization's rows can live on one of several servers.

They are those of Citus for a table that is distributed by a column:
https://docs.citusdata.com/en/stable/sharding/data_modeling.html
"""

import re
from pathlib import Path

import pytest

from synaxis_billing.schema.migrate import api_functions, function_files
from tests.conftest import Database

# The price book, which each server has whole, so that any row may refer to it.
BOOK = {"prices", "price_rates", "reratings"}
# Rows that belong to no organization, or find one.
SHARED = {"exchange_rates", "document_counters", "external_ids", "migrations"} | BOOK
# By which column an organization's rows are found.
COLUMN = {"organizations": "id", "invalidations": "tenant"}
# What the platform asks about all organizations, shard by shard, and what asks about none.
OF_ALL = {
    "charge_batch",
    "spend_batch",
    "claim_topups",
    "claim_webhooks",
    "delivered_invalidations",
    "failed_topups",
    "failed_invalidations",
    "waiting_invalidations",
    "waiting_months",
    "waiting_webhooks",
    "webhooks_unsent",
    "event_subjects",
    "refused_events_page",
    "ensure_partitions",
    "mark_overdue",
    "month_end",
    "organizations_page",
    "organizations_to_settle",
    "pending_invalidations",
    "plan_forecasts",
    "plan_month_end",
    "platform_spending",
    "revenue",
    "create_organization",
    "create_price",
    "import_prices",
    "price",
    "prices",
    "unpriced",
    "charge_unpriced",
}


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
