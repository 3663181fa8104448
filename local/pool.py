"""A function's containers: processes of their own, started as the load asks for, replaced when they
crash or run out of time."""

import asyncio
import contextlib
import json
import logging
import os
import sys
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO

from local.template import ROOT, Function
from local.worker import LENGTH, to_json

LARGEST_POOL = 4
MOST_WAITING = 1000
LARGEST_EVENT_BYTES = 6 * 1024 * 1024
# Takes a function's name and an event.
Invoke = Callable[[str, Any], Awaitable[Any]]
logger = logging.getLogger(__name__)


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
        self._idle: list[Process] = []
        self._all: set[Process] = set()
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
            worker = await self._worker()
        except OSError as error:
            # Too few descriptors or processes, or no space left.
            raise Throttled from error
        timeout = self.function.timeout_seconds
        message = {"event": event, "request_id": request_id, "timeout_seconds": timeout}
        try:
            async with asyncio.timeout(timeout):
                reply = await _exchange(worker, message)
        except TimeoutError as error:
            await self._end(worker)
            raise FunctionError(f"timed out after {timeout} seconds") from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            await self._end(worker)
            raise FunctionError("the process ended during the request") from error
        except asyncio.CancelledError:
            await self._end(worker)
            raise
        self._idle.append(worker)
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
        for worker in list(self._all):
            await self._end(worker)

    async def _worker(self) -> Process:
        while self._idle:
            worker = self._idle.pop()
            if worker.returncode is None:
                return worker
            self._all.discard(worker)
        with self._open_log() as log:
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "local.worker"),
                *(str(self.function.folder), self.function.handler),
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C is for the gateway, which ends them in order
                limit=16 * 1024 * 1024,
            )
        self._all.add(worker)
        return worker

    def _open_log(self) -> BinaryIO:
        try:
            return self._log.open("ab")
        except OSError as error:
            # The answer is worth more than the log.
            logger.error("%s cannot be written: %s", self._log, error.strerror)
            return Path(os.devnull).open("ab")

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
            # What this machine's Python may need to start at all.
            **{
                name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ
            },
            "PYTHONPATH": os.pathsep.join([str(ROOT / "shared"), str(ROOT)]),
            "TZ": ":UTC",
        }

    async def _end(self, worker: Process) -> None:
        self._all.discard(worker)
        with contextlib.suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()


async def _exchange(worker: Process, message: dict[str, Any]) -> dict[str, Any]:
    assert worker.stdin
    assert worker.stdout
    data = to_json(message)
    worker.stdin.write(LENGTH.pack(len(data)) + data)
    await worker.stdin.drain()
    length = LENGTH.unpack(await worker.stdout.readexactly(LENGTH.size))[0]
    reply: dict[str, Any] = json.loads(await worker.stdout.readexactly(length))
    return reply
