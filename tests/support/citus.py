"""A database of the Citus cluster whose coordinator CITUS_URL names; its tests run one by one.

To copy it for each test, as a single server's is, would take ten seconds: it is emptied instead.
"""

import contextlib
from collections.abc import Iterator

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

# Tests that cannot be run on a cluster, by the reason.
_REASONS = {
    "a constraint binds an administrator, too": (
        "test_the_audit_finds_what_was_tampered_with[credit is not overdrawn]",
        "test_the_audit_finds_a_budget_that_is_wrong[UPDATE billing.budgets SET limit_usd = 1]",
    ),
    "rows are copied to a node, which row-level security refuses; test_citus.py has it": (
        "test_the_ledger_itself_cannot_write_money_that_does_not_add_up[INSERT]",
    ),
    "the rows are read by sessions of other nodes, whose counters it does not see": (
        "test_a_filtered_list_reads_a_bounded_number_of_rows",
    ),
    "a batch is a statement for each organization, not one that nobody reads": (
        "test_a_batch_whose_answer_nobody_reads_holds_no_organization",
    ),
    "a call in a transaction of the client finds no organization": (
        "test_a_hold_that_is_captured_while_it_is_erased_leaves_nothing_in_its_charge",
        "test_a_hold_that_is_erased_while_it_is_captured_leaves_nothing_in_its_charge",
        "test_an_erasure_waits_for_no_change_under_way",
        "test_erasures_of_one_organization_take_turns",
        "test_a_change_of_the_profile_while_it_is_erased_is_kept",
        "test_numbers_have_no_gap_though_many_are_issued_at_once_and_some_are_rolled_back",
        "test_what_is_rolled_back_was_never_an_event",
    ),
    "the test's administrator sets for its session what the other nodes do not hear of": (
        "test_the_audit_computes_every_priced_amount_again",
        "test_an_invoice_is_overdue_the_day_after_it_was_due_where_the_customer_is",
        "test_every_step_of_an_invoice_is_an_event",
        "test_only_the_platform_makes_forecasts_and_each_sees_its_own",
    ),
    "an UPDATE takes no time less an interval, which depends on the session's time zone": (
        "test_days_without_spend_count_and_the_first_ones_before_it_do_not",
        "test_an_endpoint_that_only_fails_is_disabled_and_enabled_again_by_its_owner",
    ),
    "the function of the test's trigger is on one node": (
        "test_an_organization_that_cannot_be_forecast_does_not_affect_the_others",
        "test_an_organization_whose_usage_cannot_be_charged_stops_no_other",
    ),
    "the test locks an organization's places on the coordinator, where nobody looks for them": (
        "test_an_organization_with_too_many_calls_under_way_stops_no_other",
    ),
    "constraints stand in for policies": ("test_a_charge_parses_no_check",),
}
ONE_SERVER = {name: reason for reason, names in _REASONS.items() for name in names}
# An administrator's settings of a transaction, and triggers, are on every node.
ADMINISTRATOR = "-c citus.propagate_set_commands=local -c citus.enable_unsafe_triggers=on"
_NODES = "SELECT nodename, nodeport FROM pg_dist_node WHERE isactive ORDER BY groupid"
# No trigger and no reference is in the way of a replica.
_EMPTY = """
    SET session_replication_role TO replica;
    SET citus.override_table_visibility TO off;
    DO $$
    DECLARE
        v_table regclass;
    BEGIN
        FOR v_table IN
            SELECT oid FROM pg_class WHERE relnamespace = 'billing'::regnamespace AND relkind = 'r'
                AND relname ~ '_[0-9]{6,}$'
        LOOP
            EXECUTE format('DELETE FROM %s', v_table);
        END LOOP;
    END $$
"""
_CLOCK = (
    "CREATE OR REPLACE FUNCTION billing.now() RETURNS timestamptz LANGUAGE sql VOLATILE"
    " RETURN clock_timestamp()"
)


def nodes(coordinator_url: str) -> list[str]:
    """The administrator's URL of each node, the coordinator first."""
    with psycopg.connect(coordinator_url, autocommit=True) as connection:
        found = connection.execute(_NODES).fetchall()
    return [make_conninfo(coordinator_url, host=host, port=port) for host, port in found]


@contextlib.contextmanager
def cluster(coordinator_url: str, name: str) -> Iterator[str]:
    """The coordinator's URL of a new database of each node."""
    urls = nodes(coordinator_url)
    try:
        for url in urls:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        _join([make_conninfo(url, dbname=name) for url in urls])
        yield make_conninfo(coordinator_url, dbname=name)
    finally:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        for url in urls:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(drop)


def empty(admin_url: str) -> None:
    """Delete every row on every node, and set the clock right."""
    for url in nodes(admin_url):
        with psycopg.connect(url, autocommit=True) as node:
            node.execute(_EMPTY)
    with psycopg.connect(admin_url, autocommit=True) as coordinator:
        coordinator.execute(_CLOCK)


def _join(urls: list[str]) -> None:
    for url in urls:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION citus")
    parts = [conninfo_to_dict(url) for url in urls]
    with psycopg.connect(urls[0], autocommit=True) as coordinator:
        own = [parts[0]["host"], parts[0]["port"]]
        coordinator.execute("SELECT citus_set_coordinator_host(%s, %s::int)", own)
        for worker in parts[1:]:
            coordinator.execute(
                "SELECT citus_add_node(%s, %s::int)", [worker["host"], worker["port"]]
            )
        if not parts[1:]:
            coordinator.execute(
                "SELECT citus_set_node_property(%s, %s::int, 'shouldhaveshards', true)", own
            )
