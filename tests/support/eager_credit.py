"""An eager model of an organization's credit: each charge uses up its grants at once.

It keeps no odometer and settles nothing later, so that the ledger, which does, can be compared
with it: balance, every grant, and which grants paid for each charge.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

NONE = Decimal(0)
NEVER = datetime.max.replace(tzinfo=UTC)
REFUND_GRACE = timedelta(days=30)


@dataclass(eq=False)
class Grant:
    """Credit of one origin. `schedule` is the id of a recurring grant's first one."""

    id: UUID
    amount: Decimal
    effective_at: datetime
    expires_at: datetime = NEVER
    priority: int = 50
    cost_basis: Decimal = NONE
    schedule: UUID | None = None
    remaining: Decimal = NONE
    started: bool = False
    voided_at: datetime = NEVER

    @property
    def order(self) -> tuple[object, ...]:
        is_paid = self.cost_basis > 0
        return (self.priority, self.expires_at, is_paid, self.effective_at, self.id)

    @property
    def ends_at(self) -> datetime:
        return min(self.expires_at, self.voided_at)

    def ended(self, now: datetime) -> bool:
        return self.ends_at <= now

    def status(self, now: datetime) -> str:
        if self.voided_at < NEVER:
            return "voided"
        if not self.started:
            return "scheduled"
        if self.ended(now):
            return "expired"
        return "active" if self.remaining else "depleted"


@dataclass(eq=False)
class Part:
    """A part of a charge, in the order in which it was drawn, and the grant that paid for it."""

    amount: Decimal
    grant: Grant | None


@dataclass
class Credit:
    """The credit of one organization in UTC; `now` is moved by hand."""

    now: datetime
    limit: Decimal = NONE
    grants: list[Grant] = field(default_factory=list)
    charges: dict[UUID, list[Part]] = field(default_factory=dict)
    holds: dict[UUID, tuple[Decimal, datetime]] = field(default_factory=dict)

    @property
    def _drawn(self) -> Iterable[Part]:
        return (part for parts in self.charges.values() for part in parts)

    @property
    def debt(self) -> Decimal:
        return sum((part.amount for part in self._drawn if part.grant is None), NONE)

    @property
    def balance(self) -> Decimal:
        return sum((grant.remaining for grant in self.grants), NONE) - self.debt

    @property
    def held(self) -> Decimal:
        return sum((amount for amount, ends in self.holds.values() if ends > self.now), NONE)

    @property
    def available(self) -> Decimal:
        return self.balance + self.limit - self.held

    def move(self, to: datetime) -> None:
        """Let time pass: grants start and end at their instants, holds at theirs."""
        while True:
            due = [grant.effective_at for grant in self.grants if self._starts(grant, to)]
            due += [
                g.expires_at for g in self.grants if g.started and self.now < g.expires_at <= to
            ]
            due += [ends for _, ends in self.holds.values() if self.now < ends <= to]
            if not due:
                break
            self.now = max(self.now, min(due))
            self.settle()
        self.now = to

    def add(self, grant: Grant) -> Grant:
        self.grants.append(grant)
        self.settle()
        return grant

    def charge(self, id_: UUID, amount: Decimal) -> None:
        """Draw an amount: from grants in their order, then as debt."""
        parts = self.charges[id_] = []
        for grant in sorted(self.grants, key=lambda grant: grant.order):
            if (drawn := min(grant.remaining, amount)) > 0:
                grant.remaining -= drawn
                amount -= drawn
                parts.append(Part(drawn, grant))
        if amount > 0:
            parts.append(Part(amount, None))
        self.settle()

    def refund(self, id_: UUID, amount: Decimal) -> dict[UUID, Grant]:
        """Give back what was drawn last; return the grants that replace ended ones, by those."""
        replaced: dict[UUID, Grant] = {}
        for part in reversed(self.charges[id_]):
            back = min(part.amount, amount)
            part.amount -= back
            amount -= back
            if part.grant is None or back == 0:
                continue
            grant = part.grant
            if grant.ended(self.now):
                grant = replaced.setdefault(
                    grant.id,
                    Grant(
                        grant.id,
                        NONE,
                        self.now,
                        self.now + REFUND_GRACE,
                        grant.priority,
                        grant.cost_basis,
                        started=True,
                    ),
                )
                grant.amount += back
            grant.remaining += back
        self.grants += replaced.values()
        for grant in sorted(self.grants, key=lambda grant: grant.order):
            if not grant.ended(self.now):
                self._cover_debt(grant)
        self.settle()
        return replaced

    def void(self, grant: Grant) -> None:
        grant.voided_at = self.now
        self.settle()

    def settle(self) -> None:
        """Start what has come, then let what has ended go, but for what holds need."""
        for grant in sorted(self.grants, key=lambda grant: (grant.effective_at, grant.order)):
            if self._starts(grant, self.now):
                grant.started, grant.remaining = True, grant.amount
                self._cover_debt(grant)
                if grant.schedule:
                    self.grants.append(_next_month(grant, grant.schedule))
        for grant in sorted(self.grants, key=lambda grant: (grant.ends_at, grant.order)):
            if grant.ended(self.now):
                others = sum((g.remaining for g in self.grants if g is not grant), NONE)
                needed = self.held - others - max(self.limit - self.debt, NONE)
                grant.remaining = min(grant.remaining, max(needed, NONE))

    def _starts(self, grant: Grant, at: datetime) -> bool:
        return not grant.started and grant.voided_at == NEVER and grant.effective_at <= at

    def _cover_debt(self, grant: Grant) -> None:
        for parts in self.charges.values():
            for part in list(parts):
                covered = min(part.amount, grant.remaining)
                if part.grant is None and covered > 0:
                    grant.remaining -= covered
                    part.amount -= covered
                    parts.insert(parts.index(part), Part(covered, grant))


def _next_month(grant: Grant, schedule: UUID) -> Grant:
    start = grant.expires_at
    digest = hashlib.sha256(f"{schedule} {start:%Y-%m}".encode()).digest()
    end = (start + timedelta(days=31)).replace(day=1)
    return Grant(
        UUID(bytes=digest[:16]), grant.amount, start, end, grant.priority, schedule=schedule
    )
