"""`make run`, as the person at the terminal meets it."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from local import servers
from tests.support.running import (
    PATIENCE_SECONDS,
    Client,
    start,
    stop,
    wait_until,
    wait_until_ready,
)

CHARGE = {"amount_usd": "1", "description": "chat"}


def _gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, PATIENCE_SECONDS)[1]


ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


def test_however_it_ends_no_process_stays_and_the_next_run_has_its_charges_and_tokens(
    home: Path,
) -> None:
    # The issuer of the tokens.
    port = str(servers.free_port())
    process = start(home, PORT=port)
    client = Client(wait_until_ready(process, home))
    organization = client.new_organization("10")
    for number, how in enumerate(ENDS, 1):
        client.post(f"{organization}/charges", CHARGE, how.name).raise_for_status()
        children = psutil.Process(process.pid).children(recursive=True)
        assert {"postgres", "valkey-server"} <= {child.name() for child in children}
        process.send_signal(how)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert "Traceback" not in errors
        assert _gone(children), how
        process = start(home, PORT=port)
        wait_until_ready(process, home)
        balance = client.get(f"{organization}/balance").raise_for_status().json()
        assert balance["balance_usd"] == f"{10 - number}.00"
        replayed = client.post(f"{organization}/charges", CHARGE, how.name)
        assert replayed.headers["idempotency-replayed"] == "true"
    stop(process)
    client.close()


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = start(tmp_path, PORT=port)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    [sentence] = errors.splitlines()
    assert f"Port {port} is in use" in sentence


@pytest.mark.parametrize("port", ["http", "70000", "-1", ""])
def test_what_is_no_port_is_one_sentence(refusal: Callable[..., str], port: str) -> None:
    assert "PORT must be a number" in refusal(PORT=port)


def test_a_database_that_does_not_answer_is_one_sentence(refusal: Callable[..., str]) -> None:
    url = f"postgresql://nobody@127.0.0.1:{servers.free_port()}/none"
    assert "DATABASE_URL cannot be used" in refusal(DATABASE_URL=url)


def test_what_is_not_the_url_of_a_redis_is_one_sentence(refusal: Callable[..., str]) -> None:
    assert "REDIS_URL is not the URL of a Redis" in refusal(REDIS_URL="127.0.0.1")


@pytest.mark.parametrize(
    ("seller", "reason"),
    [("Acme", "Invalid JSON"), ('{"address": "x"}', "name: Field required"), ("[]", "it: ")],
)
def test_a_seller_that_cannot_be_read_is_one_sentence(
    refusal: Callable[..., str], seller: str, reason: str
) -> None:
    complaint = refusal(INVOICE_SELLER=seller)
    assert complaint.startswith("INVOICE_SELLER must be JSON such as")
    assert reason in complaint


def test_when_postgresql_goes_the_answer_is_503_and_when_it_is_back_the_key_tells_the_truth(
    home: Path,
) -> None:
    port = servers.free_port()
    with servers.postgres(home, port=port, durable=True) as database_url:
        process = start(home, DATABASE_URL=database_url, REDIS_URL="redis://127.0.0.1:1")
        client = Client(wait_until_ready(process, home))
        organization = client.new_organization("10")
        client.post(f"{organization}/charges", CHARGE, "before").raise_for_status()
    for key in ("before", "during"):
        answer = client.post(f"{organization}/charges", CHARGE, key)
        assert (answer.status_code, answer.json()["code"]) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"] == "1"
        assert "psycopg" not in answer.text
    wait_until(lambda: client.get("/health").status_code == 503)
    health = client.get("/health")
    assert health.json()["database"] == "down"
    assert health.json()["cache"] == "down"
    with servers.postgres(home, port=port, durable=True):
        before = client.post(f"{organization}/charges", CHARGE, "before")
        during = client.post(f"{organization}/charges", CHARGE, "during")
        assert before.headers["idempotency-replayed"] == "true"
        assert (during.status_code, during.json()["balance_after_usd"]) == (201, "8.00")
        wait_until(lambda: client.get("/health").json()["database"] == "ok")
        stop(process)
    client.close()


class Run(NamedTuple):
    """A run whose output goes to a file, and a client of it."""

    process: "subprocess.Popen[str]"
    client: Client
    terminal: Path
    redis_address: str

    def backends(self) -> list[psutil.Process]:
        """The processes of PostgreSQL that serve the functions' connections."""
        found = [
            child
            for child in psutil.Process(self.process.pid).children(recursive=True)
            if " ".join(child.cmdline()).startswith("postgres: synaxis_app billing")
        ]
        assert found
        return found


SELLER = '{"name": "Ours", "tax_id": "X1"}'


@pytest.fixture(scope="module")
def run(new_home: Callable[[], Path]) -> Iterator[Run]:
    """A run with a seller, and with a Redis that does not answer, in a folder with the locks of one
    that died."""
    home = new_home()
    (home / "lock").write_text("stale")
    # The number of a process that is alive and no PostgreSQL.
    data = next(path.parent for path in home.rglob("PG_VERSION") if path.parent.name == "data")
    (data / "postmaster.pid").write_text(f"{os.getppid()}\n{data}\n")
    redis_address = f"127.0.0.1:{servers.free_port()}"
    redis_url = f"redis://:secret@{redis_address}"
    terminal = home / "terminal"
    with terminal.open("w") as output:
        process = start(home, output, INVOICE_SELLER=SELLER, REDIS_URL=redis_url)
    with contextlib.closing(Client(wait_until_ready(process, home))) as client:
        yield Run(process, client, terminal, redis_address)
    stop(process)


def test_a_stale_lock_of_a_dead_server_does_not_matter(run: Run) -> None:
    assert run.client.get("/health").json()["database"] == "ok"


def test_a_redis_that_does_not_answer_is_said_at_start_in_one_sentence(run: Run) -> None:
    assert run.client.get("/health").json()["cache"] == "down"
    said = run.terminal.read_text()
    [sentence] = [line for line in said.splitlines() if "REDIS_URL" in line]
    assert sentence.startswith("The Redis at REDIS_URL does not answer, so there is no cache:")
    assert run.redis_address in sentence
    assert "secret" not in said


def test_invoices_name_the_seller_that_is_set_and_else_a_complete_example(
    run: Run, api: Client
) -> None:
    seller = _seller_of_a_draft(run.client)
    assert (seller["name"], seller["tax_id"], seller["address"]) == ("Ours", "X1", None)
    example = _seller_of_a_draft(api)
    assert all(example[name] for name in ("name", "address", "tax_id"))


def _seller_of_a_draft(client: Client) -> dict[str, Any]:
    organization = client.new_organization("10")
    client.post(f"{organization}/charges", CHARGE, "k").raise_for_status()
    period = {
        "period_start": "2026-01-01T00:00:00Z",
        "period_end": datetime.now(UTC).isoformat(),
    }
    draft = client.post(f"{organization}/invoices", period).raise_for_status()
    seller: dict[str, Any] = draft.json()["seller"]
    return seller


def test_a_container_whose_connection_was_cut_recovers_with_the_next_request(run: Run) -> None:
    organization = run.client.new_organization("10")
    run.client.post(f"{organization}/charges", CHARGE, "1").raise_for_status()
    backends = run.backends()
    for backend in backends:
        backend.terminate()
    assert _gone(backends)
    answer = run.client.post(f"{organization}/charges", CHARGE, "2")
    assert answer.status_code == 201


def test_a_database_that_hangs_is_given_up_and_the_key_tells_the_truth(run: Run) -> None:
    organization = run.client.new_organization("10")
    run.client.post(f"{organization}/charges", CHARGE, "before").raise_for_status()
    backends = run.backends()
    for backend in backends:
        backend.suspend()
    answer = run.client.post(f"{organization}/charges", CHARGE, "during")
    assert (answer.status_code, answer.json()["code"]) == (503, "temporarily_unavailable")
    for backend in backends:
        backend.resume()
    assert run.client.post(f"{organization}/charges", CHARGE, "during").status_code == 201
    assert run.client.get(f"{organization}/balance").json()["balance_usd"] == "8.00"
