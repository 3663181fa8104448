"""A port that leads to another one of this machine."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def relaying(address: str, port: int, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Yield the port of this address that leads to 127.0.0.1:port; behind TLS, if a context is
    given."""
    with socket.create_server((address, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, port, context), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, port: int, context: ssl.SSLContext | None) -> None:
    while True:
        try:
            outside, _ = listener.accept()
            if context is not None:
                outside = context.wrap_socket(outside, server_side=True)
        except ssl.SSLError:
            continue
        except OSError:
            return
        inside = socket.create_connection(("127.0.0.1", port))
        for source, target in ((outside, inside), (inside, outside)):
            threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    target.close()
