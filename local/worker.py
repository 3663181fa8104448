"""One container of one function: a process that serves one event at a time, until its input ends.

Messages are JSON behind their length in four bytes; what the handler prints goes to the function's
log. A log that cannot be written loses lines, but never an answer.
"""

import importlib
import json
import os
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO

from setproctitle import setproctitle

from local import streams

# Lambda's own error names this limit.
LARGEST_ANSWER_BYTES = 6 * 1024 * 1024 + 100
LENGTH = struct.Struct(">I")


class Context:
    """What Lambda hands to a handler beside the event."""

    def __init__(self, request_id: str, timeout_seconds: int) -> None:
        self.aws_request_id = request_id
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.invoked_function_arn = (
            f"arn:aws:lambda:local:000000000000:function:{self.function_name}"
        )
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = str(os.getpid())
        self._ends = time.monotonic() + timeout_seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._ends - time.monotonic()) * 1000))


def main(
    peer: socket.socket, folder: str, handler_name: str, environment: dict[str, str], log: str
) -> None:
    """Serve the events of a socket by the handler `module.function` of a folder."""
    os.setsid()  # Ctrl-C is for the gateway, which ends its containers in order
    setproctitle(f"local.worker {folder} {handler_name}")
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    streams.never_fail()
    sys.path.insert(0, folder)
    module, _, function = handler_name.rpartition(".")
    handler = getattr(importlib.import_module(module), function)
    with peer.makefile("rb") as messages, peer.makefile("wb") as answers:
        while (message := receive(messages)) is not None:
            send(answers, invoke(handler, message))


def invoke(handler: Callable[[Any, Context], Any], message: dict[str, Any]) -> dict[str, Any]:
    """Return {"answer": the handler's} or {"error": {"errorType", "errorMessage"}}."""
    context = Context(message["request_id"], message["timeout_seconds"])
    try:
        answer = handler(message["event"], context)
        if (size := len(to_json(answer))) > LARGEST_ANSWER_BYTES:
            reason = f"The answer's JSON has {size} bytes, more than {LARGEST_ANSWER_BYTES}."
            return {"error": {"errorType": "ResponseSizeTooLarge", "errorMessage": reason}}
    # A function's failure is an answer too: Lambda reports it and keeps the container.
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        return {"error": {"errorType": type(error).__name__, "errorMessage": str(error)}}
    finally:
        sys.stdout.flush()
    return {"answer": answer}


def to_json(value: Any) -> bytes:
    """Encode as Lambda does, which counts the bytes of UTF-8."""
    # Half of a surrogate pair becomes JSON's escape of it.
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")


def receive(stream: BinaryIO) -> dict[str, Any] | None:
    prefix = stream.read(LENGTH.size)
    if len(prefix) < LENGTH.size:
        return None
    message: dict[str, Any] = json.loads(stream.read(LENGTH.unpack(prefix)[0]))
    return message


def send(stream: BinaryIO, message: dict[str, Any]) -> None:
    data = to_json(message)
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()
