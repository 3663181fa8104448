"""What the stand-in remembers: objects, the answers kept for idempotency, and its clock."""

import contextlib
import json
import secrets
import string
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Object = dict[str, Any]
_LETTERS = string.ascii_letters + string.digits


class State:
    """Objects by id, oldest first. A file, if one is given, keeps them for the next start.

    Keys of an object that begin with `_` are the stand-in's own; `public` leaves them out.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.lock = threading.RLock()
        self.objects: dict[str, Object] = {}
        self.replies: dict[str, Object] = {}
        self.advanced_seconds = 0.0
        self._file = file
        self._later: list[Callable[[], None]] = []
        if file and file.exists():
            kept = json.loads(file.read_text())
            self.objects, self.replies = kept["objects"], kept["replies"]
            self.advanced_seconds = kept["advanced_seconds"]

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock; run what `later` was given, and save, at the end."""
        with self.lock:
            try:
                yield
            finally:
                while self._later:
                    self._later.pop(0)()
                self._save()

    def later(self, call: Callable[[], None]) -> None:
        """Do what the provider does only after its answer."""
        self._later.append(call)

    def _save(self) -> None:
        if self._file is None:
            return
        kept = {
            "objects": self.objects,
            "replies": self.replies,
            "advanced_seconds": self.advanced_seconds,
        }
        # A process that is killed while it writes leaves the file as it was.
        making = self._file.with_suffix(".making")
        making.write_text(json.dumps(kept))
        making.replace(self._file)

    def now(self) -> int:
        """Seconds since 1970, by the clock that tests can move."""
        return int(time.time() + self.advanced_seconds)

    def now_text(self) -> str:
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def add(self, made: Object, key: str = "id") -> Object:
        self.objects[made[key]] = made
        return made

    def of_kind(self, kind: str) -> list[Object]:
        """The objects of a kind, oldest first."""
        return [one for one in self.objects.values() if one.get("object", one.get("_kind")) == kind]


def new_id(prefix: str, length: int = 24) -> str:
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(length))


def new_paypal_id(length: int = 17) -> str:
    return "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(length))


def public(shown: Object) -> Object:
    """A copy without the stand-in's own keys."""
    return {name: _public(of) for name, of in shown.items() if not name.startswith("_")}


def _public(shown: Any) -> Any:
    if isinstance(shown, dict):
        return public(shown)
    return [_public(one) for one in shown] if isinstance(shown, list) else shown
