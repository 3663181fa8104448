"""Mistakes in the SQL functions.

PostgreSQL's parser, where a wheel brings it to Python, knows no schema but its own in PL/pgSQL, so
places are found among tokens. A mistake that PostgreSQL does not accept is not counted.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from tests.mutants.mutant import Edit, Mutant, numbered
from tests.support.plpgsql import Token, tokens

CORE = Path("shared/synaxis_billing")
_FUNCTION = re.compile(r"CREATE OR REPLACE (?:FUNCTION|PROCEDURE) billing\.(\w+)")
_COMPARISONS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "=": "<>", "<>": "="}
_OPERATOR = set("<>=!@&|~#?:")
# What a condition follows, and what it ends before.
_BEFORE = {"WHERE", "ON", "IF", "ELSIF", "WHEN", "HAVING", "AND", "OR", "WHILE"}
_BEFORE |= {"THEN", "SELECT", "RETURN", "ELSE", "NOT", "CASE", "RETURNING", "DISTINCT"}
_AFTER = {"AND", "OR", "THEN", "GROUP", "ORDER", "RETURNING", "LIMIT", "FOR", "UNION", "ELSE"}
_AFTER |= {"LOOP", "WINDOW", "LEFT", "JOIN", "INNER", "CROSS", "WHERE", "ON", "HAVING", "WHEN"}
_AFTER |= {"INTO", "DO", "EXCEPT", "AS", "END", "OFFSET", "INTERSECT", "FROM", "IS"}
_BRANCHES = ("IF", "ELSIF", "WHEN")
_LOCKING = re.compile(r"\bFOR (?:NO KEY )?(?:UPDATE|SHARE)(?: OF \w+)?(?: SKIP LOCKED| NOWAIT)?")
_LOCKS = re.compile(r"\bPERFORM\s+(?:pg_advisory_xact_lock|billing\.lock_organization)\b[^;]*;")
_AMOUNT = re.compile(r"\d+")


def functions(core: Path = CORE) -> Iterator[tuple[Path, str, str, int]]:
    """Yield each function's file, name, text and first line."""
    for path in sorted(core.rglob("*.sql")):
        if path.parent.name == "schema" and path.name not in ("partitions.sql", "audit.sql"):
            continue
        text = path.read_text()
        if "CREATE OR REPLACE" not in text or path.parent.name in ("migrations", "online"):
            continue
        for name, start, end in _places(text):
            yield path, name, text[start:end], text.count("\n", 0, start) + 1


def mutants(core: Path = CORE) -> list[Mutant]:
    return [
        found
        for path, name, text, line in functions(core)
        for found in mutants_of(str(path.relative_to(core)), name, text, line)
    ]


def mutants_of(path: str, name: str, text: str, line: int = 1) -> list[Mutant]:
    """Return what can go wrong in a function of this text."""
    first, last = _body(text)
    body = text[first:last]
    found = []
    for edit in sorted(set(_edits(body))):
        mutated = body[: edit.start] + edit.text + body[edit.end :]
        found.append(
            Mutant(
                path,
                name,
                edit.kind,
                line + text.count("\n", 0, first + edit.start),
                _shown(body, edit),
                text[:first] + mutated + text[last:],
            )
        )
    return numbered(found)


def _places(text: str) -> Iterator[tuple[str, int, int]]:
    found = tokens(text)
    for at, token in enumerate(found):
        head = _FUNCTION.match(text, token.start) if token.word == "CREATE" else None
        if head:
            end = next(other.end for other in found[at:] if other.text == ";")
            yield head[1], token.start, end


def _body(text: str) -> tuple[int, int]:
    body = next(token for token in tokens(text) if token.text.startswith("$"))
    tag = body.text.index("$", 1) + 1
    return body.start + tag, body.end - tag


def _shown(body: str, edit: Edit) -> str:
    """The change between the words around it."""
    before = " ".join(token.text for token in tokens(body[: edit.start])[-4:])
    after = " ".join(token.text for token in tokens(body[edit.end :])[:4])
    old = " ".join(body[edit.start : edit.end].split())
    return f"{before} [{old} -> {edit.text}] {after}".strip()


def _edits(body: str) -> Iterator[Edit]:
    found = tokens(body)
    depths = _depths(found)
    yield from _comparisons(body, found, depths)
    yield from _signs(found)
    yield from _constants(found)
    yield from _guards(found, depths)
    yield from _locks(body)
    yield from _columns(found)


def _depths(found: list[Token]) -> list[int]:
    """How many parentheses, CASEs and blocks contain each token."""
    depth, depths = 0, []
    for at, token in enumerate(found):
        before = found[at - 1].word if at else ""
        closes = token.text in (")", "]") or token.word == "END"
        opens = token.text in ("(", "[") or (
            token.word in ("CASE", "BEGIN", "LOOP", "IF") and before != "END"
        )
        depth -= closes
        depths.append(depth)
        depth += opens
    return depths


def _comparisons(body: str, found: list[Token], depths: list[int]) -> Iterator[Edit]:
    for at, token in enumerate(found):
        if token.word == "IS" and found[at + 1].word in ("NULL", "NOT"):
            negated = found[at + 1].word == "NOT"
            if not negated:
                yield Edit("comparison", token.start, found[at + 1].end, "IS NOT NULL")
            elif found[at + 2].word == "NULL":
                yield Edit("comparison", token.start, found[at + 2].end, "IS NULL")
        if token.text not in _COMPARISONS or not 0 < at < len(found) - 1:
            continue
        if {body[token.start - 1], body[token.end]} & _OPERATOR:
            continue
        if token.text == "=" and _assigns(found, depths, at):
            continue
        yield Edit("comparison", token.start, token.end, _COMPARISONS[token.text])


def _assigns(found: list[Token], depths: list[int], at: int) -> bool:
    """Whether `=` gives a value to a column in SET, or to a variable in GET DIAGNOSTICS."""
    if found[at - 2].word in ("SET", "DIAGNOSTICS") or found[at - 1].text == ")":
        return found[at - 2].word != "" or found[at - 1].text == ")"
    if found[at - 2].text != ",":
        return False
    for before in range(at - 2, -1, -1):
        if depths[before] < depths[at]:
            return False
        if depths[before] == depths[at] and found[before].word in ("SET", "WHERE", "SELECT"):
            return found[before].word == "SET"
    return False


def _signs(found: list[Token]) -> Iterator[Edit]:
    for before, token in itertools.pairwise(found):
        if token.text not in ("+", "-"):
            continue
        binary = before.kind in ("number", "text") or before.text in (")", "]")
        binary |= before.kind == "word" and before.word not in _BEFORE
        if binary:
            yield Edit("sign", token.start, token.end, "-" if token.text == "+" else "+")
        elif token.text == "-":
            yield Edit("sign", token.start, token.end, "")


def _constants(found: list[Token]) -> Iterator[Edit]:
    for at, token in enumerate(found):
        before = found[at - 1].word
        of_type = "NUMERIC" in (found[at - 2].word, found[at - 4].word)
        if token.kind == "number" and not of_type:
            yield Edit("boundary", token.start, token.end, _next(token.text))
        elif token.kind == "text" and before == "INTERVAL" and _AMOUNT.search(token.text):
            text = _AMOUNT.sub(lambda found: _next(found[0]), token.text, count=1)
            yield Edit("boundary", token.start, token.end, text)
        elif token.word in ("TRUE", "FALSE") and before != "ON":
            text = "false" if token.word == "TRUE" else "true"
            yield Edit("boundary", token.start, token.end, text)


def _next(number: str) -> str:
    return re.sub(r"\d$", lambda found: str((int(found[0]) + 1) % 10), number)


def _guards(found: list[Token], depths: list[int]) -> Iterator[Edit]:
    """Conditions that always hold, and branches that are never taken."""
    for at, token in enumerate(found):
        if token.word == "OR" or (token.word == "AND" and not _between(found, depths, at)):
            for start, end in (_left(found, depths, at), _right(found, depths, at + 1)):
                if start < end:
                    text = "true" if "AND" in _around(found, start, end) else "false"
                    yield Edit("guard", found[start].start, found[end - 1].end, text)
        elif token.word in ("WHERE", "ON", "HAVING") and found[at + 1].word != "CONFLICT":
            start, end = _right(found, depths, at + 1)
            if start < end and _word(found, end) not in ("AND", "OR"):
                yield Edit("guard", found[start].start, found[end - 1].end, "true")
        elif token.word in _BRANCHES and found[at - 1].word != "END":
            yield from _branch(found, depths, at)


def _branch(found: list[Token], depths: list[int], at: int) -> Iterator[Edit]:
    if found[at].word == "WHEN" and not _searches(found, depths, at):
        return
    end = at + 1
    while end < len(found) and not (
        (found[end].word == "THEN" or found[end].text == ";") and depths[end] == depths[at + 1]
    ):
        end += 1
    if end < len(found):
        yield Edit("guard", found[at + 1].start, found[end - 1].end, "false")


def _searches(found: list[Token], depths: list[int], at: int) -> bool:
    """Whether a WHEN has a condition: that of a CASE without an operand, or of an EXIT."""
    if found[at - 1].word in ("EXIT", "CONTINUE", "CASE"):
        return True
    for before in range(at - 1, -1, -1):
        if found[before].word == "EXCEPTION":
            return False
        if found[before].word == "CASE" and depths[before] == depths[at] - 1:
            return found[before + 1].word == "WHEN"
    return False


def _between(found: list[Token], depths: list[int], at: int) -> bool:
    for before in range(at - 1, -1, -1):
        if depths[before] < depths[at]:
            return False
        if depths[before] == depths[at]:
            if found[before].word == "BETWEEN":
                return True
            if found[before].word in ("AND", "OR", "WHERE", "WHEN", "IF", "ON", "THEN"):
                return False
    return False


def _left(found: list[Token], depths: list[int], at: int) -> tuple[int, int]:
    start = at
    while start > 0:
        if depths[start - 1] < depths[at]:
            break
        if depths[start - 1] == depths[at] and _parts(found, depths, start - 1, _BEFORE):
            break
        start -= 1
    return start, at


def _right(found: list[Token], depths: list[int], start: int) -> tuple[int, int]:
    end = start
    while end < len(found):
        if depths[end] < depths[start]:
            break
        if depths[end] == depths[start] and _parts(found, depths, end, _AFTER):
            break
        end += 1
    return start, end


def _parts(found: list[Token], depths: list[int], at: int, words: set[str]) -> bool:
    """Whether a token separates conditions."""
    token, before = found[at], found[at - 1].word
    if token.text in (",", ";", ":="):
        return True
    if token.word == "AND" and _between(found, depths, at):
        return False
    if token.word in ("FROM", "IS", "NOT"):
        # IS DISTINCT FROM, and x IS NOT NULL, belong to a condition.
        return token.word == "FROM" and before != "DISTINCT"
    if token.word == "DISTINCT":
        return before not in ("IS", "NOT")
    if token.word == "CASE":
        return False
    return token.word in words and not (
        token.word == "END" and depths[at] >= 0 and _case(found, at)
    )


def _case(found: list[Token], at: int) -> bool:
    """Whether an END ends a CASE that is a value."""
    nested = 0
    for before in range(at - 1, -1, -1):
        word = found[before].word
        if word == "END":
            nested += 1
        elif word in ("CASE", "BEGIN", "LOOP"):
            if nested == 0:
                return word == "CASE"
            nested -= 1
    return False


def _around(found: list[Token], start: int, end: int) -> set[str]:
    return {_word(found, start - 1), _word(found, end)}


def _word(found: list[Token], at: int) -> str:
    return found[at].word if 0 <= at < len(found) else ""


def _locks(body: str) -> Iterator[Edit]:
    for found in (*_LOCKING.finditer(body), *_LOCKS.finditer(body)):
        yield Edit("lock", found.start(), found.end(), "")
    for found in re.finditer(r" (?:SKIP LOCKED|NOWAIT)", body):
        yield Edit("lock", found.start(), found.end(), "")


def _columns(found: list[Token]) -> Iterator[Edit]:
    """A column in the place of another of the same row and kind, which its last word tells."""
    named = []
    for row, dot, column, after in zip(found, found[1:], found[2:], found[3:], strict=False):
        a_column = dot.text == "." and row.kind == column.kind == "word"
        if a_column and row.text != "billing" and after.text not in (".", "("):
            named.append((row.text, column))
    for alias, column in named:
        kind = column.text.rpartition("_")[2]
        names = list(
            dict.fromkeys(
                other.text
                for row_of_other, other in named
                if row_of_other == alias and other.text.rpartition("_")[2] == kind
            )
        )
        if len(names) > 1:
            following = names[(names.index(column.text) + 1) % len(names)]
            yield Edit("column", column.start, column.end, following)
