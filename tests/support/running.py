"""The product as `make run` starts it, in a process and a state folder of its own."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import httpx
import psutil

from local.template import ROOT

# Ends a test that hangs, on a busy machine too. No test may depend on it.
PATIENCE_SECONDS = 120
# A pause between polls leaves the core to the process under test.
POLL_SECONDS = 0.02
EVERYTHING = (
    "billing:platform billing:admin billing:read billing:charge billing:topup"
    " billing:pay billing:settings"
)


class Client:
    """Calls the API with a token."""

    def __init__(self, url: str, scope: str = EVERYTHING, organization_id: object = None) -> None:
        self.url = url
        self._others: list[Client] = []
        asked = {"scope": scope}
        if organization_id is not None:
            asked["organization_id"] = str(organization_id)
        issued = httpx.post(f"{url}/_local/token", json=asked, timeout=PATIENCE_SECONDS)
        self.http = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {issued.raise_for_status().json()['access_token']}"},
            timeout=PATIENCE_SECONDS,
        )

    def other(self, scope: str, organization_id: object = None) -> "Client":
        """A client with another token; it closes with this one."""
        self._others.append(Client(self.url, scope, organization_id))
        return self._others[-1]

    def close(self) -> None:
        for client in [*self._others, self]:
            client.http.close()

    def post(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"idempotency-key": key}
        return self.http.post(path, json=body, headers=headers)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(path, params=query)

    def new_organization(self, credit_usd: str | None = None, **profile: Any) -> str:
        """The path of an organization that has so much credit."""
        created = self.post(
            "/v1/organizations", {"name": "Acme", "billing_currency": "USD", **profile}
        )
        path = f"/v1/organizations/{UUID(created.raise_for_status().json()['id'])}"
        if credit_usd is not None:
            credited = self.post(f"{path}/topups", {"amount_usd": credit_usd}, f"first {path}")
            credited.raise_for_status()
        return path


def start(
    state: Path,
    terminal: int | IO[str] = subprocess.PIPE,
    arguments: tuple[str, ...] = ("-m", "local", "run"),
    /,
    **environment: str,
) -> "subprocess.Popen[str]":
    """`make run`'s process, or that of other arguments of Python."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={
            **{name: of for name, of in os.environ.items() if not name.endswith("_URL")},
            "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}",
            "STATE": str(state),
            "PORT": "0",
            **environment,
        },
        stdout=terminal,
        stderr=terminal,
        text=True,
    )


def wait_until_ready(process: "subprocess.Popen[str]", state: Path) -> str:
    """The URL that it answers on."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        with contextlib.suppress(FileNotFoundError, ValueError, httpx.TransportError):
            url: str = json.loads((state / "run.json").read_text())["url"]
            httpx.get(f"{url}/health", timeout=PATIENCE_SECONDS)
            return url
        time.sleep(POLL_SECONDS)
    raise AssertionError("it did not start in time")


def wait_until(holds: Callable[[], bool], patience_seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + patience_seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(POLL_SECONDS)


def stop(process: "subprocess.Popen[str]") -> tuple[str, str]:
    process.terminate()
    return process.communicate(timeout=PATIENCE_SECONDS)


def kill(process: "subprocess.Popen[str]", name: str) -> None:
    """Kill each descendant whose command line contains the name."""
    found = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if name in " ".join(child.cmdline())
    ]
    assert found, name
    for child in found:
        child.kill()
    # They stay zombies until their parent has noticed.
    wait_until(lambda: not any(child.is_running() for child in found))


@contextlib.contextmanager
def serving(
    command: list[str],
    port: int,
    log: Path,
    patience_seconds: float = PATIENCE_SECONDS,
    /,
    **environment: str,
) -> Iterator[str]:
    """The URL of what a command serves on a port of this machine."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=output, env={**os.environ, **environment}
        )
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None, patience_seconds)
        assert process.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_SECONDS)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def running(state: Path, **environment: str) -> Iterator[str]:
    process = start(state, **environment)
    try:
        yield wait_until_ready(process, state)
    finally:
        stop(process)
