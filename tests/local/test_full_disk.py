"""A log that cannot be written ends no process and loses no answer."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.pool import FunctionError, Pool
from local.template import Function, read
from tests.support import asynchronous
from tests.support.running import Client, start, stop, wait_until_ready

FULL = Path("/dev/full")
HANDLER = """
import os, sys

def handler(event, context):
    print("x" * 100_000)
    print("x" * 100_000, file=sys.stderr)
    if event.get("raise"):
        raise RuntimeError("boom")
    return os.getpid()
"""


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system without space left."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted: {mounted.stderr.strip()}")
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _processes(function: Function, logs: Path) -> set[int]:
    """The processes that answered while the log took nothing."""

    async def run() -> set[int]:
        pool = Pool(function, logs)
        found = set()
        try:
            for _ in range(3):
                found.add(await pool.invoke({}, "r"))
                with pytest.raises(FunctionError, match="boom"):
                    await pool.invoke({"raise": True}, "r")
        finally:
            await pool.close()
        return found

    return asynchronous.run(run())


@pytest.fixture
def function(tmp_path: Path) -> Function:
    (tmp_path / "app.py").write_text(HANDLER)
    return Function("Test", tmp_path, "app.handler", 60, 512, {}, [])


def test_on_a_full_disk_a_container_answers_and_stays(function: Function, full_disk: Path) -> None:
    assert len(_processes(function, full_disk)) == 1


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_container_whose_log_takes_nothing_answers_and_stays(
    function: Function, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "Test.log").symlink_to(FULL)
    assert len(_processes(function, logs)) == 1


def test_a_container_whose_log_cannot_be_opened_answers_and_stays(
    function: Function, tmp_path: Path
) -> None:
    (tmp_path / "Test.log").mkdir()
    assert len(_processes(function, tmp_path)) == 1


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_the_product_charges_while_none_of_its_logs_can_be_written(
    home: Path,
) -> None:
    (home / "logs").mkdir()
    for name in read({}).functions:
        (home / "logs" / f"{name}.log").symlink_to(FULL)
    with FULL.open("w") as terminal:
        process = start(home, terminal)
    with contextlib.closing(Client(wait_until_ready(process, home))) as client:
        organization = client.new_organization("10")
        charge = {"amount_usd": "1", "description": "chat"}
        for number in range(1, 4):
            answer = client.post(f"{organization}/charges", charge, str(number))
            assert (answer.status_code, answer.json()["balance_after_usd"]) == (
                201,
                f"{10 - number}.00",
            )
    stop(process)
    assert process.returncode == 0
