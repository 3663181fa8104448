"""`make run`, as the person at the terminal meets it."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from local import servers
from tests.support.running import PATIENCE_SECONDS, Client, running, start, stop, wait_until_ready

CHARGE = {"amount_usd": "1", "description": "chat"}


@pytest.fixture
def home(folders: Callable[[str], Path]) -> Path:
    return folders("home")


def _gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, PATIENCE_SECONDS)[1]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_it_leaves_no_process_and_no_damage_behind(home: Path, how: signal.Signals) -> None:
    process = start(home)
    client = Client(wait_until_ready(process, home))
    organization = client.new_organization("10")
    client.post(f"{organization}/charges", CHARGE, "k").raise_for_status()
    client.close()
    children = psutil.Process(process.pid).children(recursive=True)
    assert {"postgres", "valkey-server"} <= {child.name() for child in children}
    process.send_signal(how)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert "Traceback" not in errors
    assert _gone(children)
    with running(home) as url:
        client = Client(url)
        assert client.get(f"{organization}/balance").json()["balance_usd"] == "9.00"
        replayed = client.post(f"{organization}/charges", CHARGE, "k")
        assert replayed.headers["idempotency-replayed"] == "true"
        client.close()


def test_a_token_outlives_a_restart(home: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with running(home, PORT=port) as url:
        client = Client(url)
        organization = client.new_organization()
    with running(home, PORT=port):
        assert client.get(organization).status_code == 200
    client.close()


def _complaint(process: "subprocess.Popen[str]") -> str:
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert len(errors.strip().splitlines()) == 1, errors
    return errors


def test_a_second_start_is_told_where_the_first_one_is(home: Path) -> None:
    with running(home) as url:
        assert url in _complaint(start(home))


def test_a_port_in_use_is_one_sentence(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"Port {port} is in use" in _complaint(start(home, PORT=port))


@pytest.mark.parametrize("port", ["http", "70000", "-1", ""])
def test_what_is_no_port_is_one_sentence(home: Path, port: str) -> None:
    assert "PORT must be a number" in _complaint(start(home, PORT=port))


def test_a_database_that_does_not_answer_is_one_sentence(home: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{servers.free_port()}/none"
    assert "DATABASE_URL cannot be used" in _complaint(start(home, DATABASE_URL=url, REDIS_URL="x"))


def test_a_stale_lock_of_a_dead_server_does_not_matter(home: Path) -> None:
    with running(home):
        pass
    (home / "lock").write_text("stale")
    # The number of a process that is alive and no PostgreSQL.
    data = next(path.parent for path in home.rglob("PG_VERSION") if path.parent.name == "data")
    (data / "postmaster.pid").write_text(f"{os.getppid()}\n{data}\n")
    with running(home) as url:
        assert httpx.get(f"{url}/health").json()["database"] == "ok"


def test_when_postgresql_goes_the_answer_is_503_and_when_it_is_back_the_key_tells_the_truth(
    home: Path, folders: Callable[[str], Path]
) -> None:
    state = folders("database")
    port = servers.free_port()
    with servers.postgres(state, port=port, durable=True) as database_url:
        process = start(home, DATABASE_URL=database_url, REDIS_URL="redis://127.0.0.1:1")
        client = Client(wait_until_ready(process, home))
        organization = client.new_organization("10")
        client.post(f"{organization}/charges", CHARGE, "before").raise_for_status()
    for key in ("before", "during"):
        answer = client.post(f"{organization}/charges", CHARGE, key)
        assert (answer.status_code, answer.json()["code"]) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "1"
        assert "psycopg" not in answer.text
    health = client.get("/health")
    assert (health.status_code, health.json()["database"]) == (503, "down")
    assert health.json()["cache"] == "down"
    with servers.postgres(state, port=port, durable=True):
        before = client.post(f"{organization}/charges", CHARGE, "before")
        during = client.post(f"{organization}/charges", CHARGE, "during")
        assert before.headers["idempotency-replayed"] == "true"
        assert (during.status_code, during.json()["balance_after_usd"]) == (201, "8.00")
        assert client.get("/health").json()["database"] == "ok"
        stop(process)
    client.close()


def test_a_container_whose_connection_was_cut_recovers_with_the_next_request(home: Path) -> None:
    with running(home) as url:
        client = Client(url)
        organization = client.new_organization("10")
        client.post(f"{organization}/charges", CHARGE, "1").raise_for_status()
        backends = _backends()
        for backend in backends:
            backend.terminate()
        assert _gone(backends)
        answer = client.post(f"{organization}/charges", CHARGE, "2")
        assert answer.status_code == 201
        client.close()


def test_a_database_that_hangs_is_given_up_and_the_key_tells_the_truth(home: Path) -> None:
    with running(home) as url:
        client = Client(url)
        organization = client.new_organization("10")
        client.post(f"{organization}/charges", CHARGE, "before").raise_for_status()
        backends = _backends()
        for backend in backends:
            backend.suspend()
        answer = client.post(f"{organization}/charges", CHARGE, "during")
        assert (answer.status_code, answer.json()["code"]) == (503, "temporarily_unavailable")
        for backend in backends:
            backend.resume()
        assert client.post(f"{organization}/charges", CHARGE, "during").status_code == 201
        assert client.get(f"{organization}/balance").json()["balance_usd"] == "8.00"
        client.close()


def _backends() -> list[psutil.Process]:
    """The processes of this test's PostgreSQL that serve the functions' connections."""
    ours = {child.pid for child in psutil.Process().children(recursive=True)}
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if process.pid in ours
        and " ".join(process.info["cmdline"] or []).startswith("postgres: synaxis_app billing")
    ]
