"""The SQL can be read in one go, in any order, and names what it writes."""

import importlib
import pkgutil
import re
from collections import Counter
from pathlib import Path

import psycopg
import pytest

import synaxis_billing
from synaxis_billing import procedures, schema
from synaxis_billing.errors import refusals
from synaxis_billing.schema import migrate as migrations
from synaxis_billing.schema.migrate import function_files, migrate
from tests.conftest import Database
from tests.support import steps

SCHEMA = Path(schema.__file__).parent
CORE = SCHEMA.parent
FILES = sorted(path for path in CORE.rglob("*.sql") if path.name != "schema.sql")
LONGEST_FUNCTION = 60


def broken_rules(text: str) -> set[str]:
    """Return the rules that the text of a file breaks, each with its place."""
    broken = set()
    if not re.match(r"-- \S.{20,}", text):
        broken.add("no header")
    for found in re.finditer(
        r"^CREATE (?:OR REPLACE )?FUNCTION billing\.(\w+).*?\$\$;$", text, re.M | re.S
    ):
        if found[0].count("\n") + 1 > LONGEST_FUNCTION:
            broken.add(f"long: {found[1]}")
    for found in re.finditer(r"INSERT INTO [\w.%]+(?: AS \w+)?\s+(\S)", text):
        if found[1] != "(":
            broken.add(f"no columns: {found[0]}")
    for found in re.finditer(r"(?<![\w.])(clock_timestamp|statement_timestamp|now)\(\)", text):
        if text[: found.start()].rsplit("\n", 1)[-1] != _CLOCK:
            broken.add(f"another clock: {found[0]}")
    said = re.findall(r"invalid_state\((?:format\()?'([^']*)'", text)
    return broken | {f"no sentence: {of}" for of in said if not re.fullmatch(r"[A-Z].*\.", of)}


_CLOCK = "CREATE FUNCTION billing.now() RETURNS timestamptz LANGUAGE sql VOLATILE RETURN "


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_each_file_keeps_the_rules(path: Path) -> None:
    broken = broken_rules(path.read_text())
    # A partition has its parent's columns, whatever they are.
    assert broken - {"no columns: INSERT INTO billing.%I S"} == set()


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("CREATE TABLE billing.x (id int);", "no header"),
        (
            "CREATE OR REPLACE FUNCTION billing.f() AS $$\n" + "SELECT 1;\n" * 60 + "$$;\n",
            "long: f",
        ),
        ("INSERT INTO billing.holds VALUES (1)", "no columns: INSERT INTO billing.holds V"),
        ("INSERT INTO billing.x AS r\nSELECT 1", "no columns: INSERT INTO billing.x AS r\nS"),
        ("    created_at timestamptz DEFAULT now()", "another clock: now()"),
        ("RETURN billing.invalid_state(format('hold %s is', h.id));", "no sentence: hold %s is"),
    ],
)
def test_a_file_that_breaks_a_rule_is_found(text: str, broken: str) -> None:
    assert broken in broken_rules(text)


def test_a_function_has_one_place_and_one_signature() -> None:
    text = "\n".join(path.read_text() for path in FILES)
    names = Counter(re.findall(r"^CREATE (?:OR REPLACE )?FUNCTION billing\.(\w+)", text, re.M))
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) > 100


def outcomes(text: str) -> set[str]:
    """Return the codes with which the functions in the text of a file can end."""
    found = set(re.findall(r"billing\.outcome\(\s*'(\w+)'", text))
    for cases in re.findall(r"billing\.outcome\(\s*CASE\b(.*?)\bEND\b", text, re.S):
        found |= set(re.findall(r"(?:THEN|ELSE)\s+'(\w+)'", cases))
    return found


def test_every_refusal_has_one_owner_in_python() -> None:
    for module in pkgutil.walk_packages(synaxis_billing.__path__, "synaxis_billing."):
        if ".edge" not in module.name:
            importlib.import_module(module.name)
    declared = Counter(kind.code for kind in refusals())
    assert [code for code, count in declared.items() if count > 1] == []
    ended = set().union(*(outcomes(path.read_text()) for path in FILES))
    # Modules answer for a time zone and for the expiry of a grant themselves: as rules of a field.
    # Usage without a price is kept, which is no refusal.
    others = {"unknown_timezone", "ended_grant", "unpriced"}
    assert ended - declared.keys() - set(procedures.SUCCESSES) == others


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("RETURN billing.outcome('hold_not_found');", {"hold_not_found"}),
        ("SELECT billing.outcome(\n    'gone', json_build_object())", {"gone"}),
        ("billing.outcome(CASE WHEN x THEN 'a' WHEN y = 'z' THEN 'b' ELSE 'c' END)", set("abc")),
        ("RETURN billing.outcome(p_code);", set()),
    ],
)
def test_the_outcomes_of_a_file_are_found(text: str, codes: set[str]) -> None:
    assert outcomes(text) == codes


def test_a_function_that_is_immutable_reads_no_table(database: Database) -> None:
    with database.admin() as admin:
        immutable = admin.execute(
            "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'billing'::regnamespace"
            " AND provolatile = 'i'"
        ).fetchall()
        tables = admin.execute(
            "SELECT string_agg(relname, '|') FROM pg_class"
            " WHERE relnamespace = 'billing'::regnamespace AND relkind IN ('r', 'p', 'v')"
        ).fetchall()[0][0]
    reading = re.compile(rf"(FROM|JOIN)\s+(billing\.)?({tables})\b")
    assert [name for name, body in immutable if reading.search(body)] == []
    assert {"in_currency", "tax_rate", "allocate"} <= {name for name, _ in immutable}


def test_the_files_work_in_any_order(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "function_files", lambda: function_files()[::-1])
    with database.admin() as admin, database.connect() as db:
        admin.execute("DROP SCHEMA billing CASCADE")
        assert migrate(admin)[-2:] == ["functions", "triggers"]
        steps.charge(db, steps.new_organization(db, "10"), "1")
    assert database.audit().whole


def test_every_body_is_valid(database: Database) -> None:
    with database.admin() as admin:
        admin.execute("SET check_function_bodies = on")
        broken = []
        for name, definition in admin.execute(
            "SELECT oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc"
            " WHERE pronamespace = 'billing'::regnamespace"
        ).fetchall():
            try:
                admin.execute(definition.encode())
            except psycopg.Error as error:
                broken.append(f"{name}: {error}")
    assert broken == []
