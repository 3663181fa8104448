"""A file of what is owed, which survives the process: it is written before the charge is sent.

Each process writes a file of its own in the folder, and takes over those of processes that ended.
A line is written by one call of the operating system, so a killed process leaves whole lines; a
machine that loses power may lose the last ones. `refused.json` has what the API refused for good.
"""

import fcntl
import json
import logging
import os
import threading
from pathlib import Path

from synaxis_billing_client.calls import new_key
from synaxis_billing_client.money import to_json
from synaxis_billing_client.owed import Owed

log = logging.getLogger("synaxis_billing_client")


class Journal:
    """The calls in a folder that are not known to be charged, by their ids."""

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._owed: dict[str, Owed] = {}
        self._path, self._file = self._create()
        self.adopt()

    def _create(self) -> tuple[Path, int]:
        while True:
            path = self._folder / f"{new_key()}.jsonl"
            file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists():
                return path, file
            # Another process took it for one of a process that ended, before it was locked.
            os.close(file)

    def adopt(self) -> None:
        """Take over the files of processes that ended."""
        for path in sorted(self._folder.glob("*.jsonl")):
            if path == self._path:
                continue
            try:
                with path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    for owed in _read(file.read()):
                        self.add(owed)
                    path.unlink(missing_ok=True)
            except (BlockingIOError, FileNotFoundError):
                # Its process runs, or another one has taken it over.
                continue

    def add(self, owed: Owed) -> None:
        """Write what is owed; what is written already under its id is replaced."""
        with self._lock:
            self._owed[owed.call_id] = owed
            self._write({"owed": to_json(owed.to_json())})

    def done(self, call_id: str) -> None:
        """It is charged."""
        with self._lock:
            if self._owed.pop(call_id, None) is None:
                return
            if self._owed:
                self._write({"done": call_id})
            else:
                os.ftruncate(self._file, 0)

    def refuse(self, owed: Owed, detail: str) -> None:
        """It cannot be charged: write it to the file that an operator reads."""
        line = json.dumps({**to_json(owed.to_json()), "detail": detail})
        with (self._folder / "refused.json").open("a") as file:
            file.write(f"{line}\n")
        self.done(owed.call_id)

    def owed(self) -> list[Owed]:
        """What is not known to be charged, oldest first."""
        with self._lock:
            return list(self._owed.values())

    def close(self) -> None:
        """Close the file, and delete it if nothing is owed."""
        with self._lock:
            if not self._owed:
                self._path.unlink(missing_ok=True)
            os.close(self._file)

    def _write(self, line: dict[str, object]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def report(owed: Owed, detail: str, journal: Journal | None) -> None:
    """Tell that a call was made and cannot be charged."""
    log.error("call %s of %s was not charged: %s", owed.call_id, owed.organization, detail)
    if journal is not None:
        journal.refuse(owed, detail)


def _read(content: bytes) -> list[Owed]:
    owed: dict[str, Owed] = {}
    for text in content.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            # The line that a full disk or a power failure cut.
            continue
        if "done" in line:
            owed.pop(line["done"], None)
        else:
            found = Owed(**line["owed"])
            owed[found.call_id] = found
    return list(owed.values())
