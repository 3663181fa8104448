"""Grants that are settled lazily against a model that uses them at once, by any order of all
operations, while the clock moves."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import UUID

import psycopg
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from synaxis_billing.errors import BillingError
from synaxis_billing.ledger import charges, holds
from synaxis_billing.ledger.audit import audit
from synaxis_billing.ledger.transactions import Transaction
from synaxis_billing.organizations import balance
from tests.conftest import Database
from tests.support import steps
from tests.support.clock import move_clock, set_clock
from tests.support.eager_credit import NEVER, NONE, Credit, Grant

START = datetime(2030, 1, 20, 12, tzinfo=UTC)
amounts = st.decimals("0.00000001", "9", places=8).map("{:f}".format)
priorities = st.sampled_from([10, 50, 50, 50, 90])
positions = st.integers(0, 1000)
lives = st.none() | st.sampled_from([1, 5, 30, 60]).map(lambda days: timedelta(days=days))


def attribution(
    admin: psycopg.Connection, organization_id: UUID, charged: UUID
) -> list[tuple[UUID | None, Decimal]]:
    """Which grants pay for what is left of a charge, in the order in which it was drawn."""
    with admin.transaction():
        # In a cluster, the function reads rows that are on the same node as the query's.
        admin.execute("SET LOCAL citus.allow_nested_distributed_execution TO on")
        rows = admin.execute(
            "SELECT a.grant_id, a.to_usd - a.from_usd FROM billing.organizations AS o"
            " JOIN billing.credit_transactions AS t ON t.organization_id = o.id,"
            " billing.allocations_between("
            " ROW(o.*)::billing.organizations, t.drawn_usd, t.drawn_usd - t.amount_usd) AS a"
            " WHERE o.id = %s AND t.id = %s AND a.refund_id IS NULL ORDER BY a.from_usd",
            [organization_id, charged],
        ).fetchall()
    return merged(rows)


def merged(parts: list[Any]) -> list[tuple[UUID | None, Decimal]]:
    return [
        (paid_by, sum((part[1] for part in run), NONE))
        for paid_by, run in groupby(parts, key=lambda part: part[0])
    ]


class Grants(RuleBasedStateMachine):
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.db = self.database.connect()
        self.admin = self.database.admin()
        set_clock(self.admin, START)
        self.model = Credit(self.clock())
        self.id = steps.new_organization(self.db)
        self.charged: list[Transaction] = []
        self.held: list[holds.Hold] = []

    def teardown(self) -> None:
        # A promise that breaks stays broken, so the end of a run tells.
        with self.db, self.admin:
            self.settle()
            # The organizations of earlier runs are in the future of this one's clock.
            [own] = [o for o in audit(self.admin).organizations if o.organization_id == self.id]
            assert own.broken == []

    def clock(self) -> datetime:
        [(now,)] = self.admin.execute("SELECT billing.now()").fetchall()
        assert isinstance(now, datetime)
        return now

    def now(self) -> datetime:
        self.model.move(self.clock())
        return self.model.now

    def added(self, transaction: Transaction, basis: Decimal = NONE) -> None:
        """Add the grant that a transaction brought to the model."""
        rows = self.admin.execute(
            "SELECT id, amount_usd, effective_at, least(expires_at, %s), priority FROM"
            " billing.credit_grants WHERE transaction_id = %s",
            [NEVER, transaction.id],
        ).fetchall()
        [(id_, amount, effective_at, expires_at, priority)] = rows
        self.model.move(effective_at)
        self.model.add(Grant(id_, amount, effective_at, expires_at, priority, basis))

    @rule(amount=amounts, priority=priorities, life=lives, paid=st.booleans())
    def top_up(self, amount: str, priority: int, life: timedelta | None, paid: bool) -> None:
        more: dict[str, Any] = {"priority": priority}
        if life:
            more["expires_at"] = (self.now() + life).isoformat()
        if paid:
            more["paid"] = {"amount": "1", "currency": "USD"}
        basis = Decimal(1 if paid else amount)
        self.added(steps.top_up(self.db, self.id, amount, **more), basis)

    @rule(
        amount=amounts,
        priority=priorities,
        wait=st.sampled_from([None, 1, 10]),
        life=lives,
        recurs=st.booleans(),
    )
    def grant(
        self, amount: str, priority: int, wait: int | None, life: timedelta | None, recurs: bool
    ) -> None:
        start = self.now() + timedelta(days=wait or 0)
        more: dict[str, Any] = {"priority": priority}
        if wait:
            more["effective_at"] = start.isoformat()
        if recurs:
            more["every"] = "month"
        elif life:
            more["expires_at"] = (start + life).isoformat()
        given = steps.grant(self.db, self.id, amount, **more)
        self.model.move(given.created_at)
        self.model.add(
            Grant(
                given.id,
                given.amount_usd,
                given.effective_at,
                given.expires_at or NEVER,
                priority,
                schedule=given.schedule_id,
            )
        )

    @rule(amount=amounts, down=st.booleans(), forced=st.booleans())
    def adjust(self, amount: str, down: bool, forced: bool) -> None:
        self.now()
        available = self.model.available
        made = _try(
            lambda: steps.adjust(
                self.db,
                self.id,
                f"-{amount}" if down else amount,
                allow_negative_balance=forced,
            )
        )
        if not down:
            self.added(made)
        elif isinstance(made, Transaction):
            assert forced or Decimal(amount) <= available
            self.model.charge(made.id, Decimal(amount))
        else:
            assert not forced
            assert Decimal(amount) > max(available, NONE)

    @rule(amount=amounts)
    def charge(self, amount: str) -> None:
        self.now()
        made = _try(lambda: steps.charge(self.db, self.id, amount))
        assert isinstance(made, Transaction) == (Decimal(amount) <= self.model.available)
        if isinstance(made, Transaction):
            self.model.charge(made.id, Decimal(amount))
            self.charged.append(made)

    @rule(sizes=st.lists(amounts, min_size=2, max_size=5))
    def charge_batch(self, sizes: list[str]) -> None:
        self.now()
        results = steps.charge_batch(self.db, *(steps.item(self.id, size) for size in sizes))
        for size, result in zip(sizes, results, strict=True):
            accepted = isinstance(result, charges.Charged)
            assert accepted == (Decimal(size) <= self.model.available)
            if isinstance(result, charges.Charged):
                self.model.charge(result.transaction.id, Decimal(size))
                self.charged.append(result.transaction)

    @rule(amount=amounts, hours=st.sampled_from([1, 24]))
    def hold(self, amount: str, hours: int) -> None:
        self.now()
        made = _try(lambda: steps.hold(self.db, self.id, amount, expires_in_seconds=hours * 3600))
        assert isinstance(made, holds.Hold) == (Decimal(amount) <= self.model.available)
        if isinstance(made, holds.Hold):
            self.model.holds[made.id] = (Decimal(amount), made.expires_at)
            self.held.append(made)

    @precondition(lambda self: self.held)
    @rule(which=positions, share=st.sampled_from(["0.5", "1", "1.5"]))
    def capture(self, which: int, share: str) -> None:
        held = self.held[which % len(self.held)]
        self.now()
        amount = max((held.amount_usd * Decimal(share)).quantize(Decimal("1e-8")), Decimal("1e-8"))
        reserved = self.model.holds.pop(held.id)
        made = _try(lambda: steps.capture(self.db, held, f"{amount:f}", overrun="charge"))
        if isinstance(made, Transaction):
            self.held.remove(held)
            self.model.charge(made.id, amount)
            self.charged.append(made)
        else:
            self.model.holds[held.id] = reserved
            raise made

    @precondition(lambda self: self.held)
    @rule(which=positions)
    def release(self, which: int) -> None:
        held = self.held[which % len(self.held)]
        self.now()
        steps.release(self.db, held)
        self.held.remove(held)
        self.model.holds.pop(held.id)
        self.model.settle()

    @precondition(lambda self: self.charged)
    @rule(which=positions, share=st.sampled_from(["0.5", "1"]))
    def refund(self, which: int, share: str) -> None:
        charged = self.charged[which % len(self.charged)]
        left = sum((part.amount for part in self.model.charges[charged.id]), NONE)
        amount = (left * Decimal(share)).quantize(Decimal("1e-8"))
        if amount == 0:
            return
        made = steps.refund(self.db, charged, f"{amount:f}")
        self.model.move(made.created_at)
        replaced = self.model.refund(charged.id, amount)
        rows = self.admin.execute(
            "SELECT origin_id, id FROM billing.credit_grants WHERE transaction_id = %s", [made.id]
        ).fetchall()
        assert {origin for origin, _ in rows} == replaced.keys()
        for origin, id_ in rows:
            replaced[origin].id = id_

    @precondition(lambda self: self.model.grants)
    @rule(which=positions)
    def void(self, which: int) -> None:
        found = {grant.id: grant for grant in steps.list_grants(self.db, self.id)}
        grant = self.model.grants[which % len(self.model.grants)]
        now = self.now()
        made = _try(lambda: steps.void(self.db, found[grant.id]))
        assert isinstance(made, Transaction) != grant.ended(now)
        if isinstance(made, Transaction):
            self.model.move(made.created_at)
            self.model.void(grant)

    @rule(limit=st.sampled_from(["0", "5", "20"]))
    def change_limit(self, limit: str) -> None:
        self.now()
        steps.change_organization(self.db, self.id, credit_limit_usd=limit)
        self.model.limit = Decimal(limit)
        self.model.settle()

    @rule(hours=st.sampled_from([1, 5, 24, 48, 24 * 8, 24 * 35]))
    def wait(self, hours: int) -> None:
        move_clock(self.admin, timedelta(hours=hours))
        self.now()

    @rule()
    def settle(self) -> None:
        """Any change settles first."""
        steps.log_spend(self.db, self.id, "1")
        self.now()
        for charged, parts in self.model.charges.items():
            paid = [(part.grant and part.grant.id, part.amount) for part in parts if part.amount]
            assert attribution(self.admin, self.id, charged) == merged(paid)

    @invariant()
    def agrees_with_the_model(self) -> None:
        self.now()
        now = balance.get_balance(lambda: self.db, steps.NO_CACHE, steps.PLATFORM, self.id)
        model = self.model
        assert (now.balance_usd, now.debt_usd) == (model.balance, model.debt)
        assert (now.held_usd, now.available_usd) == (model.held, model.available)
        listed = {grant.id: grant for grant in steps.list_grants(self.db, self.id)}
        assert {id_: (grant.status, grant.remaining_usd) for id_, grant in listed.items()} == {
            grant.id: (
                grant.status(model.now),
                grant.amount if grant.status(model.now) == "scheduled" else grant.remaining,
            )
            for grant in model.grants
        }


def _try(action: Any) -> Any:
    try:
        return action()
    except BillingError as error:
        return error


def test_lazy_settlement_agrees_with_an_eager_model(database: Database) -> None:
    Grants.database = database
    run_state_machine_as_test(
        Grants,
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            # To shrink a failure, each attempt of which is audited, would take minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
