"""Budgets against sums of what was charged, by any order of operations, windows and limits."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from synaxis_billing.budgets import budgets
from synaxis_billing.budgets.budgets import Budget, BudgetExceeded, BudgetExists
from synaxis_billing.errors import BillingError
from synaxis_billing.ledger import charges, holds, transactions
from synaxis_billing.ledger.audit import audit
from tests.conftest import Database
from tests.support import steps
from tests.support.clock import move_clock, set_clock_to

amounts = st.decimals("0.00000001", "9", places=8).map("{:f}".format)
usages = st.fixed_dictionaries(
    {},
    optional={
        "team_id": st.sampled_from(["a", "b"]),
        "virtual_key_id": st.sampled_from(["a", "b"]),
        "end_user": st.sampled_from(["a"]),
    },
)
subjects = st.sampled_from([{}, *({kind: "a"} for kind in ("team", "virtual_key", "end_user"))])
windows = st.sampled_from(["day", "week", "lifetime"])
FIELDS = {"team": "team_id", "virtual_key": "virtual_key_id", "end_user": "end_user"}


@dataclass
class Spent:
    """A charge, less its refunds."""

    usage: dict[str, Any]
    amount: Decimal
    at: datetime


@dataclass
class Held:
    usage: dict[str, Any]
    amount: Decimal
    expires_at: datetime


@dataclass
class Limit:
    """A budget with the limit that it has now."""

    budget: Budget
    limit: Decimal


class Budgets(RuleBasedStateMachine):
    database: Database
    charged: Bundle[Any] = Bundle("charged")
    opened: Bundle[Any] = Bundle("opened")

    def __init__(self) -> None:
        super().__init__()
        self.db = self.database.connect()
        self.admin = self.database.admin()
        # A noon after the example before, whose transactions must not lie in the future.
        set_clock_to(self.admin, self.now().replace(hour=12, minute=0) + timedelta(days=1))
        self.id: UUID = steps.new_organization(self.db, "1000000")
        self.limits: list[Limit] = []
        self.spent: dict[UUID, Spent] = {}
        self.held: dict[UUID, Held] = {}

    def teardown(self) -> None:
        # A promise that breaks stays broken, so the end of a run tells.
        with self.db, self.admin:
            audited = audit(self.admin)
            assert audited.whole, audited

    def now(self) -> datetime:
        row = self.admin.execute("SELECT billing.now()").fetchone()
        assert row
        instant: datetime = row[0]
        return instant.astimezone(UTC)

    def used(self, limit: Limit) -> tuple[Decimal, Decimal]:
        """What a budget has spent and holds now."""
        now = self.now()
        start = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if limit.budget.window == "week":
            start -= timedelta(days=start.weekday())
        if limit.budget.window == "lifetime":
            start = datetime.min.replace(tzinfo=UTC)
        counts = [one for one in self.spent.values() if one.at >= start]
        return (
            sum((one.amount for one in counts if _is_of(limit.budget, one.usage)), Decimal(0)),
            sum(
                (
                    one.amount
                    for one in self.held.values()
                    if one.expires_at > now and _is_of(limit.budget, one.usage)
                ),
                Decimal(0),
            ),
        )

    def allows(self, usage: dict[str, Any], amount: Decimal) -> bool:
        return all(
            sum(self.used(limit)) + amount <= limit.limit
            for limit in self.limits
            if limit.budget.mode == "hard" and _is_of(limit.budget, usage)
        )

    def count(self, charged: transactions.Transaction, usage: dict[str, Any]) -> None:
        self.spent[charged.id] = Spent(usage, -charged.amount_usd, charged.created_at)

    @rule(subject=subjects, window=windows, limit=amounts, soft=st.booleans())
    def create(self, subject: dict[str, str], window: str, limit: str, soft: bool) -> None:
        mode = "soft" if soft else "hard"
        made = _try(lambda: steps.budget(self.db, self.id, limit, window, mode=mode, **subject))
        if isinstance(made, Budget):
            self.limits.append(Limit(made, Decimal(limit)))
        else:
            assert isinstance(made, BudgetExists)

    @rule(data=st.data(), limit=amounts)
    def change(self, data: st.DataObject, limit: str) -> None:
        if self.limits:
            of = data.draw(st.sampled_from(self.limits))
            steps.change_budget(self.db, of.budget, limit_usd=limit)
            of.limit = Decimal(limit)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if len(self.limits) > 2:
            of = data.draw(st.sampled_from(self.limits))
            budgets.delete_budget(self.db, steps.PLATFORM, self.id, of.budget.id)
            self.limits.remove(of)

    @rule(target=charged, amount=amounts, usage=usages)
    def charge(self, amount: str, usage: dict[str, Any]) -> Any:
        allowed = self.allows(usage, Decimal(amount))
        result = _try(lambda: steps.charge(self.db, self.id, amount, **usage))
        assert isinstance(result, transactions.Transaction if allowed else BudgetExceeded)
        if isinstance(result, transactions.Transaction):
            self.count(result, usage)
        return result

    @rule(items=st.lists(st.tuples(amounts, usages), min_size=1, max_size=5))
    def charge_batch(self, items: list[tuple[str, dict[str, Any]]]) -> None:
        results = steps.charge_batch(
            self.db, *(steps.item(self.id, amount, **usage) for amount, usage in items)
        )
        for (amount, usage), result in zip(items, results, strict=True):
            allowed = self.allows(usage, Decimal(amount))
            assert isinstance(result, charges.Charged) == allowed
            if isinstance(result, charges.Charged):
                self.count(result.transaction, usage)

    @rule(target=opened, amount=amounts, usage=usages, seconds=st.sampled_from([60, 80_000]))
    def hold(self, amount: str, usage: dict[str, Any], seconds: int) -> Any:
        allowed = self.allows(usage, Decimal(amount))
        result = _try(
            lambda: steps.hold(self.db, self.id, amount, expires_in_seconds=seconds, **usage)
        )
        assert isinstance(result, holds.Hold if allowed else BudgetExceeded)
        if isinstance(result, holds.Hold):
            self.held[result.id] = Held(usage, Decimal(amount), result.expires_at)
        return result

    @rule(held=opened, amount=amounts)
    def change_hold(self, held: Any, amount: str) -> None:
        of = self.held.get(held.id) if isinstance(held, holds.Hold) else None
        if of is None or of.expires_at <= self.now():
            return
        more = Decimal(amount) - of.amount
        allowed = more <= 0 or self.allows(of.usage, more)
        result = _try(lambda: steps.change_hold(self.db, held, amount_usd=amount))
        assert isinstance(result, holds.Hold if allowed else BudgetExceeded)
        if allowed:
            of.amount = Decimal(amount)

    @rule(held=opened, amount=amounts)
    def capture(self, held: Any, amount: str) -> None:
        if isinstance(held, holds.Hold) and (of := self.held.pop(held.id, None)):
            # No budget refuses a call that was made.
            captured = steps.capture(self.db, held, amount, overrun="charge")
            self.count(captured, of.usage)

    @rule(held=opened)
    def release(self, held: Any) -> None:
        if isinstance(held, holds.Hold) and held.id in self.held:
            del self.held[held.id]
            steps.release(self.db, held)

    @rule(charge=charged, share=st.sampled_from(["0.25", "1"]))
    def refund(self, charge: Any, share: str) -> None:
        of = self.spent.get(charge.id) if isinstance(charge, transactions.Transaction) else None
        if of is None or of.amount == 0:
            return
        # In the moment of the charge's own window, so that every sum is known.
        if of.at.date() != self.now().date():
            return
        amount = max((of.amount * Decimal(share)).quantize(Decimal("1e-8")), Decimal("1e-8"))
        steps.refund(self.db, charge, f"{amount:f}")
        of.amount -= amount

    @rule(by=st.sampled_from([timedelta(minutes=2), timedelta(hours=11), timedelta(days=1)]))
    def wait(self, by: timedelta) -> None:
        now = self.now()
        # Not so near to midnight that a day ends within a step.
        if (now + by).hour == 23:
            by += timedelta(hours=2)
        move_clock(self.admin, by)

    @invariant()
    def shows_what_it_should(self) -> None:
        for limit in self.limits:
            shown = steps.budget_now(self.db, limit.budget)
            spent, held = self.used(limit)
            assert (shown.spent_usd, shown.held_usd) == (spent, held)
            assert shown.remaining_usd == limit.limit - spent - held


def _is_of(budget: Budget, usage: dict[str, Any]) -> bool:
    return budget.subject == "organization" or (
        usage.get(FIELDS[budget.subject]) == budget.subject_id
    )


def _try(action: Any) -> Any:
    try:
        return action()
    except BillingError as error:
        return error


def test_every_order_of_operations_agrees_with_the_model(database: Database) -> None:
    Budgets.database = database
    run_state_machine_as_test(
        Budgets,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            # To shrink a failure, each attempt of which is audited, would take minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
