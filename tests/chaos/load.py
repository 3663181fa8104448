"""Clients that change money in every way at once, and retry by the guide."""

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from typing import Any, NamedTuple

import httpx

from tests.chaos.oracle import Operation, Oracle
from tests.support.running import PATIENCE_SECONDS, Client

ORGANIZATIONS = 3
THREADS = 6
NEEDS_CREDIT = ("insufficient_credits",)
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
}


def new_organizations(url: str) -> list[str]:
    with closing(Client(url)) as client:
        return [client.new_organization() for _ in range(ORGANIZATIONS)]


class Answer(NamedTuple):
    """An attempt, by the monotonic clock; `status` 0 when its reply was lost."""

    sent_at: float
    answered_at: float
    status: int

    @property
    def seconds(self) -> float:
        return self.answered_at - self.sent_at


class Load:
    """Threads that act on organizations that all of them share. `answers` are in no order."""

    def __init__(self, url: str, paths: list[str], oracle: Oracle, seed: str) -> None:
        self.answers: list[Answer] = []
        self._callers = [
            _Caller(url, oracle, f"{seed} {number}", paths, self.answers)
            for number in range(THREADS)
        ]

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

    def act(self, turns: Iterable[object]) -> None:
        with closing(self._client):
            for path in self._paths:
                self._topup(path)
            for _ in turns:
                [name] = self._rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
                getattr(self, f"_{name}")(self._rng.choice(self._paths))

    def _charge(self, path: str) -> None:
        operation = self._new("charge", path, -self._amount(), NEEDS_CREDIT)
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
            self._new("charge", path, -amount, NEEDS_CREDIT)
            for path, amount in zip(chosen, amounts, strict=False)
        ]
        body = {
            "charges": [
                _charge_body(item)
                | {"organization_id": item.organization_id, "idempotency_key": item.key}
                for item in items
            ]
        }
        self._retry(items, lambda: self._send_batch(items, body))

    def _send_batch(self, items: list[Operation], body: dict[str, Any]) -> None:
        response = self._send("/v1/charges/batch", body)
        results = [{"status": response.status_code, "error": response.json()}] * len(items)
        if response.status_code == 200:
            results = response.json()["results"]
        for item, result in zip(items, results, strict=True):
            answer = result["transaction"] if "transaction" in result else result["error"]
            self._oracle.record(item, result["status"], answer, result.get("replayed", False))

    def _hold(self, path: str) -> None:
        operation = self._new("hold", path, self._amount(), NEEDS_CREDIT)
        self._post(operation, f"{path}/holds", {"amount_usd": str(operation.amount_usd)})
        if operation.answer:
            self._holds.append(operation)

    def _capture(self, _: str) -> None:
        if self._holds:
            held = self._holds.pop()
            amount = held.amount_usd - CENT
            operation = self._new("capture", _path(held), -amount)
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
            operation = self._new("refund", _path(charged), CENT)
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
        self._post(operation, f"{path}/grants", body)

    def _amount(self) -> Decimal:
        return self._rng.randint(2, 100) * CENT

    def _new(
        self, kind: str, path: str, amount: Decimal, may_refuse: tuple[str, ...] = ()
    ) -> Operation:
        key = f"{self._seed} {next(self._numbers)}"
        organization_id = path.rpartition("/")[2]
        return self._oracle.expect(Operation(kind, organization_id, key, amount, may_refuse))

    def _post(self, operation: Operation, path: str, body: dict[str, Any] | None) -> None:
        def send() -> None:
            response = self._send(path, body, operation.key)
            replayed = response.headers.get("idempotency-replayed") == "true"
            self._oracle.record(operation, response.status_code, response.json(), replayed)

        self._retry([operation], send)

    def _send(self, path: str, body: Any, key: str | None = None) -> httpx.Response:
        """Send, and note how long the answer took, or its loss."""
        sent_at, status = time.monotonic(), 0
        try:
            response = self._client.post(path, body, key)
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
    return {"amount_usd": str(-operation.amount_usd), "description": "chat"}
