"""Imports point one way: functions, the edge, the nouns, and below them the ground.

The rules are checked over every file at any depth. Each rule also has a case that breaks it.
"""

import ast
import itertools
import sys
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "shared" / "synaxis_billing"
PACKAGE = "synaxis_billing"

# Values and rules, without I/O.
GROUND = {
    "money",
    "errors",
    "fields",
    "validation",
    "paging",
    "tables",
    "caller",
    "idempotency",
    "currencies",
    "countries",
}
GROUND_ROOTS = {*sys.stdlib_module_names, PACKAGE, "pydantic", "pydantic_core"}
# What every noun may use beside the ground.
BASE = {"procedures", "cache", "web"}
# The nouns that each noun may use.
NOUNS: dict[str, set[str]] = {
    "budgets": set(),
    "usage": {"organizations", "prices"},
    "ledger": {"prices", "rates", "usage"},
    "grants": {"budgets", "invoices", "ledger", "prices"},
    "organizations": {"rates"},
    "rates": set(),
    "prices": set(),
    "invoices": {"organizations", "rates"},
    "payments": {"invoices", "rates"},
    "webhooks": {"budgets"},
    "events": {"ledger", "usage"},
    "invalidations": set(),
    "clients": set(),
    "schema": set(),
}
EDGE_ONLY = {"os", "boto3", "botocore", "aws_lambda_powertools", "confluent_kafka"}
# What a function's files may import beside the core.
FUNCTION_ROOTS = {PACKAGE, "aws_lambda_powertools", "psycopg", "pydantic", "datetime", "typing"}
FUNCTION_ROOTS |= {"uuid", "json", "functools", "pathlib", "collections"}


def imports(source: str) -> set[str]:
    """The dotted names that a module imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # A relative import would hide where it leads.
            module = "." * node.level + (node.module or "")
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def part(name: str) -> str | None:
    """The part of the core that a dotted name is in: a noun, `edge`, or a module of the root."""
    parts = name.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


def broken_imports(path: Path, source: str) -> list[str]:
    """The imports of a module of the core, given by its path below the core, that break a rule."""
    own = path.parts[0].removesuffix(".py")
    return sorted(name for name in imports(source) if not _allowed(own, name) and part(name) != own)


def _allowed(own: str, name: str) -> bool:
    root = name.split(".")[0]
    used = part(name)
    if own == "edge":
        return root not in {"local", "tests"}
    if root in EDGE_ONLY | {"local", "tests", ""}:
        return False
    if own in GROUND and used is None:
        return root in GROUND_ROOTS
    if used is None or used in GROUND:
        return True
    return own in NOUNS and used in BASE | NOUNS[own]


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """The circles of a graph, each as the names along it."""
    found: list[list[str]] = []

    def follow(name: str, path: list[str]) -> None:
        if name in path:
            found.append([*path[path.index(name) :], name])
            return
        for following in sorted(edges.get(name, ())):
            follow(following, [*path, name])

    for name in edges:
        follow(name, [])
        if found:
            break
    return found


MODULES = sorted(path.relative_to(CORE) for path in CORE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_imports_point_one_way(path: Path) -> None:
    assert broken_imports(path, (CORE / path).read_text()) == []


def test_every_part_of_the_core_has_its_place() -> None:
    parts = {path.parts[0].removesuffix(".py") for path in MODULES} - {"__init__"}
    assert parts <= GROUND | BASE | set(NOUNS) | {"edge"}


def test_nouns_do_not_use_each_other_in_a_circle() -> None:
    assert circles(NOUNS) == []
    used: dict[str, set[str]] = {noun: set() for noun in NOUNS}
    for path in MODULES:
        noun = path.parts[0]
        if noun in NOUNS:
            names = imports((CORE / path).read_text())
            used[noun] |= {str(part(name)) for name in names} & set(NOUNS) - {noun}
    # The table allows nothing that nobody needs.
    assert used == NOUNS


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    names = {
        ".".join([PACKAGE, *path.with_suffix("").parts]).removesuffix(".__init__"): path
        for path in MODULES
    }
    edges = {
        name: imports(_at_import(CORE / path)) & set(names) - {name, PACKAGE}
        for name, path in names.items()
    }
    assert circles(edges) == []


def _at_import(path: Path) -> str:
    """A module's source without its functions' bodies, which import when they are called."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [ast.Pass()]
    return ast.unparse(tree)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        *itertools.product(
            ("fields.py", "validation.py", "paging.py", "money.py"),
            ("import os", "from synaxis_billing.edge import settings", "import psycopg"),
        ),
        *itertools.product(
            ("schema/migrate.py", "ledger/audit.py", "invoices/documents/pdf.py", "rates/a/b/c.py"),
            (
                "import os",
                "import os.path",
                "def f():\n    import boto3",
                "from os import environ",
                "from synaxis_billing.edge.settings import settings",
                "from synaxis_billing import edge",
                "from local import servers",
                "from . import other",
            ),
        ),
        ("ledger/charges.py", "from synaxis_billing.invoices import invoices"),
        ("invoices/invoices.py", "from synaxis_billing.ledger import charges"),
        ("usage/formats.py", "from synaxis_billing.ledger.charges import charge"),
        ("cache/l2.py", "from synaxis_billing.organizations import profile"),
        ("cache/l2.py", "import os"),
        ("procedures.py", "from synaxis_billing.ledger import charges"),
        ("errors.py", "from synaxis_billing import procedures"),
        ("edge/database.py", "from local.servers import postgres"),
        ("edge/http/api.py", "import tests.support"),
    ],
)
def test_an_import_against_the_rules_is_found(path: str, line: str) -> None:
    assert broken_imports(Path(path), line) != []


def test_a_circle_is_found() -> None:
    assert circles({"ledger": {"usage"}, "usage": {"rates"}, "rates": {"ledger"}}) == [
        ["ledger", "usage", "rates", "ledger"]
    ]


MOST_LINES, MOST_FUNCTION_LINES = 400, 50
# A file of functions/ is route, validated input, one call into the core, answer. The lines of a
# route are its parameters and their description, the contract, so its statements are limited.
MOST_HANDLER_LINES, MOST_STATEMENTS, MOST_ROUTE_STATEMENTS = 60, 12, 4
Function = ast.FunctionDef | ast.AsyncFunctionDef


def too_long(source: str) -> list[str]:
    """What is too long to be read in one go: the module, and functions with all that is in them."""
    found = ["the module"] if len(source.splitlines()) > MOST_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function) and _lines(node) > MOST_FUNCTION_LINES:
            found.append(node.name)
    return found


def _lines(node: Function) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def not_a_handler(source: str) -> list[str]:
    """What keeps a file of functions/ from reading like a table of contents."""
    names = imports(source)
    found = [name for name in sorted(names) if name.split(".")[0] not in FUNCTION_ROOTS]
    found += [name for name in sorted(names) if part(name) == "procedures"]
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, Function)]
    routes = [of for of in functions if any(map(_is_route, of.decorator_list))]
    if routes:
        found += [of.name for of in functions if of not in routes]
    elif len(source.splitlines()) > MOST_HANDLER_LINES:
        found.append("the file")
    most = MOST_ROUTE_STATEMENTS if routes else MOST_STATEMENTS
    return found + [of.name for of in functions if _statements(of) > most]


def _is_route(decorator: ast.expr) -> bool:
    return "attr='endpoint'" in ast.dump(decorator)


def _statements(node: Function) -> int:
    """How many statements a function has, at any depth, without its docstring."""
    inner = [child for child in ast.walk(node) if isinstance(child, ast.stmt)]
    return len(inner) - 1 - (ast.get_docstring(node) is not None)


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "functions").rglob("*.py")),
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_a_function_reads_like_a_table_of_contents(path: Path) -> None:
    assert not_a_handler(path.read_text()) == []


@pytest.mark.parametrize(
    "path",
    sorted(
        path
        for folder in ("functions", "shared", "local", "bench")
        for path in (ROOT / folder).rglob("*.py")
    ),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_module_can_be_read_in_one_go(path: Path) -> None:
    assert too_long(path.read_text()) == []


_ROUTE = "@api.endpoint('GET /')\ndef route():\n"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("x = 1\n" * 401, "the module"),
        ("def f():\n" + "    x = 1\n" * 50, "f"),
        ("async def f():\n" + "    x = 1\n" * 50, "f"),
        ("class A:\n    def f(\n        self,\n    ):\n" + "        x = 1\n" * 48, "f"),
    ],
)
def test_a_module_or_function_that_is_too_long_is_found(source: str, found: str) -> None:
    assert too_long(source) == [found]
    # A line less is not.
    assert too_long(source.removesuffix("x = 1\n").rstrip(" ")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import urllib.request", "urllib.request"),
        ("import boto3", "boto3"),
        ("from synaxis_billing import procedures", "synaxis_billing.procedures"),
        ("def f():\n    import socket", "socket"),
        ("def handler(event, context):\n" + "    x = 1\n" * 13, "handler"),
        ("async def handler(event, context):\n" + "    x = 1\n" * 13, "handler"),
        ("x = 1\n" * 61, "the file"),
        (_ROUTE + "    x = 1\n" * 5, "route"),
        (
            _ROUTE
            + "    for x in y:\n        if x:\n            z = x\n            y = z\n    y()",
            "route",
        ),
        (_ROUTE + "    return 1\n\n\ndef helper():\n    return 1\n", "helper"),
    ],
)
def test_a_file_that_is_more_than_a_handler_is_found(source: str, found: str) -> None:
    assert not_a_handler(source) == [found]


def test_a_route_is_not_limited_in_its_parameters_and_description() -> None:
    route = (
        _ROUTE + '    """Say.\n' + "\n    what it does.\n" * 50 + '    """\n' + "    x = 1\n" * 4
    )
    assert not_a_handler(route) == []


def test_the_modules_of_the_local_product_do_not_import_in_circles() -> None:
    uses = {
        f"local.{path.stem}": {
            f"local.{name.split('.')[1]}"
            for name in imports(path.read_text())
            if name.startswith("local.")
        }
        for path in (ROOT / "local").glob("*.py")
    }
    assert "local.kafka" in uses["local.triggers"]
    TopologicalSorter(uses).prepare()
