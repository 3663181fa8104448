"""Standard output and error that lose what cannot be written, as logs on a full disk."""

import contextlib
import io
import sys
from typing import Any


class _Lossy(io.FileIO):
    """Reports that all was written, whatever the file takes."""

    def write(self, data: Any, /) -> int:
        left = memoryview(data)
        with contextlib.suppress(OSError):
            while left:
                left = left[super().write(left) or len(left) :]
        return len(data)


def never_fail() -> None:
    """Have this process survive a log or a terminal that takes nothing more."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        file = io.BufferedWriter(_Lossy(descriptor, "w", closefd=False))
        text = io.TextIOWrapper(file, "utf-8", "backslashreplace", line_buffering=True)
        setattr(sys, name, text)
