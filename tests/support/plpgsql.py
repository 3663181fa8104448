"""The text of SQL and of PL/pgSQL functions, cut into tokens and statements."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKENS = re.compile(
    r"""
    (?P<space>\s+ | --[^\n]* | /\*.*?\*/)
    | (?P<text>'(?:[^']|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<word>"(?:[^"]|"")*" | [A-Za-z_]\w*)
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<sign>:=|::|=>|<>|<=|>=|!=|->>|->|\|\||\.\.|.)
    """,
    re.VERBOSE | re.DOTALL,
)
# A statement does not begin with them.
_NO_STATEMENT = ("END", "ELSE", "ELSIF", "WHEN", "EXCEPTION", "DECLARE", "BEGIN")
# What ends the head of a statement that contains others.
_HEADS = {"IF": "THEN", "ELSIF": "THEN", "WHEN": "THEN", "CASE": "WHEN"} | dict.fromkeys(
    ("FOR", "FOREACH", "WHILE"), "LOOP"
)


class Token(NamedTuple):
    """A part of a text that is no space; `start` is its position."""

    kind: str
    text: str
    start: int

    @property
    def word(self) -> str:
        """The keyword or name in capitals; empty for every other token."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def tokens(sql: str) -> list[Token]:
    return [
        Token(str(found.lastgroup if found.lastgroup != "tag" else "text"), found[0], found.start())
        for found in _TOKENS.finditer(sql)
        if found.lastgroup != "space"
    ]


def statements(body: str) -> Iterator[int]:
    """Yield the position of each statement of a PL/pgSQL function's body. A declaration that
    computes a value is none."""
    found = tokens(body)
    # Directives, such as #variable_conflict, come first.
    at = next(at for at, token in enumerate(found) if token.word in ("DECLARE", "BEGIN"))
    declaring = False
    while at < len(found):
        word = found[at].word
        declaring = word == "DECLARE" or (declaring and word != "BEGIN")
        if not declaring and word not in _NO_STATEMENT:
            yield found[at].start
        if word in ("DECLARE", "BEGIN", "ELSE", "LOOP", "EXCEPTION"):
            at += 1
        elif word in _HEADS:
            # The first WHEN of a CASE begins a statement list's head of its own.
            at = _after_head(found, at + 1, _HEADS[word]) - (word == "CASE")
        else:
            at = _after_head(found, at, ";")


def _after_head(found: list[Token], at: int, last: str) -> int:
    """The token after the first `last` that no parenthesis and no CASE expression contains."""
    depth = 0
    for position in range(at, len(found)):
        token = found[position]
        if depth == 0 and last in (token.word, token.text):
            return position + 1
        # Only CASE has an END within a statement.
        depth += token.text == "(" or (token.word == "CASE" and last != ";")
        depth -= token.text == ")" or (token.word == "END" and last != ";")
    return len(found)
