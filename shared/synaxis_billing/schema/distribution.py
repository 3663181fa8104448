"""Distribute the ledger over the nodes of a Citus cluster, each organization on one of them.

The rows of an organization have one key, so Citus stores them together, and a function of the API
runs whole on the node that has them. Rows of no organization are either copied to each node, since
every charge may read them, or stay on the coordinator, which counts.
https://docs.citusdata.com/en/stable/develop/api_udf.html
"""

from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from synaxis_billing import procedures

# Rows that no charge reads, and of which there is one in the whole cluster.
COORDINATOR = (
    "document_counters",
    "document_key",
    "external_ids",
    "payment_objects",
    "payment_events",
)
# Tables whose organization has another name than organization_id.
KEYS = {"organizations": "id", "invalidations": "tenant"}
ORGANIZATIONS = "billing.organizations"

# The tenant goes with a statement to the other nodes; a function in a statement reads rows of the
# same organization, which are on the same node.
_SETTINGS = {
    "citus.propagate_set_commands": "local",
    "citus.allow_nested_distributed_execution": "on",
}
_ROLES = ("synaxis_app", "synaxis_ledger", "synaxis_eraser")
_TABLES: LiteralString = """
    SELECT c.oid::regclass::text, c.relname, a.attname, NOT EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indkey[0] <> a.attnum)
    FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid
        AND a.attname = coalesce(%s::jsonb ->> c.relname, 'organization_id')
    WHERE c.relnamespace = 'billing'::regnamespace AND c.relkind IN ('r', 'p')
        AND NOT c.relispartition AND c.relname <> 'migrations'
        AND NOT EXISTS (SELECT FROM pg_dist_partition AS d WHERE d.logicalrelid = c.oid)
    ORDER BY c.relname <> 'organizations', c.relname
"""
_REFERENCES: LiteralString = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = 'f' AND connamespace = 'billing'::regnamespace AND conparentid = 0
        AND (conrelid::regclass::text = ANY (%(tables)s)
            OR confrelid::regclass::text = ANY (%(tables)s))
"""
# What the application may call for one organization, and what those functions call.
_FUNCTIONS: LiteralString = """
    SELECT signature, delegated FROM (
        SELECT p.oid::regprocedure::text AS signature, coalesce(
            has_function_privilege('synaxis_app', p.oid, 'EXECUTE')
            AND p.proargnames @> '{p_tenant,p_organization_id}', false) AS delegated,
            d.distribution_argument_index IS NOT NULL AS known_delegated,
            d.objid IS NOT NULL AS known
        FROM pg_proc AS p LEFT JOIN pg_dist_object AS d
            ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
        WHERE p.pronamespace = 'billing'::regnamespace
    ) AS f WHERE NOT known OR delegated <> known_delegated ORDER BY 1
"""

# In a cluster, the charges of an organization that has budgets are decided one after the other: a
# statement that is undone alone, as that of billing.count_charge(), was not tried there.
_NEVER_AT_ONCE = """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_proc WHERE pronamespace = 'billing'::regnamespace
            AND proname = 'count_charge' AND provolatile <> 'i')
        THEN
            CREATE OR REPLACE FUNCTION billing.count_charge(
                p_organization_id uuid, u billing.usage_request, p_at timestamptz
            ) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
        END IF;
    END $$
"""
_GENERIC: LiteralString = """
    SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'billing'::regnamespace
        AND 'plan_cache_mode=force_generic_plan' = ANY (proconfig)
"""


def is_distributed(connection: psycopg.Connection) -> bool:
    """Say whether the organizations are distributed over a cluster."""
    if not procedures.is_distributed(connection):
        return False
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_dist_partition"
        f" WHERE logicalrelid = to_regclass('{ORGANIZATIONS}'))"
    ).fetchone()
    return row == (True,)


def prepare(connection: psycopg.Connection) -> None:
    """Create the extension if it is missing. Raises psycopg.Error on a server without Citus."""
    connection.execute("CREATE EXTENSION IF NOT EXISTS citus")


def begin(connection: psycopg.Connection) -> None:
    """Let this transaction change the tables and functions of all nodes."""
    # One shard after the other: a transaction that makes tables cannot use several connections.
    connection.execute("SET LOCAL citus.multi_shard_modify_mode TO 'sequential'")
    # A function may be created before those that it calls, on each node.
    connection.execute("SET LOCAL citus.propagate_set_commands TO 'local'")
    connection.execute("SET LOCAL check_function_bodies TO off")
    # The triggers touch rows of their own organization alone, which are on the same node.
    connection.execute("SET LOCAL citus.enable_unsafe_triggers TO on")


def drop_queries(connection: psycopg.Connection) -> bool:
    """Drop the policies that contain a query, which a cluster does not take; say whether there was
    one. The privileges have to be applied after that."""
    found = connection.execute(
        "SELECT policyname, tablename FROM pg_policies"
        " WHERE schemaname = 'billing' AND qual ~* '\\mselect\\M'"
    ).fetchall()
    for policy, table in found:
        connection.execute(
            sql.SQL("DROP POLICY {} ON billing.{}").format(
                sql.Identifier(policy), sql.Identifier(table)
            )
        )
    return bool(found)


def distribute_tables(connection: psycopg.Connection) -> list[str]:
    """Distribute the tables that are not distributed yet, and return their names.

    `connection` is a superuser's on the coordinator, in the transaction of begin().
    """
    tables = connection.execute(_TABLES, [Jsonb(KEYS)]).fetchall()
    names = [table[0] for table in tables]
    # A reference can be made only between tables that are distributed already.
    references = connection.execute(_REFERENCES, {"tables": names}).fetchall()
    for table, name, _ in references:
        connection.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(
                sql.SQL(table), sql.Identifier(name)
            )
        )
    for table, name, column, keyed in tables:
        if name in COORDINATOR:
            connection.execute("SELECT citus_add_local_table_to_metadata(%s)", [table])
        elif column is None or not keyed:
            connection.execute("SELECT create_reference_table(%s)", [table])
        else:
            connection.execute(
                "SELECT create_distributed_table(%s, %s, colocate_with => %s)",
                [table, column, "none" if table == ORGANIZATIONS else ORGANIZATIONS],
            )
    for table, name, definition in references:
        connection.execute(
            sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                sql.SQL(table), sql.Identifier(name), sql.SQL(definition)
            )
        )
    return names


def distribute_functions(connection: psycopg.Connection) -> list[str]:
    """Distribute the functions that are not distributed yet, and return their signatures, as
    distribute_tables() does. Their roles may log in from node to node."""
    functions = connection.execute(_FUNCTIONS).fetchall()
    for signature, delegated in functions:
        if delegated:
            connection.execute(
                "SELECT create_distributed_function(%s, 'p_organization_id', colocate_with => %s)",
                [signature, ORGANIZATIONS],
            )
        else:
            connection.execute("SELECT create_distributed_function(%s)", [signature])
    connection.execute(_NEVER_AT_ONCE)
    _check_instead(connection)
    # Such a plan has no value by which a node is chosen.
    for (signature,) in connection.execute(_GENERIC).fetchall():
        connection.execute(
            sql.SQL("ALTER FUNCTION {} RESET plan_cache_mode").format(sql.SQL(signature))
        )
    for role in _ROLES:
        _let_nodes_log_in(connection, role)
    return [signature for signature, _ in functions]


def _check_instead(connection: psycopg.Connection) -> None:
    """Replace restrictive policies by constraints: Citus makes permissive ones of them, which would
    let a function see the rows of every tenant."""
    found = connection.execute(
        "SELECT policyname, tablename, with_check, EXISTS (SELECT FROM pg_constraint"
        "  WHERE conname = policyname AND conrelid = to_regclass(format('billing.%%I', tablename)))"
        " FROM pg_policies WHERE schemaname = 'billing' AND permissive = %s",
        ["RESTRICTIVE"],
    ).fetchall()
    for name, table, condition, replaced in found:
        names = sql.Identifier(name), sql.Identifier(table)
        connection.execute(sql.SQL("DROP POLICY {} ON billing.{}").format(*names))
        if not replaced:
            connection.execute(
                sql.SQL("ALTER TABLE billing.{1} ADD CONSTRAINT {0} CHECK ({2})").format(
                    *names, sql.SQL(condition)
                )
            )


def _let_nodes_log_in(connection: psycopg.Connection, role: str) -> None:
    """Let the nodes reach each other as a role that owns functions."""
    name = sql.Identifier(role)
    [(can_log_in, settings)] = connection.execute(
        "SELECT rolcanlogin, coalesce(rolconfig, '{}') FROM pg_roles WHERE rolname = %s", [role]
    ).fetchall()
    if not can_log_in:
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN").format(name))
    for setting, value in _SETTINGS.items():
        if f"{setting}={value}" not in settings:
            connection.execute(
                sql.SQL("ALTER ROLE {} SET {} TO {}").format(
                    name, sql.SQL(setting), sql.Literal(value)
                )
            )
