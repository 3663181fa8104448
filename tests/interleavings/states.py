"""All that a database holds: kept, restored, and compared without what chance has chosen."""

import difflib
import json
import re
from typing import Any

import psycopg

# It says how often an erasure came back, which is not what it has erased.
_NOT_COMPARED = ("migrations", "erasures")
# What an erasure empties, and the outbox that tells caches of it.
_PERSONAL = {
    "description",
    "initiated_by",
    "end_user",
    "metadata",
    "personal_salt",
    "name",
    "address",
    "customer",
    "tax",
    "invalidations",
}
_TABLES = """
    SELECT c.relname, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'billing'::regnamespace AND c.relkind IN ('r', 'p')
    AND NOT c.relispartition AND c.relname <> 'migrations'
    AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    GROUP BY c.relname ORDER BY c.relname
"""
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME_OF_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}(?=-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")
_FRACTION = re.compile(r"(?<=:\d\d)\.\d{1,6}(?=\+00:00|Z)|(?<=\b1[67]\d{8})\d{6}\b")
_BYTES = re.compile(r"\\\\x[0-9a-f]+|\b[0-9a-f]{64}\b")


class Keeper:
    """The rows of a test's own database, as they were when it was made."""

    def __init__(self, admin: psycopg.Connection) -> None:
        self._admin = admin
        # The columns of each table that are not computed from others.
        columns = {str(name): str(own) for name, own in admin.execute(_TABLES)}
        for name in columns:
            _execute(admin, f"CREATE TABLE stepping.{name} AS TABLE billing.{name}")
        rows = ", ".join(
            f"'{name}', (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]') FROM billing.{name} AS r)"
            for name in columns
            if name not in _NOT_COMPARED
        )
        self._rows = f"SELECT jsonb_build_object({rows})::text"
        again = "; ".join(
            f"DELETE FROM billing.{name};"
            f" INSERT INTO billing.{name} ({own}) SELECT {own} FROM stepping.{name}"
            for name, own in columns.items()
        )
        self._again = f"SET LOCAL session_replication_role = replica; {again}"
        self._known = set(_ID.findall(self._read()))

    def restore(self) -> None:
        """Put every row back."""
        with self._admin.transaction():
            _execute(self._admin, self._again)

    def compare_by(self, answers: list[Any], erased: bool = False) -> str:
        """Return the rows and the answers as a text that is equal for equal histories: new ids are
        numbered; hashes, salts, digests and the fractions of seconds left out; and, when an erasure
        is one of them, the fields that it empties."""
        tables = json.loads(self._read())
        for hold in tables["holds"]:
            # A set: the budgets that count it.
            hold["budget_ids"] = sorted(hold["budget_ids"] or [])
        tables["answers"] = answers
        if erased:
            tables = _without(tables, _PERSONAL)
        lines = [
            f"{name} {json.dumps(row, sort_keys=True)}" for name in tables for row in tables[name]
        ]
        lines = [_BYTES.sub("bytes", _FRACTION.sub("", line)) for line in lines]
        # What is alike but for new ids, by the part of them that does not depend on the time.
        lines.sort(key=lambda line: (_ID.sub(self._masked, line), _TIME_OF_ID.sub("", line)))
        numbers: dict[str, str] = {}

        def number(found: re.Match[str]) -> str:
            if found[0] in self._known:
                return found[0]
            return numbers.setdefault(found[0], f"new {len(numbers) + 1}")

        return "\n".join(_ID.sub(number, line) for line in lines)

    def contains(self, text: str) -> bool:
        return text in self._read()

    def _masked(self, found: re.Match[str]) -> str:
        return found[0] if found[0] in self._known else "new"

    def _read(self) -> str:
        [(rows,)] = self._admin.execute(self._rows.encode()).fetchall()
        return str(rows)


def difference(expected: str, found: str) -> str:
    """The fields that differ, one a line."""
    old, new = (re.sub(r", (?=\")", "\n    ", text).split("\n") for text in (expected, found))
    return "\n".join(difflib.unified_diff(old, new, lineterm="", n=0))


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(of, names) for name, of in value.items() if name not in names}
    return [_without(of, names) for of in value] if isinstance(value, list) else value


def _execute(admin: psycopg.Connection, statement: str) -> None:
    admin.execute(statement.encode())
