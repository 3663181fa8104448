"""Mistakes in functions of Python.

A function that lives gets the code of its mutant, so nothing is imported again: each process that
tests a mutant is a fork of one that has imported all.
"""

import ast
import gc
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import NamedTuple

from tests.mutants.mutant import Edit, Mutant, numbered

CORE = Path("shared/synaxis_billing").resolve()
# The modules in which a mistake costs money.
MODULES = (
    "money.py",
    "currencies.py",
    "idempotency.py",
    "procedures.py",
    "tables.py",
    "cache/*.py",
    "ledger/*.py",
    "prices/*.py",
    "rates/rates.py",
    "usage/*.py",
    "grants/*.py",
    "budgets/*.py",
    "invoices/*.py",
    "events/traces.py",
    "events/spans.py",
    "events/usage_events.py",
)
# Each operator, and what it becomes.
_OPERATORS = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
}


class Place(NamedTuple):
    """A function: its file below the core, its qualified name and its first line."""

    path: str
    name: str
    line: int


def place_of(code: CodeType) -> Place | None:
    """Return where a function of the core is; none for other code."""
    prefix = f"{CORE}/"
    if not code.co_filename.startswith(prefix):
        return None
    return Place(code.co_filename.removeprefix(prefix), code.co_qualname, code.co_firstlineno)


def mutants() -> list[Mutant]:
    paths = sorted({path for pattern in MODULES for path in CORE.glob(pattern)})
    return [
        mutant
        for path in paths
        for mutant in mutants_of(str(path.relative_to(CORE)), path.read_text())
    ]


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Return what can go wrong in the functions of a module: each with the module's text."""
    text = _Text(source)
    return numbered(
        Mutant(path, name, edit.kind, text.line(edit), text.shown(edit), text.mutated(edit))
        for name, function in _functions(ast.parse(source), "")
        for edit in sorted(set(_edits(function, text)))
    )


def put(mutant: Mutant) -> bool:
    """Have the living functions do what the mutant does. False when it cannot be told."""
    filename = str(CORE / mutant.path)
    made = {}
    for code in _codes(compile(mutant.source, filename, "exec", dont_inherit=True)):
        made[code.co_qualname, code.co_firstlineno] = code
    changed = False
    for function in [found for found in gc.get_objects() if isinstance(found, FunctionType)]:
        old = function.__code__
        new = made.get((old.co_qualname, old.co_firstlineno))
        if old.co_filename != filename or new is None or new.co_freevars != old.co_freevars:
            continue
        if new != old:
            function.__code__ = new
            changed = True
    return changed


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _functions(node: ast.AST, outer: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the outermost functions and the methods of classes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield outer + child.name, child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{outer}{child.name}.")


def _edits(function: ast.FunctionDef, text: "_Text") -> Iterator[Edit]:
    for statement in function.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Compare):
                yield from _compared(node, text)
            elif isinstance(node, ast.BinOp | ast.AugAssign | ast.UnaryOp):
                yield from _signed(node, text)
            elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
                other = not node.value if isinstance(node.value, bool) else node.value + 1
                yield Edit("boundary", *text.span(node), str(other))
            else:
                yield from _guarded(node, text)


def _guarded(node: ast.AST, text: "_Text") -> Iterator[Edit]:
    """Conditions that always hold, and branches that are never taken."""
    if isinstance(node, ast.BoolOp):
        for operand in node.values:
            yield Edit("guard", *text.span(operand), str(isinstance(node.op, ast.And)))
    elif isinstance(node, ast.If | ast.IfExp):
        yield Edit("guard", *text.span(node.test), "False")
    elif isinstance(node, ast.comprehension):
        for condition in node.ifs:
            yield Edit("guard", *text.span(condition), "True")


def _signed(node: ast.BinOp | ast.AugAssign | ast.UnaryOp, text: "_Text") -> Iterator[Edit]:
    if isinstance(node, ast.BinOp):
        yield from text.between(node.left, node.right, node.op, "sign")
    elif isinstance(node, ast.AugAssign):
        yield from text.between(node.target, node.value, node.op, "sign")
    elif isinstance(node.op, ast.USub):
        start, _ = text.span(node)
        yield Edit("sign", start, start + 1, "")


def _compared(node: ast.Compare, text: "_Text") -> Iterator[Edit]:
    before = node.left
    for operator, after in zip(node.ops, node.comparators, strict=True):
        yield from text.between(before, after, operator, "comparison")
        before = after


class _Text:
    """The text of a module, and where its nodes are in it, in bytes."""

    def __init__(self, source: str) -> None:
        self.data = source.encode()
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line.encode()))

    def span(self, node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def between(
        self, left: ast.expr, right: ast.expr, operator: ast.AST, kind: str
    ) -> Iterator[Edit]:
        """Yield the operator between two operands as another one."""
        if type(operator) not in _OPERATORS:
            return
        symbol, other = _OPERATORS[type(operator)]
        start, end = self.span(left)[1], self.span(right)[0]
        pattern = re.escape(symbol).replace(r"\ ", r"\s+")
        found = re.search(pattern, self.data[start:end].decode())
        if found:
            yield Edit(kind, start + found.start(), start + found.end(), other)

    def mutated(self, edit: Edit) -> str:
        return (self.data[: edit.start] + edit.text.encode() + self.data[edit.end :]).decode()

    def line(self, edit: Edit) -> int:
        return self.data.count(b"\n", 0, edit.start) + 1

    def shown(self, edit: Edit) -> str:
        """The change, behind its line."""
        line = self.line(edit)
        whole = self.data[self.starts[line - 1] : self.starts[line]].decode().strip()
        old = " ".join(self.data[edit.start : edit.end].decode().split())
        return f"{whole} [{old} -> {edit.text}]"
