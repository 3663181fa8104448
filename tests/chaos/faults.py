"""A proxy in front of PostgreSQL or Redis that breaks the network at chosen moments."""

import contextlib
import random
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

_BYTES = 1 << 16
DELAY_SECONDS = 0.2


class Protocol(NamedTuple):
    """What a proxy must know of a protocol: the bytes that are in each request that is struck, and
    whether bytes of an answer are its end, when the request has had its effect."""

    mark: bytes
    ends: Callable[[bytes], bool]


# Each request that changes money carries the mark, and no other request does. An answer ends with
# ReadyForQuery, which a byte of the transaction's state ends.
POSTGRES = Protocol(b"fingerprint", lambda data: data[-6:-1] == b"Z\x00\x00\x00\x05")
# Every command. An answer ends when what the command does has been done.
REDIS = Protocol(b"*", lambda _: True)


class Mode(StrEnum):
    """What happens to a request, or, for `refuse`, to a connection."""

    cut_request = "cut while sending"
    cut_answer = "cut while answering"
    half_close = "answer's direction closed after sending"
    silence = "connection open without an answer"
    swallow = "reply swallowed after the commit"
    delay = "answer delayed"
    refuse = "connection refused"


class Deck[T]:
    """Cards that are dealt in random order and shuffled anew, so that none is rare by chance."""

    def __init__(self, rng: random.Random, cards: list[T]) -> None:
        self._rng, self._cards = rng, cards
        self._left: list[T] = []

    def deal(self) -> T:
        if not self._left:
            self._left = self._rng.sample(self._cards, len(self._cards))
        return self._left.pop()


class Proxy:
    """Passes everything until it is armed. `strikes` counts the faults by mode."""

    def __init__(self, port: int, protocol: Protocol, seed: str) -> None:
        self._server, self._protocol = ("127.0.0.1", port), protocol
        self._rng = random.Random(f"{seed} proxy")
        faults = [Mode.cut_request, Mode.cut_answer, Mode.half_close, Mode.swallow, Mode.delay]
        # A quarter of the requests is struck, and of the connections. A client waits long for an
        # answer that does not come, so that is rare.
        requests = [Mode.silence, *faults * 8, *[None] * 119]
        self._requests = Deck[Mode | None](self._rng, requests)
        self._connections = Deck[Mode | None](self._rng, [Mode.refuse, None, None, None])
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.armed = False
        self.strikes: Counter[Mode] = Counter()

    def accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                outside, _ = listener.accept()
                threading.Thread(target=self._serve, args=(outside,), daemon=True).start()

    def heal(self) -> None:
        """Cut every connection, which is idle now, and pass everything from then on."""
        self.armed = False
        for outside in list(self._open):
            with contextlib.suppress(OSError):
                outside.shutdown(socket.SHUT_RDWR)

    def _serve(self, outside: socket.socket) -> None:
        with outside, contextlib.suppress(OSError):
            if self._deal(self._connections) is Mode.refuse:
                self._strike(Mode.refuse)
                # Closed with a reset, as a port without a listener answers.
                linger = struct.pack("ii", 1, 0)
                outside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return
            with socket.create_connection(self._server) as inside:
                self._open.add(outside)
                try:
                    self._relay(outside, inside)
                finally:
                    self._open.discard(outside)

    def _relay(self, outside: socket.socket, inside: socket.socket) -> None:
        """Pass bytes until either side ends or a fault ends both. A client sends one request, and
        waits for its answer."""
        mode: Mode | None = None
        passing = True
        while passing:
            ready, _, _ = select.select([outside, inside], [], [])
            source, target = (outside, inside) if outside in ready else (inside, outside)
            data = source.recv(_BYTES)
            if source is outside:
                mode = self._deal(self._requests) if self._protocol.mark in data else None
            passing = bool(data) and self._pass(data, target, mode, source is outside)
            if source is outside and mode is Mode.half_close:
                self._strike(mode)
                outside.shutdown(socket.SHUT_WR)

    def _pass(self, data: bytes, target: socket.socket, mode: Mode | None, sending: bool) -> bool:
        """Pass what a fault leaves of the bytes; return whether the connection goes on."""
        if mode is (Mode.cut_request if sending else Mode.cut_answer):
            self._strike(mode)
            # A request without its end has no effect.
            target.sendall(data[: self._offset(data)])
            return False
        if mode is Mode.swallow and not sending:
            if ended := self._protocol.ends(data):
                self._strike(mode)
            return not ended
        if mode is Mode.silence and not sending:
            if self._protocol.ends(data):
                self._strike(mode)
            return True
        if mode is Mode.delay and not sending:
            self._strike(mode)
            time.sleep(DELAY_SECONDS)
        target.sendall(data)
        return True

    def _deal(self, deck: Deck[Mode | None]) -> Mode | None:
        with self._lock:
            return deck.deal() if self.armed else None

    def _offset(self, data: bytes) -> int:
        with self._lock:
            return self._rng.randrange(len(data))

    def _strike(self, mode: Mode) -> None:
        with self._lock:
            self.strikes[mode] += 1


@contextlib.contextmanager
def proxying(port: int, protocol: Protocol, seed: str) -> Iterator[tuple[Proxy, int]]:
    """Yield a proxy of the server at a port of 127.0.0.1, and the proxy's own port. Clients do not
    encrypt."""
    proxy = Proxy(port, protocol, seed)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=proxy.accept, args=(listener,), daemon=True)
        accepting.start()
        yield proxy, listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
