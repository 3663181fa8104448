"""Faults of the stand-in's APIs: by chance, from a seed, or for the next calls of a path."""

import random
import threading
from collections import Counter
from typing import Any

# Without an answer, before or after the effect; a 500, likewise; a 429; a 409 for a key in use.
KINDS = (
    "timeout_before",
    "timeout_after",
    "error_before",
    "error_after",
    "rate_limit",
    "conflict",
)


class Faults:
    """Chooses the fault of each call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.hang_seconds = 0.0
        self.drawn: Counter[str | None] = Counter()
        self.configure({})

    def configure(self, wanted: dict[str, Any]) -> None:
        """Set what goes wrong, and forget what did before.

        `rates` holds a chance for each of KINDS, `seed` makes them repeatable, and `next` lists
        faults for coming calls, each once: {"kind": ..., "match": part of "METHOD /path"}. A call
        without an answer is silent for `hang_seconds`, then its connection closes.
        Raises ValueError.
        """
        rates: dict[str, float] = dict(wanted.get("rates", {}))
        coming: list[dict[str, str]] = [dict(one) for one in wanted.get("next", ())]
        unknown = {*rates, *(one["kind"] for one in coming)} - set(KINDS)
        if unknown:
            raise ValueError(f"unknown faults: {', '.join(sorted(unknown))}")
        with self._lock:
            self._rates, self._next = rates, coming
            self._random = random.Random(wanted.get("seed", 0))
            self.hang_seconds = float(wanted.get("hang_seconds", 0))

    def draw(self, call: str) -> str | None:
        """The fault of a call such as "POST /v1/refunds", or None."""
        with self._lock:
            kind = self._draw(call)
            self.drawn[kind] += 1
        return kind

    def _draw(self, call: str) -> str | None:
        for one in self._next:
            if one.get("match", "") in call:
                self._next.remove(one)
                return one["kind"]
        at = self._random.random()
        for kind, rate in self._rates.items():
            at -= rate
            if at < 0:
                return kind
        return None
