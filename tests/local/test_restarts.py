"""`make run` starts again what dies, or ends with one sentence; it stops nobody else's server."""

import fcntl
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import psycopg

from local import __main__ as command
from local import servers
from tests.support.running import (
    PATIENCE_SECONDS,
    kill,
    start,
    stop,
    wait_until,
    wait_until_ready,
)

# The product, whose servers may die less often than they may by default.
IMPATIENT = """
import sys
from local import __main__, children

children.DELAYS_SECONDS = (0, 0.1)
sys.exit(__main__.main(["run"]))
"""


def test_a_server_that_does_not_stay_alive_ends_the_run_with_one_sentence(home: Path) -> None:
    process = start(home, subprocess.PIPE, ("-c", IMPATIENT))
    wait_until_ready(process, home)
    # It cannot start again without its data.
    [data] = {path.parent for path in home.rglob("PG_VERSION") if path.parent.name == "data"}
    data.rename(data.with_name("moved"))
    kill(process, "bin/postgres")
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert errors.strip().splitlines()[-1].startswith("PostgreSQL died 3 times in a row"), errors
    assert "Traceback" not in errors


def test_a_stale_pid_file_stops_no_other_projects_postgresql(
    home: Path, new_home: Callable[[], Path]
) -> None:
    with servers.postgres(new_home(), durable=False) as theirs:
        with psycopg.connect(theirs) as connection:
            [folder] = connection.execute("SHOW data_directory").fetchone() or ("",)
        lock = Path(folder, "postmaster.pid").read_text()
        [data] = {path.parent for path in home.rglob("PG_VERSION") if path.parent.name == "data"}
        # A number that was given anew, and a folder that was copied while its server ran.
        for stale in (lock.replace(folder, str(data)), lock):
            (data / "postmaster.pid").write_text(stale)
            owner = (data / "PG_VERSION").stat()
            os.chown(data / "postmaster.pid", owner.st_uid, owner.st_gid)
            with servers.postgres(home, durable=False) as url:
                for server in (url, theirs):
                    with psycopg.connect(server) as connection:
                        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_last_server_of_the_same_folder_is_stopped(home: Path) -> None:
    with servers.postgres(home, durable=False) as url:
        with psycopg.connect(url) as connection:
            [folder] = connection.execute("SHOW data_directory").fetchone() or ("",)
        left = psutil.Process(int(Path(folder, "postmaster.pid").read_text().splitlines()[0]))
        with servers.postgres(home, durable=False) as again, psycopg.connect(again) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE


def test_of_runs_at_the_same_moment_one_serves_and_the_others_say_who(home: Path) -> None:
    runs = [start(home) for _ in range(3)]
    wait_until(lambda: sum(run.poll() is not None for run in runs) == 2)
    [winner] = [run for run in runs if run.poll() is None]
    for run in runs:
        if run is not winner:
            assert f"process {winner.pid}" in _told_by(run)
    url = wait_until_ready(winner, home)
    # And so does one that comes later.
    assert _told_by(start(home)) == (
        f"Another run holds this folder, and answers on {url}: process {winner.pid}, {home}."
    )
    assert httpx.get(f"{url}/health").status_code == 200
    stop(winner)


def _told_by(run: "subprocess.Popen[str]") -> str:
    """The sentence that ends a run whose folder another one holds."""
    _, errors = run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == 1
    assert errors.startswith("Another run holds this folder, and "), errors
    return errors.strip()


def test_a_second_run_while_the_first_one_starts_is_told_so(refusal: Callable[..., str]) -> None:
    state = command.STATE
    state.mkdir()
    # A run that was killed left this behind.
    (state / "run.json").write_text('{"url": "http://127.0.0.1:1"}')
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (state / "run.json").unlink()
        lock.write(str(os.getpid()))
        lock.flush()
        assert refusal() == (
            f"Another run holds this folder, and is starting: process {os.getpid()}, {state}."
        )
