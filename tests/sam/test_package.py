"""What `sam build` packs is small, and whole."""

from pathlib import Path

import pytest

from local.template import ROOT

BUILD = ROOT / ".aws-sam" / "build"
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
