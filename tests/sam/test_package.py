"""What `sam build` packs is small, and whole."""

from pathlib import Path

import pytest

from local.sam import BUILD, WRAPPER
from local.template import ROOT, read

pytestmark = pytest.mark.sam


def megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def test_the_layers_are_within_their_budgets() -> None:
    sizes = {name: megabytes(BUILD / name) for name in ("DependenciesLayer", "DocumentsLayer")}
    assert sizes["DependenciesLayer"] <= 45
    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    assert sum(sizes.values()) + megabytes(BUILD / "CoreLayer") <= 250


def test_the_layers_bring_nothing_that_the_runtime_has() -> None:
    found = {path.name for path in (BUILD / "DependenciesLayer" / "python").iterdir()}
    assert not found & {"boto3", "botocore", "aws_xray_sdk"}


@pytest.mark.parametrize("kind", ["py", "sql", "lua", "typ", "pem"])
def test_the_core_is_packed_whole(kind: str) -> None:
    packed = BUILD / "CoreLayer" / "python" / "synaxis_billing"
    source = ROOT / "shared" / "synaxis_billing"
    files = {path.relative_to(source) for path in source.rglob(f"*.{kind}")}
    assert files
    assert {path.relative_to(packed) for path in packed.rglob(f"*.{kind}")} == files


def test_a_function_is_packed_as_it_is_in_the_repository() -> None:
    for name, function in read({}).functions.items():
        assert contents(BUILD / name) == contents(function.folder), name


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.glob("*.*")}


def test_what_tells_functions_of_tokens_locally_is_in_nothing_that_is_deployed() -> None:
    assert WRAPPER.exists()
    assert not list(BUILD.rglob(f"{WRAPPER.stem}*"))
    for template in (ROOT / "template.yaml", BUILD / "template.yaml"):
        assert WRAPPER.stem not in template.read_text()
        assert "CLAIMS_URL" not in template.read_text()
