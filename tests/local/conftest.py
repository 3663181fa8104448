"""Folders for `make run` that begin with a database, and runs that begin with nothing."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import __main__ as command
from local import servers, streams
from local.children import Child
from local.database import prepare, ship_prices


@pytest.fixture(scope="session")
def _prepared(folders: Callable[[str], Path]) -> Path:
    made = folders("prepared")
    with servers.postgres(made, durable=False) as url:
        ship_prices(prepare(url))
    return made


@pytest.fixture(scope="session")
def new_home(folders: Callable[[str], Path], _prepared: Path) -> Callable[[], Path]:
    """Makes a folder as its last run left it, because a first run takes twice as long. The commands
    of README.md run in an empty one."""

    def make() -> Path:
        copy = folders("home")
        # The files belong to the account that PostgreSQL runs as.
        subprocess.run(["cp", "-a", f"{_prepared}/.", str(copy)], check=True)
        return copy

    return make


@pytest.fixture
def home(new_home: Callable[[], Path]) -> Iterator[Path]:
    """A folder as its last run left it."""
    copy = new_home()
    yield copy
    shutil.rmtree(copy)


@pytest.fixture
def refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs with these variables in this process, and returns the sentence that ends the run before
    it has started a server."""
    for name in [name for name in os.environ if name.endswith("_URL")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(command, "STATE", tmp_path / "state")
    monkeypatch.setattr(command, "RUNNING", tmp_path / "state" / "run.json")
    # What belongs to a process of its own.
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(streams, "never_fail", lambda: None)
    monkeypatch.setattr(Child, "start", lambda child: pytest.fail(f"{child.name} was started"))

    def run(**environment: str) -> str:
        for name, value in ({"PORT": "0"} | environment).items():
            monkeypatch.setenv(name, value)
        assert command.main(["run"]) == 1
        [sentence] = capsys.readouterr().err.splitlines()
        return sentence

    return run
