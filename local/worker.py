"""One container of one function: a process that serves one event at a time, until its input ends.

Started as `python -m local.worker <folder> <module.function>`. Messages are JSON behind their
length in four bytes, on standard input and output; what the handler prints goes to standard error.
"""

import importlib
import json
import os
import struct
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO

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


def main() -> None:
    messages = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    folder, handler_name = sys.argv[1:]
    sys.path.insert(0, folder)
    module, _, function = handler_name.rpartition(".")
    handler = getattr(importlib.import_module(module), function)
    while (message := receive(messages)) is not None:
        send(answers, invoke(handler, message))


def invoke(handler: Callable[[Any, Context], Any], message: dict[str, Any]) -> dict[str, Any]:
    context = Context(message["request_id"], message["timeout_seconds"])
    try:
        answer = handler(message["event"], context)
        json.dumps(answer)
    # A function's failure is an answer too: Lambda reports it and keeps the container.
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        return {"error": {"errorType": type(error).__name__, "errorMessage": str(error)}}
    finally:
        sys.stdout.flush()
    return {"answer": answer}


def receive(stream: BinaryIO) -> dict[str, Any] | None:
    prefix = stream.read(LENGTH.size)
    if len(prefix) < LENGTH.size:
        return None
    message: dict[str, Any] = json.loads(stream.read(LENGTH.unpack(prefix)[0]))
    return message


def send(stream: BinaryIO, message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


if __name__ == "__main__":
    main()
