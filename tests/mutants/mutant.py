"""One small mistake in one function."""

import random
from collections.abc import Iterable
from typing import NamedTuple


class Mutant(NamedTuple):
    """`path` is relative to the core; `change` names the place by its text, so that it stays the
    same when lines move. `source` is the function's whole text with the mistake."""

    path: str
    function: str
    kind: str
    line: int
    change: str
    source: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.path, self.function, self.change


class Edit(NamedTuple):
    """A mistake: the text in the place of that from `start` to `end`."""

    kind: str
    start: int
    end: int
    text: str


def numbered(mutants: Iterable[Mutant]) -> list[Mutant]:
    """Return the mutants with a number behind each change that its function has more than once."""
    seen: dict[tuple[str, str, str], int] = {}
    result = []
    for mutant in mutants:
        count = seen[mutant.key] = seen.get(mutant.key, 0) + 1
        again = f" ({count})" if count > 1 else ""
        result.append(mutant._replace(change=mutant.change + again))
    return result


def sample(mutants: list[Mutant], size: int | None, seed: int) -> list[Mutant]:
    """Return so many of them, in an order that follows from the seed; all without a size."""
    chosen = random.Random(seed).sample(mutants, len(mutants))
    return chosen[:size]
