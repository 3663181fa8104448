"""Proxies of LiteLLM before a provider of this machine, billed by the running product."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from local.template import ROOT
from synaxis_billing_client import Billing, Retries, credentials
from tests.client.conftest import free_port
from tests.support.running import EVERYTHING, PATIENCE_SECONDS, serving

HERE = Path(__file__).parent
SCRIPTS = ROOT / ".venv-litellm/bin"
MASTER_KEY = "sk-7f3a9c51e2d84b06a1c5f0d9b8e7a6c4"
STEP_BYTES = 65536
# LiteLLM imports for long on a busy machine.
START_SECONDS = 600.0


class Line:
    """A connection between a gateway and the product that can be cut."""

    def __init__(self, url: str) -> None:
        self._to = httpx.URL(url)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.cut = False
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, cut: bool) -> None:
        self.cut = cut
        for connection in list(self._open) if cut else []:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.set(cut=True)
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                if self.cut:
                    client.close()
                    continue
                product = socket.create_connection((self._to.host, self._to.port or 80))
                for one, other in ((client, product), (product, client)):
                    # Or a request in two parts waits for the acknowledgment of the first.
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._open.add(one)
                    threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := one.recv(STEP_BYTES):
                other.sendall(content)
        for connection in (one, other):
            self._open.discard(connection)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


class Proxy(NamedTuple):
    """A proxy of LiteLLM: its URL, its records, its journal, and its line to the product."""

    url: str
    records_file: Path
    journal: Path
    log: Path
    line: Line

    def post(self, path: str, body: Any, key: str, **headers: str) -> httpx.Response:
        sent = {"authorization": f"Bearer {key}", **headers}
        return httpx.post(f"{self.url}{path}", json=body, headers=sent, timeout=PATIENCE_SECONDS)

    def get(self, path: str, key: str) -> httpx.Response:
        sent = {"authorization": f"Bearer {key}"}
        return httpx.get(f"{self.url}{path}", headers=sent, timeout=PATIENCE_SECONDS)

    def chat(self, key: str, model: str = "gpt-4o-mini", **told: Any) -> httpx.Response:
        stream = told.pop("stream", False)
        return self.post("/v1/chat/completions", chat(model, stream=stream, **told), key)

    def records(self) -> list[dict[str, Any]]:
        """What LiteLLM says of the calls that were answered."""
        if not self.records_file.exists():
            return []
        return [json.loads(line) for line in self.records_file.read_text().splitlines()]

    def owed(self) -> str:
        """What the journals and the list of refusals have."""
        return "".join(path.read_text() for path in sorted(self.journal.glob("*.json*")))


def chat(model: str, *, stream: bool = False, **told: Any) -> dict[str, Any]:
    message = {"role": "user", "content": json.dumps(told)}
    return {"model": model, "messages": [message], "stream": stream, "max_tokens": 200}


@contextlib.contextmanager
def proxy(
    folder: Path,
    product: str,
    upstream: str,
    configuration: Path = HERE / "config.yaml",
    /,
    **settings: str,
) -> Iterator[Proxy]:
    port, line = free_port(), Line(product)
    made = Proxy(
        f"http://127.0.0.1:{port}", folder / "records", folder / "journal", folder / "log", line
    )
    command = [str(SCRIPTS / "litellm"), "--config", str(configuration)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    environment = {
        "PYTHONPATH": f"{ROOT / 'clients/python/src'}",
        "UPSTREAM": upstream,
        "UPSTREAM_V1": f"{upstream}/v1",
        "RECORDS": str(made.records_file),
        "LITELLM_MASTER_KEY": MASTER_KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "SYNAXIS_BILLING_URL": line.url,
        "SYNAXIS_BILLING_JOURNAL": str(made.journal),
        **settings,
    }
    with contextlib.closing(line), serving(command, port, made.log, START_SECONDS, **environment):
        yield made


@pytest.fixture(scope="session")
def proxies(
    url: str, upstream: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Proxy]]:
    """Two proxies, by a hold for each call and by leases. They start together: it takes long."""
    kinds: dict[str, dict[str, str]] = {
        "holds": {"SYNAXIS_BILLING_MODE": "fail_open"},
        "leases": {"SYNAXIS_BILLING_MODE": "fail_closed", "SYNAXIS_BILLING_LEASE_USD": "1"},
    }
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as threads:

        def start(kind: str) -> Proxy:
            folder = tmp_path_factory.mktemp(kind)
            return stack.enter_context(proxy(folder, url, upstream, **kinds[kind]))

        yield dict(zip(kinds, threads.map(start, kinds), strict=True))


@pytest.fixture(params=["holds", "leases"])
def gateway(request: pytest.FixtureRequest, proxies: dict[str, Proxy]) -> Proxy:
    return proxies[request.param]


@pytest.fixture
def holding(proxies: dict[str, Proxy]) -> Proxy:
    return proxies["holds"]


@pytest.fixture
def leasing(proxies: dict[str, Proxy]) -> Proxy:
    return proxies["leases"]


@pytest.fixture(scope="session")
def books(url: str) -> Iterator[Billing]:
    """The product's books."""
    auth = credentials(url, None, "operator", "a secret", EVERYTHING)
    with Billing(url, auth, timeout=PATIENCE_SECONDS, retries=Retries()) as client:
        client.create_price(
            provider="openai",
            model="text-embedding-3-small",
            effective_from="2026-01-01T00:00:00Z",
            rates=[
                {"bucket": "input", "usd_per_million": "0.02"},
                {"bucket": "output", "usd_per_million": "0"},
            ],
        )
        yield client
