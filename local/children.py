"""The servers that this process started: each is started again when it dies."""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

START_SECONDS = 20
STOP_SECONDS = 10
POLL_SECONDS = 0.1
# A child that lived so long starts again with the shortest delay.
STEADY_SECONDS = 60
DELAYS_SECONDS = (0, 0.2, 0.5, 1, 2, 4)
logger = logging.getLogger(__name__)


class ServerError(Exception):
    """A server does not run; the message is one sentence for the person at the terminal."""


class Child:
    """A server's process; `ready` tells whether the server answers."""

    def __init__(
        self,
        name: str,
        spawn: Callable[[], "subprocess.Popen[bytes]"],
        ready: Callable[[], bool],
        log: Path,
        stop: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self._spawn = spawn
        self._ready = ready
        self._log = log
        self._stop = stop
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._deaths = 0

    def start(self) -> None:
        """Start the process; `is_ready` tells when the server answers."""
        self.stop()
        self._started = time.monotonic()
        self._process = self._spawn()

    def is_ready(self) -> bool:
        """Raises ServerError when the server has died or needs too long."""
        if self._ready():
            return True
        if self.death() is not None or time.monotonic() > self._started + START_SECONDS:
            raise ServerError(
                f"{self.name} did not start: {_last_line(self._log)} (more in {self._log})."
            )
        return False

    def death(self) -> str | None:
        """Say how the process ended, or None while it runs."""
        code = self._process.poll() if self._process else None
        if code is None:
            return None
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"

    def delay_seconds(self) -> float:
        """Count a death, and return how long to wait before the next start.

        Raises ServerError when the server has died too often.
        """
        if time.monotonic() - self._started > STEADY_SECONDS:
            self._deaths = 0
        if self._deaths == len(DELAYS_SECONDS):
            raise ServerError(
                f"{self.name} died {self._deaths + 1} times in a row:"
                f" {_last_line(self._log)} (more in {self._log})."
            )
        self._deaths += 1
        return DELAYS_SECONDS[self._deaths - 1]

    def stop(self) -> None:
        """End the process, by force when it does not end by itself."""
        if self._process is None:
            return
        with self._process as process:
            if process.poll() is None:
                process.send_signal(self._stop)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


_running: list[Child] = []


@contextlib.contextmanager
def running(child: Child) -> Iterator[None]:
    """Start a server, and stop it at the end of the block. Raises ServerError."""
    try:
        child.start()
        while not child.is_ready():
            time.sleep(0.02)
        _running.append(child)
        yield
    finally:
        if child in _running:
            _running.remove(child)
        child.stop()


async def watch(restarted: Callable[[], Awaitable[None]]) -> None:
    """Start again each running server that dies, and then call `restarted`, until cancelled.

    Raises ServerError for a server that does not stay alive.
    """
    ever = asyncio.Event().wait()
    await asyncio.gather(ever, *(_watch(child, restarted) for child in _running))


async def _watch(child: Child, restarted: Callable[[], Awaitable[None]]) -> None:
    while True:
        while (death := child.death()) is None:
            await asyncio.sleep(POLL_SECONDS)
        delay = child.delay_seconds()
        logger.warning("%s ended (%s); it is started again.", child.name, death)
        await asyncio.sleep(delay)
        try:
            # Here and not in a thread: the kernel ends a child with the thread that started it.
            child.start()
            while not await asyncio.to_thread(child.is_ready):
                await asyncio.sleep(POLL_SECONDS)
        except (ServerError, OSError):
            child.stop()
        else:
            await restarted()


def end_with_parent(stop: signal.Signals) -> Callable[[], None]:
    """Return what a child runs before its program starts, so that it does not outlive this process
    (Linux only)."""
    if sys.platform != "linux":
        return lambda: None
    parent = os.getpid()
    libc = ctypes.CDLL(None)
    pr_set_pdeathsig = 1

    def arrange() -> None:
        libc.prctl(pr_set_pdeathsig, stop)
        if os.getppid() != parent:
            os._exit(1)

    return arrange


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"
