"""The oracle sees each mistake that is planted, and nothing else."""

import contextlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest

from synaxis_billing.usage import spend_logs
from tests.chaos.oracle import Operation, Oracle
from tests.conftest import Database
from tests.support import steps

NEEDS_CREDIT = ("insufficient_credits",)
NO_CREDIT = {"code": "insufficient_credits"}


class Scene(NamedTuple):
    """An organization that the oracle has watched, and the connections to change it unseen."""

    db: psycopg.Connection
    admin: psycopg.Connection
    oracle: Oracle
    organization_id: UUID

    def expect(self, kind: str, amount: str, **more: Any) -> Operation:
        organization_id = str(self.organization_id)
        operation = Operation(kind, organization_id, steps.new_key(), Decimal(amount), **more)
        return self.oracle.expect(operation)

    def do(self, kind: str, amount: str, do: Callable[[str], Any]) -> Any:
        """Do something, and record its answer."""
        operation = self.expect(kind, amount)
        done = do(operation.key)
        self.oracle.record(operation, 201, _answer(done))
        return done

    def charge(self, operation: Operation, amount: str = "1") -> dict[str, Any]:
        """The answer of a charge with the operation's key."""
        return _answer(steps.charge(self.db, self.organization_id, amount, operation.key))

    def charged(self) -> Operation:
        """A charge of a dollar that was recorded as it was answered."""
        operation = self.expect("charge", "-1")
        self.oracle.record(operation, 201, self.charge(operation))
        return operation


Plant = Callable[[Scene], None]


def _answer(of: Any) -> dict[str, Any]:
    body: dict[str, Any] = of.model_dump(mode="json")
    return body


@pytest.fixture
def scene(database: Database) -> Iterator[Scene]:
    """Every kind of operation has happened as it was recorded."""
    with database.connect() as db, database.admin() as admin:
        scene = Scene(db, admin, Oracle(), id_ := steps.new_organization(db))
        scene.do("topup", "10", lambda key: steps.top_up(db, id_, "10", key))
        charged = scene.do("charge", "-2", lambda key: steps.charge(db, id_, "2", key))
        scene.do("refund", "1", lambda key: steps.refund(db, charged, "1", key))
        scene.do("adjustment", "-1", lambda key: steps.adjust(db, id_, "-1", key))
        scene.do("grant", "3", lambda key: steps.grant(db, id_, "3", key))
        held = scene.do("hold", "2", lambda key: steps.hold(db, id_, "2", key))
        scene.do("capture", "-1", lambda key: steps.capture(db, held, "1", key))
        again = scene.do("hold", "2", lambda key: steps.hold(db, id_, "2", key))
        scene.do("release", "2", lambda key: steps.release(db, again, key))
        given = scene.do("grant", "1", lambda key: steps.grant(db, id_, "1", key))
        scene.do("void", "-1", lambda key: steps.void(db, given, key))
        yield scene


def _unwritten(scene: Scene) -> None:
    scene.oracle.record(scene.expect("charge", "-1"), 201, {"id": "x", "amount_usd": "-1.00"})


def _unasked(scene: Scene) -> None:
    steps.charge(scene.db, scene.organization_id, "1", "unasked")


def _unasked_grant(scene: Scene) -> None:
    steps.grant(scene.db, scene.organization_id, "1", "unasked")


def _without_key(scene: Scene) -> None:
    steps.hold(scene.db, scene.organization_id, "1", "lost")
    with _unguarded(scene):
        scene.admin.execute("DELETE FROM billing.idempotency WHERE key = 'lost'")


def _charged_too_much(scene: Scene) -> None:
    operation = scene.expect("charge", "-0.5")
    scene.oracle.record(operation, 201, scene.charge(operation))


def _answered(name: str, value: Any) -> Plant:
    def plant(scene: Scene) -> None:
        operation = scene.expect("charge", "-1")
        answer = scene.charge(operation)
        assert answer[name] != value
        scene.oracle.record(operation, 201, {**answer, name: value})

    return plant


def _refused_but_done(scene: Scene) -> None:
    operation = scene.expect("charge", "-1", may_refuse=NEEDS_CREDIT)
    scene.charge(operation)
    scene.oracle.record(operation, 402, NO_CREDIT)


def _given_up_and_done_otherwise(scene: Scene) -> None:
    operation = scene.expect("charge", "-1")
    scene.charge(operation, "2")
    scene.oracle.record(operation, 503, {})


def _retry_refused(scene: Scene) -> None:
    operation = scene.expect("charge", "-1", may_refuse=NEEDS_CREDIT)
    scene.oracle.record(operation, 503, {})
    scene.oracle.record(operation, 409, {"code": "invalid_state"})


def _replay_refused(scene: Scene) -> None:
    operation = scene.expect("charge", "-1", may_refuse=NEEDS_CREDIT)
    scene.oracle.record(operation, 201, scene.charge(operation))
    scene.oracle.record(operation, 402, NO_CREDIT)


def _replay_unmarked(scene: Scene) -> None:
    operation = scene.charged()
    scene.oracle.record(operation, 201, scene.charge(operation))


def _replay_differs(scene: Scene) -> None:
    operation = scene.charged()
    scene.oracle.record(operation, 201, {**scene.charge(operation), "model": "other"}, True)


def _first_is_replay(scene: Scene) -> None:
    operation = scene.expect("charge", "-1")
    scene.oracle.record(operation, 201, scene.charge(operation), True)


def _never_answered(scene: Scene) -> None:
    operation = scene.expect("charge", "-1")
    scene.oracle.record(operation, 503, {})
    scene.oracle.leave_unanswered([operation])


def _grant_drawn_twice(scene: Scene) -> None:
    """Two charges of two dollars, which one grant of three has paid for."""
    for _ in range(2):
        operation = scene.expect("charge", "-2")
        scene.oracle.record(operation, 201, scene.charge(operation, "2"))
    scene.admin.execute("SELECT billing.settle_organization('*', %s)", [scene.organization_id])
    with _unguarded(scene):
        scene.admin.execute(
            "UPDATE billing.allocations SET grant_id = (SELECT id FROM billing.credit_grants"
            " WHERE kind = 'promotional' LIMIT 1)"
        )


def _budget_not_counted(scene: Scene) -> None:
    team = "red"
    steps.budget(scene.db, scene.organization_id, "10", team=team)
    operation = scene.expect("charge", "-1", team=team)
    charged = steps.charge(scene.db, scene.organization_id, "1", operation.key, team_id=team)
    scene.oracle.record(operation, 201, _answer(charged))
    scene.admin.execute("UPDATE billing.budgets SET spent_usd = 0")


def _charge_of_no_team(scene: Scene) -> None:
    """The ledger and the budget agree, but not with what the client asked for."""
    steps.budget(scene.db, scene.organization_id, "10", team="red")
    operation = scene.expect("charge", "-1", team="red")
    scene.oracle.record(operation, 201, scene.charge(operation))


def _hold_changed_by_nobody(scene: Scene) -> None:
    operation = scene.expect("hold", "1")
    held = steps.hold(scene.db, scene.organization_id, "1", operation.key)
    scene.oracle.record(operation, 201, _answer(held))
    steps.change_hold(scene.db, held, amount_usd="2")


def _log_of_another_amount(scene: Scene) -> None:
    operation = scene.expect("spend log", "1")
    request = spend_logs.SpendLogRequest.model_validate({"amount_usd": "2"})
    logged, _ = spend_logs.log_spend(
        scene.db, steps.PLATFORM, scene.organization_id, operation.key, request
    )
    scene.oracle.record(operation, 201, _answer(logged))


@contextlib.contextmanager
def _unguarded(scene: Scene) -> Iterator[None]:
    """Without the triggers and keys that refuse it."""
    with scene.admin.transaction():
        scene.admin.execute("SET LOCAL session_replication_role = replica")
        yield


def _drifted(scene: Scene) -> None:
    scene.admin.execute("UPDATE billing.organizations SET balance_usd = balance_usd + 1")


PLANTS: list[tuple[Plant, str]] = [
    (_unwritten, "it was acknowledged and left no row"),
    (_unasked, "nobody asked for unasked of"),
    (_unasked_grant, "nobody asked for unasked of"),
    (_without_key, "has no key"),
    (_charged_too_much, "it asked for -0.5 USD"),
    (_answered("amount_usd", "-2.00"), "its answer has amount_usd -2.00"),
    (_answered("balance_after_usd", "5.00"), "its answer has balance_after_usd 5.00"),
    (_answered("version", 1), "its answer has version 1"),
    (_answered("hash", "00"), "its answer has hash 00"),
    (_answered("id", "x"), "its answer has id x"),
    (_refused_but_done, "it was refused (insufficient_credits) and done"),
    (_given_up_and_done_otherwise, "it asked for -1 USD"),
    (_retry_refused, "attempt 2 was refused"),
    (_replay_refused, "attempt 2 was refused"),
    (_replay_unmarked, "its replay was not marked"),
    (_replay_differs, "its replay differs"),
    (_first_is_replay, "its first attempt was answered as a replay"),
    (_never_answered, "it has no answer after 1 attempts"),
    (_grant_drawn_twice, "a grant"),
    (_budget_not_counted, "the budget of team red"),
    (_budget_not_counted, "a budget has spent what its subject was charged in its window"),
    (_charge_of_no_team, "the budget of team red"),
    (_hold_changed_by_nobody, "nobody asked for change of"),
    (_log_of_another_amount, "it asked for 1 USD"),
    (_drifted, "balance"),
]


def test_the_oracle_finds_nothing_where_all_happened_as_it_was_recorded(scene: Scene) -> None:
    # Given up: once, and not at all.
    scene.charge(done := scene.expect("charge", "-1"))
    for given_up in (done, scene.expect("charge", "-1")):
        scene.oracle.record(given_up, 503, {})
    refused = scene.expect("charge", "-100", may_refuse=NEEDS_CREDIT)
    scene.oracle.record(refused, 402, NO_CREDIT)
    recovered = scene.expect("charge", "-1")
    scene.oracle.record(recovered, 0, {})
    scene.oracle.record(recovered, 201, scene.charge(recovered), True)
    scene.oracle.record(recovered, 201, scene.charge(recovered), True)
    assert scene.oracle.recovered == 1
    assert scene.oracle.verify(scene.admin) == []


@pytest.mark.parametrize(("plant", "mistake"), PLANTS)
def test_the_oracle_sees_a_planted_mistake(scene: Scene, plant: Plant, mistake: str) -> None:
    plant(scene)
    found = scene.oracle.verify(scene.admin)
    assert any(mistake in line for line in found), found
