"""A function's containers: processes of their own, started as the load asks for, replaced when they
crash or run out of time.

They are forks of one process that has imported the libraries, because nearly all of a start is
that.
"""

import asyncio
import json
import logging
import multiprocessing
import os
import socket
import uuid
from collections.abc import Awaitable, Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple

from local import worker
from local.template import Function
from local.worker import LENGTH, to_json

LARGEST_POOL = 4
MOST_WAITING = 1000
LARGEST_EVENT_BYTES = 6 * 1024 * 1024
# Takes a function's name and an event.
Invoke = Callable[[str, Any], Awaitable[Any]]
logger = logging.getLogger(__name__)
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["local.libraries"])


class Container(NamedTuple):
    """A process, and the two directions of its socket."""

    process: ForkServerProcess
    answers: asyncio.StreamReader
    events: asyncio.StreamWriter


class FunctionError(Exception):
    """The function failed, crashed, ran out of time or answered too much."""


class EventTooLarge(FunctionError):
    """Lambda does not take the event."""


class Throttled(Exception):
    """Every container is busy and too many requests wait already."""


class Pool:
    """The containers of one function. The one that was used last is used next, as Lambda does."""

    def __init__(self, function: Function, logs: Path, region: str = "local") -> None:
        self.function = function
        self._region = region
        self._log = logs / f"{function.name}.log"
        self._idle: list[Container] = []
        self._all: set[Container] = set()
        self._free = asyncio.Semaphore(LARGEST_POOL)
        self._waiting = 0

    async def invoke(self, event: Any, request_id: str) -> Any:
        """The handler's answer. Raises FunctionError, Throttled."""
        if (size := len(to_json(event))) > LARGEST_EVENT_BYTES:
            raise EventTooLarge(f"the event's JSON has {size} bytes, more than 6 MB")
        if self._waiting >= MOST_WAITING:
            raise Throttled
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._invoke(event, request_id)
        finally:
            self._free.release()

    async def _invoke(self, event: Any, request_id: str) -> Any:
        try:
            container = await self._container()
        except (OSError, EOFError) as error:
            # Too few descriptors or processes, no space left, or its parent has died.
            raise Throttled from error
        timeout = self.function.timeout_seconds
        message = {"event": event, "request_id": request_id, "timeout_seconds": timeout}
        try:
            async with asyncio.timeout(timeout):
                reply = await _exchange(container, message)
        except TimeoutError as error:
            await self._end(container)
            raise FunctionError(f"timed out after {timeout} seconds") from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            await self._end(container)
            raise FunctionError("the process ended during the request") from error
        except asyncio.CancelledError:
            await self._end(container)
            raise
        self._idle.append(container)
        if "error" in reply:
            # What follows the first line is in the function's log.
            reason = "{errorType}: {errorMessage}".format(**reply["error"]).partition("\n")[0]
            raise FunctionError(reason)
        return reply["answer"]

    async def drain(self) -> None:
        """Wait until no invocation runs; later ones wait for ever."""
        for _ in range(LARGEST_POOL):
            await self._free.acquire()

    async def close(self) -> None:
        for container in list(self._all):
            await self._end(container)

    async def _container(self) -> Container:
        while self._idle:
            container = self._idle.pop()
            if container.process.is_alive():
                return container
            await self._end(container)
        ours, theirs = socket.socketpair()
        process = _forks.Process(
            target=worker.main,
            args=(
                *(theirs, str(self.function.folder), self.function.handler),
                *(self._environment(), str(self._writable_log())),
            ),
            # Else this process would wait for it when it ends.
            daemon=True,
        )
        try:
            # The first start begins the parent, too. It goes on when who waits for it is cancelled.
            await asyncio.shield(asyncio.to_thread(_start, process, theirs))
            streams = await asyncio.open_connection(sock=ours, limit=16 * 1024 * 1024)
        except BaseException:
            ours.close()
            raise
        container = Container(process, *streams)
        self._all.add(container)
        return container

    def _writable_log(self) -> Path:
        try:
            self._log.open("ab").close()
        except OSError as error:
            # The answer is worth more than the log.
            logger.error("%s cannot be written: %s", self._log, error.strerror)
            return Path(os.devnull)
        return self._log

    def _environment(self) -> dict[str, str]:
        # What the template does not declare is not there, as in Lambda.
        return {
            **self.function.environment,
            "AWS_LAMBDA_FUNCTION_NAME": self.function.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.function.memory_mb),
            "AWS_LAMBDA_LOG_STREAM_NAME": uuid.uuid4().hex,
            "AWS_REGION": self._region,
            # In AWS the role says who it is.
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
        }

    async def _end(self, container: Container) -> None:
        self._all.discard(container)
        container.process.kill()
        container.events.close()
        await asyncio.to_thread(container.process.join)


def _start(process: ForkServerProcess, theirs: socket.socket) -> None:
    # The socket is closed here when it has been sent, not by who waits and may be cancelled before.
    with theirs:
        process.start()


async def _exchange(container: Container, message: dict[str, Any]) -> dict[str, Any]:
    data = to_json(message)
    container.events.write(LENGTH.pack(len(data)) + data)
    await container.events.drain()
    length = LENGTH.unpack(await container.answers.readexactly(LENGTH.size))[0]
    reply: dict[str, Any] = json.loads(await container.answers.readexactly(length))
    return reply
