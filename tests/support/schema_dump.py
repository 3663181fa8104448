"""Write schema/schema.sql, the schema of a migrated database."""

import re
import subprocess
import tempfile
from pathlib import Path

import psycopg

from local import servers
from local.database import prepare
from synaxis_billing import schema

PATH = Path(schema.__file__).parent / "schema.sql"
COMMAND = "PYTHONPATH=shared:. .venv/bin/python -m tests.support.schema_dump"
_HEADER = f"""\
-- The schema of a migrated database, for readers: generated, never applied. Monthly partitions
-- are left out; functions are listed with their owner and callers. After a change of SQL:
--   {COMMAND}
"""
_ENTRY = re.compile(r"^--\n-- Name: (.+?); Type: (.+?); Schema: .*\n--\n", re.MULTILINE)
_FUNCTIONS = """
    SELECT format(E'-- billing.%s(%s)\\n--     RETURNS %s%s%s', p.proname,
        pg_get_function_arguments(p.oid), pg_get_function_result(p.oid),
        CASE WHEN p.prosecdef THEN ', as ' || CASE WHEN r.rolname LIKE 'synaxis_%' THEN r.rolname
            ELSE 'administrator' END END,
        ', for ' || (SELECT string_agg(role, ', ' ORDER BY role COLLATE "C")
            FROM unnest(ARRAY['synaxis_app', 'synaxis_eraser', 'synaxis_ledger']) AS role
            WHERE has_function_privilege(role, p.oid, 'EXECUTE')))
    FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner
    WHERE p.pronamespace = 'billing'::regnamespace
    ORDER BY p.proname COLLATE "C", pg_get_function_arguments(p.oid) COLLATE "C"
"""


def schema_of(admin_url: str) -> str:
    """Return types, tables, indexes, triggers, policies, grants and the list of functions."""
    pg_dump = servers.postgres_binaries() / "pg_dump"
    options = ["--schema-only", "--schema=billing", "--no-owner"]
    options += ["--exclude-table=billing.*_[0-9]*", f"--dbname={admin_url}"]
    dump = subprocess.run([pg_dump, *options], capture_output=True, text=True, check=True).stdout
    # The text before the first entry and the last lines are settings of the session.
    _, *parts = _ENTRY.split(dump.partition("\n--\n-- PostgreSQL database dump complete")[0])
    entries = [
        text
        for name, kind, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
        if kind != "FUNCTION" and not (kind == "ACL" and name.startswith("FUNCTION"))
    ]
    statements = re.sub(r"^SET .*\n", "", "\n".join(entries), flags=re.MULTILINE)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        functions = "\n".join(row[0] for row in admin.execute(_FUNCTIONS.encode()))
    return f"{_HEADER}\n{re.sub(r'\n{2,}', '\n\n', statements).strip()}\n\n{functions}\n"


def main() -> None:
    """Start a server, migrate a database, and write its schema."""
    with tempfile.TemporaryDirectory(prefix="synaxis-billing-") as root:
        Path(root).chmod(0o711)
        with servers.postgres(Path(root) / "server", durable=False) as admin_url:
            prepare(admin_url)
            PATH.write_text(schema_of(admin_url))


if __name__ == "__main__":
    main()
