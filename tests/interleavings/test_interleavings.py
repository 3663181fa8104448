"""Two operations of one organization end as if one had come after the other, or between two
transactions of it, wherever either is stopped.

An operation locks the organization's row, and from there on sees every change that was committed
before. So what the order of two operations' statements can change is what one of them reads before
that lock, and in which order both take their locks. Every case of either comes when one is stopped
before each of its statements while the other runs as far as it can; some are also tried in which
both are stopped. Once the other is blocked by the first, it stands still until that transaction
ends: later stops in it change nothing, and of these only the last is tried.
"""

import itertools
import os
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest
from pydantic import BaseModel

from synaxis_billing.errors import BillingError
from synaxis_billing.ledger.audit import audit
from synaxis_billing.schema import migrate
from tests.conftest import Database
from tests.interleavings import stepping
from tests.interleavings.operations import (
    AFTERWARDS,
    EARLIER,
    LATER,
    LEFT_OUT,
    OPERATIONS,
    PERSONAL,
    Scene,
    make,
)
from tests.interleavings.states import Keeper, difference
from tests.interleavings.stepping import Actor, State

# So many pairs are drawn by the seed, or all are run at each statement.
PAIRS = os.environ.get("INTERLEAVINGS", "20")
SEED = os.environ.get("INTERLEAVINGS_SEED", "1")
PARTS = 4
# Of each pair that is drawn.
ORDERS = 6
ERASURE_STOPS = 12
# Most statements before the lock are among the first.
FIRST_STATEMENTS = 12


class Pair(NamedTuple):
    """The operation that is stopped and the other one, with the key and the clock of each."""

    names: tuple[str, str]
    keys: tuple[str, str]
    clocks: tuple[str, str]


def pairs() -> list[Pair]:
    """Every pair, with either clock ahead, and each operation with its own retry."""
    found = []
    for clocks in ((EARLIER, LATER), (LATER, EARLIER)):
        found += [
            Pair((name, other), ("one", "other"), clocks)
            for name, other in itertools.product(OPERATIONS, repeat=2)
        ]
        found += [Pair((name, name), ("one", "one"), clocks) for name in OPERATIONS]
    return found


class Stage:
    """A database whose functions stop, with two connections for the operations of a pair."""

    def __init__(self, database: Database, admin: psycopg.Connection) -> None:
        stepping.prepare(admin)
        with database.connect() as db:
            self._scene = make(db)
        stepping.set_clock(admin, AFTERWARDS)
        self._admin, self._keeper = admin, Keeper(admin)
        self._actors = Actor(database), Actor(database)
        self._transactions: dict[tuple[str, str, str], list[list[int]]] = {}

    def close(self) -> None:
        for actor in self._actors:
            actor.close()

    def transactions(self, pair: Pair, end: int) -> list[list[int]]:
        """The statements that one of them has when nothing else runs, by transaction."""
        part = pair.names[end], pair.keys[end], pair.clocks[end]
        if part not in self._transactions:
            self._keeper.restore()
            actor, call, _ = self._part(pair, end, 0)
            actor.start(call)
            actor.wait()
            self._transactions[part] = actor.transactions()
        return self._transactions[part]

    def serial(self, pair: Pair) -> list[str]:
        """Return what either order leaves when each has ended before the other begins."""
        outcomes = []
        for order in ((0, 1), (1, 0)):
            self._keeper.restore()
            parts = [self._part(pair, end, 0) for end in order]
            for actor, call, _ in parts:
                actor.start(call)
                actor.wait()
            outcomes.append(self._outcome(pair))
        return outcomes

    def run(self, pair: Pair, stops: tuple[int, int]) -> tuple[str, str, State]:
        """Return what is left when the first is stopped before a statement, and the other too,
        where they stood, and how far the other came while the first stood."""
        self._keeper.restore()
        first, second = (self._part(pair, end, stops[end]) for end in (0, 1))
        state = stepping.run(first, second)
        return self._outcome(pair), f"{first[0].place}, {second[0].place}", state

    def between(self, pair: Pair) -> Iterator[str]:
        """What is left when one runs between two transactions of the other."""
        for end in (0, 1):
            for later in self.transactions(pair, end)[1:]:
                self._keeper.restore()
                other = self._part(pair, 1 - end, 0)
                stepping.run(self._part(pair, end, later[0]), other)
                yield self._outcome(pair)

    def _part(self, pair: Pair, end: int, stops_at: int) -> Any:
        act = OPERATIONS[pair.names[end]].act
        actor = self._actors[end]
        actor.set_clock(pair.clocks[end])
        return actor, lambda db: _answer(act, db, self._scene, pair.keys[end]), stops_at

    def _outcome(self, pair: Pair) -> str:
        answers = [actor.result() for actor in self._actors]
        wrong = audit(self._admin).all_broken
        if erases := any(name.startswith("erasure") for name in pair.names):
            # It takes several transactions, and promises that what was told before is gone.
            answers = [
                None if name.startswith("erasure") else answer
                for name, answer in zip(pair.names, answers, strict=True)
            ]
            if self._keeper.contains(PERSONAL):
                wrong.append("personal data outlives its erasure")
        return "\n".join([*wrong, self._keeper.compare_by(answers, erases)])


def _answer(act: Any, db: psycopg.Connection, scene: Scene, key: str) -> Any:
    try:
        return _plain(act(db, scene, key))
    except BillingError as error:
        return error.problem()


def _plain(answer: Any) -> Any:
    if isinstance(answer, BaseModel):
        return answer.model_dump(mode="json")
    if isinstance(answer, list | tuple):
        return [_plain(part) for part in answer]
    return answer


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    with database.admin() as admin:
        stage = Stage(database, admin)
        yield stage
        stage.close()


def _whole(outcomes: list[str]) -> list[str]:
    """Return outcomes with which nothing is wrong: what is comes first."""
    assert all(one.startswith("allocations {") for one in outcomes), outcomes
    return outcomes


class Comparison:
    """A pair against what its operations leave one after the other."""

    def __init__(self, stage: Stage, pair: Pair) -> None:
        self._stage, self._pair = stage, pair
        self._serial = _whole(stage.serial(pair))
        # Looked for when it is needed.
        self._between: list[str] | None = None
        self.tried = 0

    def try_order(self, stops: tuple[int, int]) -> State:
        """Stop each before a statement; 0 is nowhere."""
        outcome, places, state = self._stage.run(self._pair, stops)
        self.tried += 1
        if outcome not in self._serial and self._between is None:
            self._between = _whole(list(self._stage.between(self._pair)))
        if outcome not in [*self._serial, *(self._between or ())]:
            nearest = min((difference(one, outcome) for one in self._serial), key=len)
            raise AssertionError(f"{self._pair}, stopped before {stops} ({places}):\n{nearest}")
        return state

    def try_some(self, rng: random.Random) -> None:
        counts = [sum(map(len, self._stage.transactions(self._pair, end))) for end in (0, 1)]
        for number in range(ORDERS):
            early = [rng.randint(1, min(count, FIRST_STATEMENTS)) for count in counts]
            late = [rng.randint(1, count) for count in counts]
            self.try_order(((early[0], 0), (late[0], 0), (early[0], late[1]))[number % 3])

    def try_all(self) -> None:
        """Stop the first before each of its statements, as long as that may change anything."""
        for transaction in self._stage.transactions(self._pair, 0):
            for stop in transaction:
                if self.try_order((stop, 0)) is State.blocked:
                    self.try_order((transaction[-1], 0))
                    break


@pytest.mark.parametrize("part", range(PARTS))
def test_two_operations_end_as_if_one_had_come_after_the_other(stage: Stage, part: int) -> None:
    rng = random.Random(f"{SEED} {part}")
    print(f"INTERLEAVINGS_SEED={SEED}")
    drawn = pairs()[part::PARTS]
    if PAIRS != "all":
        drawn = rng.sample(drawn, int(PAIRS) // PARTS)
    tried, wrong = 0, []
    for pair in drawn:
        comparison = Comparison(stage, pair)
        try:
            if PAIRS == "all":
                comparison.try_all()
            else:
                comparison.try_some(rng)
        except AssertionError as error:
            # The others are worth knowing, too.
            wrong.append(str(error))
        tried += comparison.tried
    print(f"{len(drawn)} pairs, {tried} orders")
    assert not wrong, "\n\n".join(wrong)
    assert tried >= len(drawn)


@pytest.mark.parametrize("copying", ["settlement", "usage that was unpriced"])
def test_an_erasure_takes_back_all_texts_that_are_copied_meanwhile(
    stage: Stage, copying: str
) -> None:
    """A settlement copies those of a grant that starts into its transaction, and those of a monthly
    grant into the next one; a charge has those of the usage that had no price."""
    pair = Pair(("erasure of everybody", copying), ("one", "other"), (LATER, LATER))
    stops = [stop for transaction in stage.transactions(pair, 0) for stop in transaction]
    if PAIRS != "all":
        stops = sorted(random.Random(SEED).sample(stops, min(len(stops), ERASURE_STOPS)))
    comparison = Comparison(stage, pair)
    for stop in stops:
        comparison.try_order((stop, 0))
    assert comparison.tried == len(stops) > 0


def test_every_operation_that_changes_an_organization_is_in_the_table(database: Database) -> None:
    text = "\n".join(path.read_text() for path in migrate.function_files())
    called = migrate.api_functions(text)
    with database.admin() as admin:
        changing = {
            name
            for (name,) in admin.execute(
                "SELECT proname FROM pg_proc WHERE pronamespace = 'billing'::regnamespace"
                " AND provolatile = 'v' AND 'p_organization_id' = ANY (proargnames)"
            )
            if name in called
        }
    table = {operation.function for operation in OPERATIONS.values()}
    assert ", ".join(sorted(changing - table - set(LEFT_OUT))) == ""
    # Nothing is named that is not there.
    assert table - set(called) == set()
    assert set(LEFT_OUT) - changing == set()
