"""A server that speaks the bytes it is given, right or wrong, over TCP or TLS."""

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path


class Speaker:
    """`script` is sent part by part to each connection after its request, with `pause_seconds`
    between the parts; `requests` are the whole requests, `names` those of the TLS
    handshakes, and `finished` is set once a script has been sent to its end."""

    def __init__(self, certificate: tuple[Path, Path] | None) -> None:
        self.script: Iterable[bytes] = []
        self.pause_seconds = 0.0
        self.requests: list[str] = []
        self.names: list[str | None] = []
        self.finished = threading.Event()
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = ""
        self.port: int = self._listener.getsockname()[1]
        self._context = None if certificate is None else self._secured(certificate)

    def _secured(self, certificate: tuple[Path, Path]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        return context

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        # Closing alone does not wake a thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                self.requests.append(_request(connection))
                for part in self.script:
                    connection.sendall(part)
                    if self._closing.wait(self.pause_seconds):
                        return
                self.finished.set()


def _request(connection: socket.socket) -> str:
    with connection.makefile("rb") as stream:
        head = b"".join(iter(stream.readline, b"\r\n"))
        length = re.search(rb"content-length: (\d+)", head, re.I)
        body = stream.read(int(length[1])) if length else b""
    return (head + b"\r\n" + body).decode("latin-1")


@contextlib.contextmanager
def speaking(certificate: tuple[Path, Path] | None = None) -> Iterator[Speaker]:
    speaker = Speaker(certificate)
    threading.Thread(target=speaker.serve, daemon=True).start()
    try:
        yield speaker
    finally:
        speaker.close()
