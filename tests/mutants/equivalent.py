"""The mistakes that no test can see, because they change nothing that is promised."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from tests.mutants.mutant import Mutant

_TABLE = Path(__file__).with_suffix(".toml")


def reason(mutant: Mutant) -> str:
    """Return why the mutant changes nothing; an empty text when a test must see it."""
    for entry in _table()["rule"]:
        if re.search(entry["change"], mutant.change):
            return str(entry["reason"])
    for entry in _table()["equivalent"]:
        in_place = (entry["file"], entry["function"]) == (mutant.path, mutant.function)
        if in_place and mutant.change in entry["changes"]:
            return str(entry["reason"])
    return ""


def listed() -> set[tuple[str, str, str]]:
    """Return the key of each mutant that the table names."""
    return {
        (entry["file"], entry["function"], change)
        for entry in _table()["equivalent"]
        for change in entry["changes"]
    }


@cache
def _table() -> dict[str, Any]:
    return {"rule": [], "equivalent": []} | tomllib.loads(_TABLE.read_text())
