"""The generated modules are those of the committed document."""

import subprocess
import sys
from pathlib import Path

import pytest

from local.template import ROOT

CLIENT = ROOT / "clients/python"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    subprocess.run([sys.executable, str(CLIENT / "generate.py"), str(folder)], check=True)
    return folder


@pytest.mark.parametrize("name", ["models.py", "requests.py", "operations.py"])
def test_a_generated_module_is_that_of_the_document(made: Path, name: str) -> None:
    committed = CLIENT / "src/synaxis_billing_client" / name
    assert committed.read_text() == (made / name).read_text(), "run `make client-models`"


def test_the_client_ships_the_licence_of_the_project() -> None:
    assert (CLIENT / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
