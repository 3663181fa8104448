"""Clients that change money in every way at once, and retry by the guide."""

import contextlib
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import httpx

from synaxis_billing.events.refused import key_of
from synaxis_billing.events.usage_events import BATCH
from tests.chaos.oracle import Operation, Oracle
from tests.support.running import PATIENCE_SECONDS, Client

ORGANIZATIONS = 3
THREADS = 6
NEEDS_CREDIT = ("insufficient_credits",)
NEEDS_ROOM = (*NEEDS_CREDIT, "budget_exceeded")
# The limits of their budgets: of one, which is soon spent, and of one that never refuses.
TEAMS = {"red": "5", "blue": "1000000"}
# Further off than any test moves a clock.
EXPIRES_AFTER = timedelta(days=60)
CENT = Decimal("0.01")
# How often each action is taken, relative to the others.
WEIGHTS = {
    "charge": 6,
    "charge_too_much": 1,
    "batch": 2,
    "hold": 5,
    "capture": 3,
    "release": 1,
    "topup": 1,
    "refund": 2,
    "adjust": 1,
    "grant": 1,
    "void": 1,
    "change_hold": 1,
    "log_spend": 1,
    "usage_event": 2,
    "read": 2,
}


def new_organizations(url: str) -> list[str]:
    """Organizations whose teams have budgets."""
    with closing(Client(url)) as client:
        paths = [client.new_organization() for _ in range(ORGANIZATIONS)]
        for path, (team, limit) in itertools.product(paths, TEAMS.items()):
            budget = {"subject": "team", "subject_id": team, "window": "lifetime"}
            client.post(f"{path}/budgets", budget | {"limit_usd": limit}).raise_for_status()
        return paths


class Answer(NamedTuple):
    """An attempt, by the monotonic clock; `status` 0 when its reply was lost."""

    sent_at: float
    answered_at: float
    status: int

    @property
    def seconds(self) -> float:
        return self.answered_at - self.sent_at


class Load:
    """Threads that act on organizations that all of them share. `answers` are in no order;
    `holds_expire` says that a change or a capture of a hold may come late, when others have used
    the credit."""

    def __init__(
        self, url: str, paths: list[str], oracle: Oracle, seed: str, holds_expire: bool = False
    ) -> None:
        self.answers: list[Answer] = []
        self._callers = [
            _Caller(url, oracle, f"{seed} {number}", paths, self.answers)
            for number in range(THREADS)
        ]
        for caller in self._callers:
            caller.late_refusals = (*NEEDS_CREDIT, "invalid_state") if holds_expire else ()

    def run(self, actions: int) -> None:
        """Have each thread take so many actions."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda caller: caller.act(range(actions)), self._callers))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Act until the end of the block, and until each thread knows what its last action did."""
        ended = threading.Event()

        def act(caller: _Caller) -> None:
            caller.act(itertools.takewhile(lambda _: not ended.is_set(), itertools.count()))

        with ThreadPoolExecutor(THREADS) as pool:
            acting = [pool.submit(act, caller) for caller in self._callers]
            try:
                yield
            finally:
                ended.set()
        for thread in acting:
            thread.result()


_Send = Callable[[str, Any, str], httpx.Response]


class _Caller:
    """One client. Nobody else ends its holds or refunds its charges, so no refusal of these is
    right."""

    def __init__(
        self, url: str, oracle: Oracle, seed: str, paths: list[str], answers: list[Answer]
    ) -> None:
        self._client, self._oracle, self._answers = Client(url), oracle, answers
        self._rng, self._seed, self._paths = random.Random(seed), seed, paths
        self._numbers = itertools.count(1)
        self._holds: list[Operation] = []
        self._charges: list[Operation] = []
        self._grants: list[Operation] = []
        self.late_refusals: tuple[str, ...] = ()

    def act(self, turns: Iterable[object]) -> None:
        with closing(self._client):
            for path in self._paths:
                self._topup(path)
            for _ in turns:
                [name] = self._rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
                getattr(self, f"_{name}")(self._rng.choice(self._paths))

    def _charge(self, path: str) -> None:
        operation = self._new("charge", path, -self._amount(), NEEDS_ROOM, self._team())
        self._post(operation, f"{path}/charges", _charge_body(operation))
        if operation.answer:
            self._charges.append(operation)

    def _charge_too_much(self, path: str) -> None:
        operation = self._new("charge", path, Decimal(-1_000_000), NEEDS_CREDIT)
        self._post(operation, f"{path}/charges", _charge_body(operation))

    def _batch(self, path: str) -> None:
        """Charges of all organizations, one of which has too little credit."""
        amounts = [self._amount(), self._amount(), Decimal(1_000_000), self._amount()]
        chosen = [*self._paths, path]
        items = [
            self._new("charge", path, -amount, NEEDS_ROOM, self._team())
            for path, amount in zip(chosen, amounts, strict=False)
        ]
        body = {
            "charges": [
                _charge_body(item)
                | {"organization_id": item.organization_id, "idempotency_key": item.key}
                for item in items
            ]
        }
        self._retry(items, lambda: self._send_items(items, "/v1/charges/batch", body))

    def _send_items(self, items: list[Operation], path: str, body: Any) -> None:
        """Send what is answered by a result for each item."""
        headers = {"content-type": BATCH if isinstance(body, list) else "application/json"}
        content = json.dumps(body)
        response = self._noted(
            lambda: self._client.http.post(path, content=content, headers=headers)
        )
        results = [{"status": response.status_code, "error": response.json()}] * len(items)
        if response.status_code == 200:
            results = response.json()["results"]
        for item, result in zip(items, results, strict=True):
            answer = result["transaction"] if "transaction" in result else result["error"]
            self._oracle.record(item, result["status"], answer, result.get("replayed", False))

    def _hold(self, path: str) -> None:
        operation = self._new("hold", path, self._amount(), NEEDS_ROOM)
        team = self._team()
        body = {"amount_usd": str(operation.amount_usd), "team_id": team}
        self._post(operation, f"{path}/holds", body)
        if operation.answer:
            self._holds.append(operation)

    def _capture(self, _: str) -> None:
        if self._holds:
            held = self._holds.pop()
            assert held.answer is not None
            assert held.amount_usd is not None
            amount, team = held.amount_usd - CENT, held.answer["team_id"]
            operation = self._new("capture", _path(held), -amount, self.late_refusals, team)
            self._post(operation, f"{_hold_path(held)}/capture", _charge_body(operation))

    def _release(self, _: str) -> None:
        if self._holds:
            held = self._holds.pop()
            operation = self._new("release", _path(held), held.amount_usd)
            self._post(operation, f"{_hold_path(held)}/release", None)

    def _topup(self, path: str) -> None:
        operation = self._new("topup", path, 10 + self._amount())
        self._post(operation, f"{path}/topups", {"amount_usd": str(operation.amount_usd)})

    def _refund(self, _: str) -> None:
        if self._charges:
            charged = self._charges.pop()
            assert charged.answer is not None
            operation = self._new("refund", _path(charged), CENT, team=charged.team)
            body = {"transaction_id": charged.answer["id"], "amount_usd": str(CENT)}
            self._post(operation, f"{_path(charged)}/refunds", body)

    def _adjust(self, path: str) -> None:
        amount = self._amount() * self._rng.choice([1, -1])
        operation = self._new("adjustment", path, amount, NEEDS_CREDIT if amount < 0 else ())
        body = {"amount_usd": str(amount), "description": "correction"}
        self._post(operation, f"{path}/adjustments", body)

    def _grant(self, path: str) -> None:
        operation = self._new("grant", path, self._amount())
        amount = str(operation.amount_usd)
        body = {"amount_usd": amount, "kind": "promotional", "description": "welcome"}
        if self._rng.random() < 0.5:
            body["expires_at"] = (datetime.now(UTC) + EXPIRES_AFTER).isoformat()
        self._post(operation, f"{path}/grants", body)
        if operation.answer:
            self._grants.append(operation)

    def _void(self, _: str) -> None:
        """Take what is left of a grant, which may be nothing."""
        if self._grants:
            given = self._grants.pop()
            assert given.answer is not None
            operation = self._new("void", _path(given), None, ("invalid_state",))
            self._post(operation, f"{_path(given)}/grants/{given.answer['id']}/void", None)

    def _change_hold(self, _: str) -> None:
        """Hold a cent more, once."""
        held = self._holds.pop() if self._holds else None
        if held is not None:
            assert held.answer is not None
            assert held.amount_usd is not None
            id_, amount = held.answer["id"], held.amount_usd + CENT
            operation = Operation(
                "change of a hold",
                held.organization_id,
                f"change of {id_}",
                amount,
                (*NEEDS_ROOM, *self.late_refusals),
            )
            self._oracle.expect(operation)
            body = {"amount_usd": str(amount)}
            self._post(operation, _hold_path(held), body, self._patch)

    def _log_spend(self, path: str) -> None:
        operation = self._new("spend log", path, self._amount())
        self._post(operation, f"{path}/spend-logs", {"amount_usd": str(operation.amount_usd)})

    def _usage_event(self, path: str) -> None:
        id_, organization_id = f"{self._seed} {next(self._numbers)}", path.rpartition("/")[2]
        operation = Operation(
            "usage event", organization_id, key_of("load", id_), -self._amount(), NEEDS_CREDIT
        )
        self._oracle.expect(operation)
        event = {
            "specversion": "1.0",
            "type": "com.synaxis.usage.v1",
            "source": "load",
            "id": id_,
            "subject": organization_id,
            "time": datetime.now(UTC).isoformat(),
            "data": _charge_body(operation),
        }
        path = "/v1/usage-events"
        self._retry([operation], lambda: self._send_items([operation], path, [event]))

    def _read(self, path: str) -> None:
        """What a cache answers, or the database."""
        with contextlib.suppress(httpx.TransportError):
            for what in (path, f"{path}/balance"):
                response = self._noted(lambda: self._client.get(what))  # noqa: B023
                self._oracle.note(response.status_code)

    def _amount(self) -> Decimal:
        return self._rng.randint(2, 100) * CENT

    def _team(self) -> str | None:
        return self._rng.choice([None, *TEAMS])

    def _new(
        self,
        kind: str,
        path: str,
        amount: Decimal | None,
        may_refuse: tuple[str, ...] = (),
        team: str | None = None,
    ) -> Operation:
        key = f"{self._seed} {next(self._numbers)}"
        organization_id = path.rpartition("/")[2]
        return self._oracle.expect(Operation(kind, organization_id, key, amount, may_refuse, team))

    def _post(
        self, operation: Operation, path: str, body: Any, send: "_Send | None" = None
    ) -> None:
        request = send or self._client.post

        def try_once() -> None:
            response = self._noted(lambda: request(path, body, operation.key))
            replayed = response.headers.get("idempotency-replayed") == "true"
            self._oracle.record(operation, response.status_code, response.json(), replayed)

        self._retry([operation], try_once)

    def _patch(self, path: str, body: Any, _: str) -> httpx.Response:
        return self._client.http.patch(path, json=body)

    def _noted(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Send, and note how long the answer took, or its loss."""
        sent_at, status = time.monotonic(), 0
        try:
            response = send()
            status = response.status_code
        finally:
            self._answers.append(Answer(sent_at, time.monotonic(), status))
        return response

    def _retry(self, operations: list[Operation], send: Callable[[], None]) -> None:
        """Send until all is answered, but for some that are given up at the first reply that is
        lost; send some again that are answered."""
        given_up = self._rng.random() < 0.1
        ends = time.monotonic() + PATIENCE_SECONDS
        for attempt in itertools.count():
            self._try(operations, send)
            if all(operation.settled for operation in operations):
                break
            if given_up:
                return
            if time.monotonic() > ends:
                self._oracle.leave_unanswered(operations)
                return
            time.sleep(min(1, 0.05 * 2**attempt) * self._rng.random())
        if self._rng.random() < 0.1 and all(operation.answer for operation in operations):
            self._try(operations, send)

    def _try(self, operations: list[Operation], send: Callable[[], None]) -> None:
        try:
            send()
        except httpx.TransportError:
            for operation in operations:
                self._oracle.record(operation, 0, {})


def _path(operation: Operation) -> str:
    return f"/v1/organizations/{operation.organization_id}"


def _hold_path(held: Operation) -> str:
    assert held.answer is not None
    return f"{_path(held)}/holds/{held.answer['id']}"


def _charge_body(operation: Operation) -> dict[str, Any]:
    assert operation.amount_usd is not None
    body = {"amount_usd": str(-operation.amount_usd), "description": "chat"}
    # A capture is of the team of its hold.
    return body | ({"team_id": operation.team} if operation.kind == "charge" else {})
