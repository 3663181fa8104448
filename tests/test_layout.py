"""Imports point one way: functions, edge, domain, and below them SQL, money, errors."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "shared" / "synaxis_billing"
GROUND = {"errors", "money"}
FIELDS = {"fields", "validation", "pages", "sql", "upkeep"}


def _imports(path: Path) -> set[str]:
    """What a module imports, at any depth, by dotted name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _of_core(path: Path) -> set[str]:
    names = [name.split(".") for name in _imports(path)]
    return {parts[1] for parts in names if parts[0] == "synaxis_billing" and len(parts) > 1}


DOMAIN = sorted(
    path
    for path in CORE.glob("*.py")
    if path.stem not in GROUND | FIELDS | {"__init__", "migrations", "audit"}
)


@pytest.mark.parametrize("name", sorted(GROUND))
def test_the_ground_stands_on_the_standard_library_alone(name: str) -> None:
    assert {module.split(".")[0] for module in _imports(CORE / f"{name}.py")} <= {
        "decimal",
        "http",
        "re",
        "typing",
    }


@pytest.mark.parametrize(
    "path", [*DOMAIN, CORE / "sql" / "__init__.py"], ids=lambda path: path.stem
)
def test_the_domain_knows_no_lambda_and_no_environment(path: Path) -> None:
    assert "edge" not in _of_core(path)
    assert not _imports(path) & {"os", "boto3", "aws_lambda_powertools"}


@pytest.mark.parametrize("path", sorted((CORE / "cache").glob("*.py")), ids=lambda path: path.stem)
def test_the_cache_knows_no_domain(path: Path) -> None:
    assert _of_core(path) <= {"cache"}
    assert not _imports(path) & {"os", "boto3", "aws_lambda_powertools", "psycopg"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "functions").glob("*/*.py")), ids=lambda path: path.parent.name
)
def test_a_function_reads_like_a_table_of_contents(path: Path) -> None:
    roots = {module.split(".")[0] for module in _imports(path)}
    assert roots <= {"aws_lambda_powertools", "synaxis_billing", "typing", "uuid"}
    assert not _of_core(path) & {"sql", "migrations", "audit"}
    # The read side has the parameters of its queries to declare.
    assert len(path.read_text().splitlines()) <= 90


@pytest.mark.parametrize(
    "path",
    sorted([*CORE.rglob("*.py"), *(ROOT / "local").glob("*.py")]),
    ids=lambda path: path.stem,
)
def test_a_module_can_be_read_in_one_go(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
