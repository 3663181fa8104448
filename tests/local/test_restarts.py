"""`make run` starts again what dies, or ends with one sentence; it stops nobody else's server."""

import contextlib
import fcntl
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import psycopg

from local import servers
from tests.support.running import (
    PATIENCE_SECONDS,
    Client,
    running,
    start,
    stop,
    wait_until,
    wait_until_ready,
)

CHARGE = {"amount_usd": "1", "description": "chat"}


def _kill(process: "subprocess.Popen[str]", name: str) -> None:
    """Kill each child whose command line contains the name, but not PostgreSQL's own children."""
    found = [
        child
        for child in psutil.Process(process.pid).children()
        if name in " ".join(child.cmdline())
    ]
    assert found, name
    for child in found:
        child.kill()
    # They stay zombies until their parent has noticed.
    wait_until(lambda: not any(child.is_running() for child in found))


def _charge(client: Client, organization: str, key: str) -> int:
    """Charge until the answer is no 5xx, as the guide says, and return its status."""
    last = 0

    def answered() -> bool:
        nonlocal last
        last = client.post(f"{organization}/charges", CHARGE, key).status_code
        return last < 500

    wait_until(answered)
    return last


def test_each_process_that_dies_is_started_again(home: Path) -> None:
    process = start(home, REGIONS="2")
    wait_until_ready(process, home)
    urls = json.loads((home / "run.json").read_text())["urls"]
    with contextlib.ExitStack() as stack:
        here, there = (stack.enter_context(contextlib.closing(Client(url))) for url in urls)
        organization = here.new_organization("10")
        names = ("bin/postgres", "valkey-server", "local.kafka", "local.worker")
        for number, name in enumerate(names, 1):
            _kill(process, name)
            assert _charge(here, organization, name) == 201
            assert here.get(f"{organization}/balance").json()["balance_usd"] == f"{10 - number}.00"
            # The cache and the bus work again, too.
            wait_until(lambda: here.get("/health").json()["cache"] == "ok")
            assert there.get(organization).status_code == 200
            assert here.http.patch(organization, json={"name": name}).status_code == 200
            wait_until(lambda: there.get(organization).json()["name"] == name)  # noqa: B023
        for name in names:
            replayed = here.post(f"{organization}/charges", CHARGE, name)
            assert replayed.headers["idempotency-replayed"] == "true"
    _, errors = stop(process)
    assert process.returncode == 0
    for name, times in (("PostgreSQL", 1), ("Valkey", 2), ("Kafka", 1)):
        assert errors.count(f"{name} ended (SIGKILL); it is started again.") == times, errors
    assert "Traceback" not in errors


def test_a_server_that_does_not_stay_alive_ends_the_run_with_one_sentence(home: Path) -> None:
    process = start(home)
    wait_until_ready(process, home)
    # It cannot start again without its data.
    [data] = {path.parent for path in home.rglob("PG_VERSION") if path.parent.name == "data"}
    data.rename(data.with_name("moved"))
    _kill(process, "bin/postgres")
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert errors.strip().splitlines()[-1].startswith("PostgreSQL died "), errors
    assert "Traceback" not in errors


def test_a_stale_pid_file_stops_no_other_projects_postgresql(
    folders: Callable[[str], Path],
) -> None:
    with servers.postgres(folders("theirs"), durable=False) as theirs:
        with psycopg.connect(theirs) as connection:
            [folder] = connection.execute("SHOW data_directory").fetchone() or ("",)
        lock = Path(folder, "postmaster.pid").read_text()
        ours = folders("ours")
        with servers.postgres(ours, durable=False) as url, psycopg.connect(url) as connection:
            [data] = connection.execute("SHOW data_directory").fetchone() or ("",)
        # A number that was given anew, and a folder that was copied while its server ran.
        for stale in (lock.replace(folder, data), lock):
            Path(data, "postmaster.pid").write_text(stale)
            owner = Path(data, "PG_VERSION").stat()
            os.chown(Path(data, "postmaster.pid"), owner.st_uid, owner.st_gid)
            with servers.postgres(ours, durable=False) as url:
                for server in (url, theirs):
                    with psycopg.connect(server) as connection:
                        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_last_server_of_the_same_folder_is_stopped(folders: Callable[[str], Path]) -> None:
    home = folders("left-over")
    with servers.postgres(home, durable=False) as url:
        with psycopg.connect(url) as connection:
            [folder] = connection.execute("SHOW data_directory").fetchone() or ("",)
        left = psutil.Process(int(Path(folder, "postmaster.pid").read_text().splitlines()[0]))
        with servers.postgres(home, durable=False) as again, psycopg.connect(again) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
            assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE


def test_a_second_run_is_told_which_process_holds_the_folder(home: Path) -> None:
    with running(home) as url:
        second = start(home)
        _, errors = second.communicate(timeout=PATIENCE_SECONDS)
        assert second.returncode == 1
        process = (home / "lock").read_text()
        assert psutil.Process(int(process)).children()
        assert errors.strip() == (
            f"Another run holds this folder, and answers on {url}: process {process}, {home}."
        )
        assert httpx.get(f"{url}/health").status_code == 200


def test_a_second_run_while_the_first_one_starts_is_told_so(home: Path) -> None:
    # A run that was killed left this behind.
    (home / "run.json").write_text('{"url": "http://127.0.0.1:1"}')
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (home / "run.json").unlink()
        lock.write(str(os.getpid()))
        lock.flush()
        second = start(home)
        _, errors = second.communicate(timeout=PATIENCE_SECONDS)
    assert second.returncode == 1
    assert errors.strip() == (
        f"Another run holds this folder, and is starting: process {os.getpid()}, {home}."
    )


def test_of_runs_at_the_same_moment_one_serves_and_the_others_say_who(home: Path) -> None:
    runs = [start(home) for _ in range(3)]
    wait_until(lambda: sum(run.poll() is not None for run in runs) == 2)
    [winner] = [run for run in runs if run.poll() is None]
    for run in runs:
        if run is not winner:
            _, errors = run.communicate(timeout=PATIENCE_SECONDS)
            assert errors.startswith("Another run holds this folder, and "), errors
            assert f"process {winner.pid}" in errors
    assert httpx.get(f"{wait_until_ready(winner, home)}/health").status_code == 200
    stop(winner)
