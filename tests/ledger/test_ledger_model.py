"""The ledger against ten lines of Decimal arithmetic, by any order of all its operations."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from synaxis_billing.errors import BillingError
from synaxis_billing.ledger import charges, holds, transactions
from synaxis_billing.ledger.audit import audit
from synaxis_billing.organizations import balance
from tests.conftest import Database
from tests.support import steps

amounts = st.decimals("0.00000001", "9", places=8).map("{:f}".format)
dimensions = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["gpt-4o", "claude-sonnet"]),
        "region": st.sampled_from(["eu", "us"]),
        "tokens": st.integers(0, 1000),
    },
)


@dataclass
class Model:
    """What the balance of an organization should be."""

    balance: Decimal = Decimal(0)
    held: dict[UUID, Decimal] = field(default_factory=dict)
    spent: Decimal = Decimal(0)

    @property
    def available(self) -> Decimal:
        return self.balance - sum(self.held.values())

    def charge(self, amount: Decimal) -> bool:
        if amount > self.available:
            return False
        self.balance -= amount
        self.spent += amount
        return True


class Ledger(RuleBasedStateMachine):
    database: Database
    charges: Bundle[Any] = Bundle("charges")
    opened: Bundle[Any] = Bundle("opened")

    def __init__(self) -> None:
        super().__init__()
        self.db = self.database.connect()
        self.admin = self.database.admin()
        self.ids = [steps.new_organization(self.db) for _ in range(2)]
        self.models = {organization_id: Model() for organization_id in self.ids}
        self.refunded: dict[UUID, Decimal] = {}
        self.done: list[tuple[Any, ...]] = []

    def teardown(self) -> None:
        # A promise that breaks stays broken, so the end of a run tells.
        with self.db, self.admin:
            audited = audit(self.admin)
            assert audited.whole, audited

    @rule(which=st.integers(0, 1), amount=amounts)
    def top_up(self, which: int, amount: str) -> None:
        steps.top_up(self.db, self.ids[which], amount)
        self.models[self.ids[which]].balance += Decimal(amount)

    @rule(target=charges, which=st.integers(0, 1), amount=amounts, usage=dimensions)
    def charge(self, which: int, amount: str, usage: dict[str, Any]) -> Any:
        key = steps.new_key()
        accepted = self.models[self.ids[which]].charge(Decimal(amount))
        result = _try(lambda: steps.charge(self.db, self.ids[which], amount, key, **usage))
        assert isinstance(result, transactions.Transaction) == accepted
        if accepted:
            self.done.append((self.ids[which], amount, key, usage, result))
        return result

    @rule(items=st.lists(st.tuples(st.integers(0, 1), amounts, dimensions), min_size=1, max_size=6))
    def charge_batch(self, items: list[tuple[int, str, dict[str, Any]]]) -> None:
        expected = [
            self.models[self.ids[which]].charge(Decimal(amount)) for which, amount, _ in items
        ]
        results = steps.charge_batch(
            self.db,
            *(steps.item(self.ids[which], amount, **usage) for which, amount, usage in items),
        )
        assert [isinstance(result, charges.Charged) for result in results] == expected

    @precondition(lambda self: self.done)
    @rule(data=st.data(), batch=st.booleans())
    def replay(self, data: st.DataObject, batch: bool) -> None:
        organization_id, amount, key, usage, first = data.draw(st.sampled_from(self.done))
        if batch:
            [result] = steps.charge_batch(
                self.db, steps.item(organization_id, amount, key, **usage)
            )
            assert isinstance(result, charges.Charged)
            assert (result.transaction, result.replayed) == (first, True)
        else:
            assert steps.charge(self.db, organization_id, amount, key, **usage) == first

    @rule(target=opened, which=st.integers(0, 1), amount=amounts)
    def hold(self, which: int, amount: str) -> Any:
        model = self.models[self.ids[which]]
        result = _try(lambda: steps.hold(self.db, self.ids[which], amount))
        assert isinstance(result, holds.Hold) == (Decimal(amount) <= model.available)
        if isinstance(result, holds.Hold):
            model.held[result.id] = Decimal(amount)
        return result

    @rule(held=opened, share=st.sampled_from(["0.5", "1", "2"]))
    def capture(self, held: Any, share: str) -> None:
        if not isinstance(held, holds.Hold):
            return
        model = self.models[held.organization_id]
        amount = max((held.amount_usd * Decimal(share)).quantize(Decimal("1e-8")), Decimal("1e-8"))
        result = _try(lambda: steps.capture(self.db, held, f"{amount:f}"))
        if isinstance(result, transactions.Transaction):
            model.held.pop(held.id, None)
            assert model.charge(amount)
        else:
            settled = self.admin.execute(
                "SELECT status IN ('captured', 'released') FROM billing.holds WHERE id = %s",
                [held.id],
            ).fetchone() == (True,)
            room = model.available + model.held.get(held.id, Decimal(0))
            assert settled or amount > held.amount_usd or amount > room

    @rule(held=opened)
    def release(self, held: Any) -> None:
        if isinstance(held, holds.Hold):
            _try(lambda: steps.release(self.db, held))
            self.models[held.organization_id].held.pop(held.id, None)

    @rule(held=opened)
    def expire(self, held: Any) -> None:
        if isinstance(held, holds.Hold):
            self.admin.execute(
                "UPDATE billing.holds SET expires_at = now() WHERE id = %s", [held.id]
            )
            self.models[held.organization_id].held.pop(held.id, None)

    @rule(charged=charges, amount=st.none() | amounts)
    def refund(self, charged: Any, amount: str | None) -> None:
        if not isinstance(charged, transactions.Transaction):
            return
        left = -charged.amount_usd - self.refunded.get(charged.id, Decimal(0))
        asked = left if amount is None else Decimal(amount)
        result = _try(lambda: steps.refund(self.db, charged, amount))
        assert isinstance(result, transactions.Transaction) == (0 < asked <= left)
        if isinstance(result, transactions.Transaction):
            self.refunded[charged.id] = -charged.amount_usd - left + asked
            self.models[charged.organization_id].balance += asked

    @rule(which=st.integers(0, 1), amount=amounts, down=st.booleans(), forced=st.booleans())
    def adjust(self, which: int, amount: str, down: bool, forced: bool) -> None:
        model = self.models[self.ids[which]]
        signed = f"-{amount}" if down else amount
        result = _try(
            lambda: steps.adjust(self.db, self.ids[which], signed, allow_negative_balance=forced)
        )
        allowed = not down or forced or Decimal(amount) <= model.available
        assert isinstance(result, transactions.Transaction) == allowed
        if allowed:
            model.balance += Decimal(signed)

    @invariant()
    def agrees_with_the_model(self) -> None:
        for organization_id, model in self.models.items():
            now = balance.get_balance(
                lambda: self.db, steps.NO_CACHE, steps.PLATFORM, organization_id
            )
            assert now.balance_usd == model.balance
            assert now.available_usd == model.available


def _try(action: Any) -> Any:
    try:
        return action()
    except BillingError as error:
        return error


def test_every_order_of_operations_agrees_with_the_model(database: Database) -> None:
    Ledger.database = database
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            # To shrink a failure, each attempt of which is audited, would take minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
