"""Somebody's webhook endpoint on this machine, which answers what it is told to."""

import contextlib
import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from standardwebhooks import Webhook


class Received(NamedTuple):
    path: str
    headers: dict[str, str]
    body: str

    def verified(self, secret: str) -> Any:
        """The payload. Raises WebhookVerificationError."""
        return Webhook(secret).verify(self.body, self.headers)


class Receiver(http.server.ThreadingHTTPServer):
    """`status` is what it answers; with `trickles`, it sends a letter of a long header each
    so many seconds, and `trickled` says whether it came to the end."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[Received] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self.trickles: float | None = None
        self.trickled = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append(Received(self.path, headers, body))
        if self.server.trickles is not None:
            self._trickle(self.server.trickles)
            return
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _trickle(self, seconds: float) -> None:
        with contextlib.suppress(OSError):
            for letter in b"HTTP/1.1 200 OK\r\nx-slow: " + b"z" * 1000:
                self.wfile.write(bytes([letter]))
                time.sleep(seconds)
            self.server.trickled = True

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def receiving(certificate: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    with Receiver() as receiver:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
        threading.Thread(target=receiver.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
