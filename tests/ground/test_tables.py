"""CSV that a spreadsheet reads as it was meant, and of which it runs nothing."""

import csv
import re
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synaxis_billing.tables import MARK, table

# https://owasp.org/www-community/attacks/CSV_Injection, and the wide forms of the signs.
STARTS = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001
CALL = "cmd|' /C calc'!A0"


def cells(*row: object) -> list[str]:
    """The one row of a table, as a program reads it."""
    _, found = csv.reader(StringIO(table(["any"] * len(row), [row]), newline=""))
    return found


def test_it_is_utf_8_with_its_mark_and_crlf() -> None:
    text = table(["model", "note"], [["größer, 猫", 'said "so"'], ["two\nlines", None]])
    assert text.encode()[:3] == b"\xef\xbb\xbf"
    assert text == ('\ufeffmodel,note\r\n"größer, 猫","said ""so"""\r\n"two\nlines",\r\n')


def test_numbers_and_times_are_plain_and_null_is_empty() -> None:
    instant = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    assert cells(Decimal("-8.25e-05"), -7, instant, UUID(int=7), None, {"a": "ü"}) == [
        "-0.0000825",
        "-7",
        "2026-03-01T12:30:00Z",
        "00000000-0000-0000-0000-000000000007",
        "",
        '{"a": "ü"}',
    ]


@pytest.mark.parametrize("first", STARTS)
def test_no_text_begins_as_a_formula_does(first: str) -> None:
    assert cells(f"{first}{CALL}", f"a {first}{CALL}") == [f"'{first}{CALL}", f"a {first}{CALL}"]


@pytest.mark.parametrize("separator", [";", "\t", "\r", "\n"])
def test_no_text_makes_a_cell_of_another_separator_that_begins_as_a_formula_does(
    separator: str,
) -> None:
    assert cells(f"a{separator}={CALL}") == [f"a{separator}'={CALL}"]


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("\t\t=1")
@example(";;=1;\r\n=1")
def test_any_text_is_one_cell_that_no_spreadsheet_runs(text: str) -> None:
    first, second = cells(text, text)
    assert first == second
    # Nothing is lost, and apostrophes alone are added.
    assert first.replace("'", "") == text.replace("'", "")
    signs = set("=+-@＝＋－＠")  # noqa: RUF001
    assert not [part for part in re.split(r"[;\t\r\n]", first) if part[:1] in signs]
    assert not first.startswith(tuple(STARTS))


def test_a_table_without_rows_has_its_header() -> None:
    assert table(["a", "b"], []) == f"{MARK}a,b\r\n"
