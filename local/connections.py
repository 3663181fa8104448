"""Connections to the local gateway: closed when a request's headers are slow or endless, accepted
later when descriptors run out."""

import asyncio
import errno
import logging
import socket
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The gateway counts complete headers as API Gateway does; these never become complete.
LARGEST_UNFINISHED_BYTES = 64 * 1024
HEAD_SECONDS = 10
# Shorter than asyncio's own pause of a second.
PAUSE_SECONDS = 0.5
SILENCE_SECONDS = 60
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
logger = logging.getLogger(__name__)


class Protocol(HttpToolsProtocol):
    """A connection, as uvicorn serves it, with limits for what comes before a request's body."""

    _deadline: asyncio.TimerHandle | None = None
    _unfinished_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_headers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._deadline is not None:
            self._unfinished_bytes += len(data)
            if self._unfinished_bytes > LARGEST_UNFINISHED_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        self._begin_headers()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._end_headers()
        super().on_headers_complete()

    def _begin_headers(self) -> None:
        self._end_headers()
        self._unfinished_bytes = 0
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._refuse, b"408 Request Timeout")

    def _end_headers(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: bytes) -> None:
        self._end_headers()
        if self.transport.is_closing():
            return
        body = b'{"message": "%b"}' % status.partition(b" ")[2]
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nconnection: close\r\n" % status
        self.transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
        self.transport.close()


class Listener(socket.socket):
    """A listening socket. When descriptors run out, asyncio calls `accept` again for the whole
    backlog, and reports each failure: only the first of them is one here."""

    _paused_until = 0.0

    def accept(self) -> tuple[socket.socket, Any]:
        try:
            return super().accept()
        except OSError as error:
            now = time.monotonic()
            if error.errno not in _EXHAUSTED or now > self._paused_until:
                self._paused_until = now + PAUSE_SECONDS
                raise
            raise BlockingIOError from error


class Complaints:
    """An event loop's exception handler that says in one line that descriptors ran out."""

    _silent_until = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _EXHAUSTED:
            loop.default_exception_handler(context)
        elif loop.time() > self._silent_until:
            self._silent_until = loop.time() + SILENCE_SECONDS
            logger.warning(
                "New connections wait, because the system gives this process no more: %s.",
                error.strerror,
            )
