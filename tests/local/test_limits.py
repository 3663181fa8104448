"""The local gateway has the limits of API Gateway and Lambda, and survives who ignores them."""

import asyncio
import contextlib
import errno
import json
import resource
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import uvicorn

from local import connections, gateway
from local.connections import Protocol
from local.gateway import Gateway, Regions
from local.pool import LARGEST_EVENT_BYTES
from local.template import Function, Route, Template
from local.tokens import Issuer
from local.worker import LARGEST_ANSWER_BYTES
from tests.support import asynchronous
from tests.support.running import PATIENCE_SECONDS, Client, start, stop, wait_until_ready

HANDLER = """
import time

def handler(event, context):
    query = event.get("queryStringParameters", {})
    if "seconds" in query:
        time.sleep(float(query["seconds"]))
    return {"statusCode": 200, "body": query.get("text", "") * int(query.get("times", "1"))}
"""
# What the answer's JSON has around its body.
AROUND = len('{"statusCode": 200, "body": ""}')


def _exchange(tmp_path: Path, work: Callable[[int], Any]) -> Any:
    """What a client's thread makes of a gateway's port."""
    (tmp_path / "app.py").write_text(HANDLER)
    function = Function("Test", tmp_path, "app.handler", 60, 512, {}, [Route("POST /test", True)])

    async def run() -> Any:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            issuer = Issuer("http://127.0.0.1", "test", tmp_path / "issuer.pem")
            api = Gateway(Template({"Test": function}, {}, "test", ""), issuer, tmp_path)
            config = uvicorn.Config(Regions({port: api}), http=Protocol, log_level="warning")
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                return await asyncio.to_thread(work, port)
            finally:
                server.should_exit = True
                await serving

    return asynchronous.run(run())


def _raw(*parts: bytes) -> Callable[[int], bytes]:
    """Send these parts, then nothing, and return the answer until the connection is closed."""

    def work(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as client:
            # A connection that is refused can be closed before its last part is sent.
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    client.sendall(part)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while data := client.recv(65536):
                    answer += data
            return answer

    return work


@pytest.mark.parametrize("sent", [b"", b"POST /test HTT", b"POST /test HTTP/1.1\r\nHost: x\r\nA: "])
def test_headers_that_do_not_come_in_time_are_answered_by_408(
    sent: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    answer = _exchange(tmp_path, _raw(sent))
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert answer.endswith(b'\r\n\r\n{"message": "Request Timeout"}')


def test_the_time_for_headers_begins_anew_with_each_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    whole = b"POST /test?text=hi HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    answer = _exchange(tmp_path, _raw(whole, b"POST /test HTTP/1.1\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\n\r\nhiHTTP/1.1 408 Request Timeout\r\n" in answer


def test_a_body_that_does_not_come_in_time_is_answered_by_408(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "BODY_SECONDS", 0.2)
    head = b"POST /test HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    answer = _exchange(tmp_path, _raw(head, b"half"))
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_headers_without_an_end_are_answered_by_431(tmp_path: Path) -> None:
    endless = b"POST /test HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 100_000
    answer = _exchange(tmp_path, _raw(endless, *[b"a" * 100_000] * 5))
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


def _post(query: str = "", **request: Any) -> Callable[[int], httpx.Response]:
    def work(port: int) -> httpx.Response:
        url = f"http://127.0.0.1:{port}/test{query}"
        return httpx.post(url, timeout=PATIENCE_SECONDS, **request)

    return work


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 431)])
def test_request_line_and_header_values_have_ten_kilobytes(
    more: int, status: int, tmp_path: Path
) -> None:
    line = b"POST /test?text=hi HTTP/1.1"
    values = 10 * 1024 - len(line) - len("x0close") + more
    head = b"%b\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\nLong-Name: %b\r\n\r\n"
    answer = _exchange(tmp_path, _raw(head % (line, b"a" * values)))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    if status == 431:
        assert answer.endswith(b'{"message": "Request Header Fields Too Large"}')


# A character of two bytes in UTF-8, and one that JSON escapes.
@pytest.mark.parametrize("text", ["a", "\u00e9", '"'])
@pytest.mark.parametrize("over", [False, True])
def test_an_event_may_have_six_megabytes_of_json(text: str, over: bool, tmp_path: Path) -> None:
    # The event has more than the body; how much more is what a body of one character shows.
    each = len(json.dumps(text, ensure_ascii=False).encode()) - 2
    room = LARGEST_EVENT_BYTES - 64 * 1024
    times = (LARGEST_EVENT_BYTES if over else room) // each + 1
    request = _post(content=(text * times).encode(), headers={"content-type": "text/plain"})
    answer = _exchange(tmp_path, request)
    assert answer.status_code == (413 if over else 200)
    if over:
        assert answer.json()["code"] == "payload_too_large"


@pytest.mark.parametrize(("text", "bytes_each"), [("a", 1), ("%C3%A9", 2), ("%22", 2)])
def test_an_answer_may_have_six_megabytes_of_json(
    text: str, bytes_each: int, tmp_path: Path
) -> None:
    most = (LARGEST_ANSWER_BYTES - AROUND) // bytes_each

    def work(port: int) -> list[int]:
        return [
            _post(f"?text={text}&times={times}")(port).status_code for times in (most, most + 1)
        ]

    assert _exchange(tmp_path, work) == [200, 500]


def test_a_function_that_needs_too_long_is_503_and_ends_nevertheless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "INTEGRATION_SECONDS", 0.1)

    def work(port: int) -> tuple[httpx.Response, httpx.Response]:
        late = _post("?seconds=1")(port)
        monkeypatch.setattr(gateway, "INTEGRATION_SECONDS", PATIENCE_SECONDS)
        return late, _post("?text=hi")(port)

    late, after = _exchange(tmp_path, work)
    assert (late.status_code, late.json()["message"]) == (503, "Service Unavailable")
    assert (after.status_code, after.text) == (200, "hi")


def test_while_descriptors_are_missing_only_the_first_accept_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_listener: socket.socket) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(socket.socket, "accept", fail)
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with connections.Listener() as listener:
        for _ in range(2):
            with pytest.raises(OSError, match="too many open files"):
                listener.accept()
            # asyncio asks again for each connection that may wait.
            for _ in range(3):
                with pytest.raises(BlockingIOError):
                    listener.accept()
            now += connections.PAUSE_SECONDS + 1


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="this system has no prlimit")
def test_when_descriptors_run_out_connections_wait_and_one_line_says_so(
    home: Path,
) -> None:
    process = start(home)
    client = Client(wait_until_ready(process, home))
    organization = client.new_organization("10")
    charge = {"amount_usd": "1", "description": "chat"}
    client.post(f"{organization}/charges", charge, "before").raise_for_status()
    port = httpx.URL(client.url).port
    used = psutil.Process(process.pid).num_fds()
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used + 10, before[1]))
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        line = process.stderr.readline() if process.stderr else ""
        assert line.startswith("WARNING New connections wait"), line
    # The others have gone; who waits is served.
    assert client.post(f"{organization}/charges", charge, "after").status_code == 201
    with httpx.Client(timeout=PATIENCE_SECONDS) as another:
        assert another.get(f"{client.url}/health").status_code == 200
    client.close()
    _, errors = stop(process)
    assert "Traceback" not in errors
    assert len(errors.splitlines()) <= 2, errors
