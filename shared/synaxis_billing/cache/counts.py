"""Counts of hits and misses, per family of values."""

from dataclasses import asdict, dataclass, fields


@dataclass(slots=True)
class Counts:
    """`misses` were answered by the source. `fenced` are loads that were not stored, because of an
    invalidation in between; `stale` are values served past their time, as their family allows."""

    l1_hits: int = 0
    l2_hits: int = 0
    misses: int = 0
    fenced: int = 0
    stale: int = 0
    unreachable: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Counts)))

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(Counts)))

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    @property
    def hit_ratio(self) -> float | None:
        """Return the share of answers that did not need the source; None before the first."""
        hits = self.l1_hits + self.l2_hits
        return hits / (hits + self.misses) if hits + self.misses else None
