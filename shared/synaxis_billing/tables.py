"""Tables as CSV (RFC 4180), for spreadsheets and accounting programs: in UTF-8, with its mark."""

import csv
import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from io import StringIO

from pydantic import BaseModel

from synaxis_billing.money import format_money

# Without it, some spreadsheets read another encoding.
MARK = "\ufeff"
# Where a cell may begin that is run as a formula: at the text's start, and, for a spreadsheet that
# separates cells by semicolons or tabs, behind each of those. The wide forms are for those that
# make the plain ones of them.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"(^|[;\t\r\n])(?=[=+\-@\t\r\n＝＋－＠])")  # noqa: RUF001


class Number(str):
    """A number that is already written as its cell shows it."""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a header and the rows. Numbers are plain, with a decimal point; times are UTC; text
    that a spreadsheet would run as a formula has an apostrophe before it; what is null is empty."""
    text = StringIO(newline="")
    text.write(MARK)
    written = csv.writer(text, lineterminator="\r\n")
    written.writerow(head)
    written.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def table_of(model: type[BaseModel], items: Iterable[BaseModel]) -> str:
    """Return a table with one row per item, and one column per field of the model."""
    names = list(model.model_fields)
    return table(names, ([getattr(item, name) for name in names] for item in items))


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case Number() | int():
            return str(value)
        case Decimal():
            return format_money(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case dict():
            return _FORMULA.sub(r"\1'", json.dumps(value, ensure_ascii=False))
        case _:
            return _FORMULA.sub(r"\1'", str(value))
