"""Folders for `make run` that begin with a database, and runs that begin with nothing."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import __main__ as command
from local import streams
from local.children import Child


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
