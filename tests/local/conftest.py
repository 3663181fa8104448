"""Folders for `make run` that begin with a database."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import servers
from local.database import prepare, ship_prices


@pytest.fixture(scope="session")
def _prepared(folders: Callable[[str], Path]) -> Path:
    made = folders("prepared")
    with servers.postgres(made, durable=False) as url:
        ship_prices(prepare(url))
    return made


@pytest.fixture
def home(folders: Callable[[str], Path], _prepared: Path) -> Iterator[Path]:
    """A folder as its last run left it, because a first one takes twice as long. The commands of
    README.md run in an empty one."""
    copy = folders("home")
    # The files belong to the account that PostgreSQL runs as.
    subprocess.run(["cp", "-a", f"{_prepared}/.", str(copy)], check=True)
    yield copy
    shutil.rmtree(copy)
