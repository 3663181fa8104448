"""A proxy in front of PostgreSQL that breaks the network at chosen moments of a change of money."""

import contextlib
import random
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum

# Each request that changes money carries it, and no other request does.
_MARK = b"fingerprint"
_READY = b"Z\x00\x00\x00\x05"  # ReadyForQuery; a byte of the transaction's state follows
_BYTES = 1 << 16
DELAY_SECONDS = 0.2


class Mode(StrEnum):
    """What happens to a request, or, for `refuse`, to a connection."""

    cut_request = "cut while sending"
    cut_answer = "cut while answering"
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

    def __init__(self, port: int, seed: str) -> None:
        self._server = "127.0.0.1", port
        self._rng = random.Random(f"{seed} proxy")
        faults = [Mode.cut_request, Mode.cut_answer, Mode.swallow, Mode.delay]
        # Four of sixteen requests are struck, and one of four connections.
        self._requests = Deck[Mode | None](self._rng, [*faults, *[None] * 12])
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
                mode = self._deal(self._requests) if _MARK in data else None
            passing = bool(data) and self._pass(data, target, mode, source is outside)

    def _pass(self, data: bytes, target: socket.socket, mode: Mode | None, sending: bool) -> bool:
        """Pass what a fault leaves of the bytes; return whether the connection goes on."""
        if mode is (Mode.cut_request if sending else Mode.cut_answer):
            self._strike(mode)
            # A request without its end has no effect.
            target.sendall(data[: self._offset(data)])
            return False
        if mode is Mode.swallow and not sending:
            # The server says so when the transaction has ended, and not before.
            if committed := data[-6:-1] == _READY:
                self._strike(mode)
            return not committed
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
def proxying(port: int, seed: str) -> Iterator[tuple[Proxy, int]]:
    """Yield a proxy of the PostgreSQL at a port of 127.0.0.1, and the proxy's own port. Clients do
    not encrypt."""
    proxy = Proxy(port, seed)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=proxy.accept, args=(listener,), daemon=True)
        accepting.start()
        yield proxy, listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
