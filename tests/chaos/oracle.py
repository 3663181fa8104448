"""An independent witness: what clients asked for and were answered, compared with the database."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock
from typing import Any

import psycopg

from synaxis_billing.ledger.audit import audit

# What the key of each kind of operation leads to, and the facts that its answer and its row share.
_CHANGE = ("id", "transaction_type", "amount_usd", "balance_after_usd", "version", "hash")
_RESULTS = {
    "charge": ("transaction", _CHANGE),
    "capture": ("transaction", (*_CHANGE, "hold_id")),
    "topup": ("transaction", _CHANGE),
    "refund": ("transaction", _CHANGE),
    "adjustment": ("transaction", _CHANGE),
    "hold": ("hold", ("id", "amount_usd")),
    "release": ("release", ("id", "amount_usd", "status")),
    "grant": ("grant", ("id", "amount_usd", "transaction_id")),
    "void": ("transaction", (*_CHANGE, "grant_id")),
    "spend log": ("spend_log", ("id", "amount_usd")),
    "usage event": ("transaction", _CHANGE),
    # It has no key: the same change twice is one.
    "change of a hold": ("change of a hold", ("id", "amount_usd")),
}
_ROWS = """
SELECT k.organization_id::text, k.key, k.result_type::text, jsonb_build_object(
    'id', t.id, 'transaction_type', t.transaction_type, 'amount_usd', t.amount_usd::text,
    'balance_after_usd', t.balance_after_usd::text, 'version', t.version,
    'hash', encode(t.hash, 'hex'), 'hold_id', t.hold_id, 'grant_id', t.grant_id, 'team_id', t.team_id)
FROM billing.idempotency AS k
LEFT JOIN billing.credit_transactions AS t ON t.organization_id = k.organization_id AND t.id = k.result_id
WHERE k.organization_id = ANY (%(ids)s) AND k.result_type = 'transaction'
UNION ALL
SELECT k.organization_id::text, k.key, k.result_type::text, jsonb_build_object(
    'id', h.id, 'status', h.status, 'amount_usd', coalesce(h.first_amount_usd, h.amount_usd)::text)
FROM billing.idempotency AS k
LEFT JOIN billing.holds AS h ON h.organization_id = k.organization_id AND h.id = k.result_id
WHERE k.organization_id = ANY (%(ids)s) AND k.result_type IN ('hold', 'release')
UNION ALL
SELECT k.organization_id::text, k.key, k.result_type::text, jsonb_build_object(
    'id', g.id, 'transaction_id', g.transaction_id, 'amount_usd', g.amount_usd::text)
FROM billing.idempotency AS k
LEFT JOIN billing.credit_grants AS g ON g.organization_id = k.organization_id AND g.id = k.result_id
WHERE k.organization_id = ANY (%(ids)s) AND k.result_type NOT IN ('transaction', 'hold', 'release', 'spend_log')
UNION ALL
SELECT k.organization_id::text, k.key, k.result_type::text, jsonb_build_object(
    'id', s.id, 'amount_usd', s.amount_usd::text)
FROM billing.idempotency AS k
LEFT JOIN billing.spend_logs AS s ON s.organization_id = k.organization_id AND s.id = k.result_id
WHERE k.organization_id = ANY (%(ids)s) AND k.result_type = 'spend_log'
UNION ALL
SELECT h.organization_id::text, 'change of ' || h.id, 'change of a hold', jsonb_build_object(
    'id', h.id, 'amount_usd', h.amount_usd::text)
FROM billing.holds AS h WHERE h.organization_id = ANY (%(ids)s) AND h.first_amount_usd IS NOT NULL
"""  # noqa: E501
_BUDGETS = """
SELECT organization_id::text, substring(subject FROM '^team (.*)'), spent_usd FROM billing.budgets
WHERE organization_id = ANY (%(ids)s) AND starts_with(subject, 'team ')
"""
_WITHOUT_KEY = """
SELECT 'transaction ' || id FROM billing.credit_transactions AS r
WHERE organization_id = ANY (%(ids)s) AND NOT EXISTS (SELECT FROM billing.idempotency AS k
    WHERE k.organization_id = r.organization_id AND result_id = r.id
    AND result_type = 'transaction')
UNION ALL
SELECT 'hold ' || id FROM billing.holds AS r
WHERE organization_id = ANY (%(ids)s) AND NOT EXISTS (SELECT FROM billing.idempotency AS k
    WHERE k.organization_id = r.organization_id AND result_type = 'hold' AND result_id = r.id)
UNION ALL
SELECT 'grant ' || id FROM billing.credit_grants AS r
WHERE kind = 'promotional' AND organization_id = ANY (%(ids)s)
AND NOT EXISTS (SELECT FROM billing.idempotency AS k
    WHERE k.organization_id = r.organization_id AND result_type = 'grant' AND result_id = r.id)
"""


@dataclass(eq=False)
class Operation:
    """One intended effect, with its key. `amount_usd` is what its row must have, None if only the
    answer tells; `may_refuse` the codes of the refusals that the request can earn; `team` the team
    whose budgets count it; `lost` counts the attempts whose answer did not tell what happened."""

    kind: str
    organization_id: str
    key: str
    amount_usd: Decimal | None
    may_refuse: tuple[str, ...] = ()
    team: str | None = None
    attempts: int = 0
    lost: int = 0
    answer: dict[str, Any] | None = None
    refusal: str | None = None

    @property
    def settled(self) -> bool:
        """Whether the client knows what happened."""
        return self.answer is not None or self.refusal is not None


class Oracle:
    """Threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.operations: list[Operation] = []
        self.mistakes: list[str] = []
        # Answers of retries that say that the attempt before, whose reply was lost, had its effect.
        self.recovered = 0
        # The attempts by the status of their answer.
        self.statuses: Counter[int] = Counter()

    def expect(self, operation: Operation) -> Operation:
        """Know of an operation before it is sent first."""
        self.operations.append(operation)
        return operation

    def record(
        self, operation: Operation, status: int, body: dict[str, Any], replayed: bool = False
    ) -> None:
        """Note what an attempt was answered; `status` 0 when its reply was lost."""
        with self._lock:
            self._record(operation, status, body, replayed)

    def _record(
        self, operation: Operation, status: int, body: dict[str, Any], replayed: bool
    ) -> None:
        operation.attempts += 1
        self.statuses[status] += 1
        if status == 429 or status >= 500 or not status:
            operation.lost += 1
            return
        if status >= 400:
            code = str(body.get("code"))
            if operation.answer is not None or code not in operation.may_refuse:
                self._blame(operation, f"attempt {operation.attempts} was refused: {body}")
            operation.refusal = code
        elif operation.answer is None:
            if replayed and not operation.lost:
                self._blame(operation, "its first attempt was answered as a replay")
            self.recovered += replayed
            operation.answer = body
        else:
            if not replayed and operation.kind != "change of a hold":
                self._blame(operation, "its replay was not marked")
            if body != operation.answer:
                self._blame(operation, f"its replay differs: {body}, first {operation.answer}")

    def note(self, status: int) -> None:
        """Note the status of an answer to a request that changes nothing."""
        with self._lock:
            self.statuses[status] += 1

    def leave_unanswered(self, operations: list[Operation]) -> None:
        """Note that retries did not end, although they were sent as the guide says."""
        for operation in operations:
            if not operation.settled:
                self._blame(operation, f"it has no answer after {operation.attempts} attempts")

    def acknowledged(self) -> Counter[str]:
        """The number of acknowledged operations of each kind."""
        return Counter(of.kind for of in self.operations if of.answer is not None)

    def verify(self, admin: psycopg.Connection) -> list[str]:
        """Compare with a database on which nothing runs any more; return every mistake.

        `admin` is an administrator's connection, in autocommit mode.
        """
        ids = {"ids": list({of.organization_id for of in self.operations})}
        rows: dict[tuple[str, str | None], list[tuple[str, dict[str, Any]]]] = {}
        for organization_id, key, result, row in admin.execute(_ROWS, ids):
            rows.setdefault((organization_id, key), []).append((result, row or {}))
        found = list(self.mistakes)
        spent: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for operation in self.operations:
            results = rows.pop((operation.organization_id, operation.key), [])
            if operation.team is not None:
                for _, row in results:
                    spent[operation.organization_id, operation.team] -= Decimal(row["amount_usd"])
            found += [_told(operation, mistake) for mistake in _compare(operation, results)]
            if operation.kind == "grant":
                # The transaction that brings the grant has a key of the database's own.
                for _, row in results:
                    own = (operation.organization_id, f"§ grant {row['transaction_id']}")
                    found += _brought(rows.pop(own, []), own, operation)
        found += [f"nobody asked for {key} of {id_}: {of}" for (id_, key), of in rows.items()]
        found += [
            f"the budget of team {team} of {id_} counts {counted}, and {spent[id_, team]} was spent"
            for id_, team, counted in admin.execute(_BUDGETS, ids)
            if counted != spent[id_, team]
        ]
        found += [f"{name} has no key" for (name,) in admin.execute(_WITHOUT_KEY, ids)]
        return found + audit(admin).all_broken

    def _blame(self, operation: Operation, mistake: str) -> None:
        self.mistakes.append(_told(operation, mistake))


def _told(operation: Operation, mistake: str) -> str:
    return f"{operation.kind} {operation.key} of {operation.organization_id}: {mistake}"


def _compare(operation: Operation, results: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """The mistakes of one operation, given the rows that its key leads to."""
    if operation.answer is not None and not results:
        yield "it was acknowledged and left no row"
    if operation.answer is None and operation.refusal is not None and results:
        yield f"it was refused ({operation.refusal}) and done: {results}"
    if len(results) > 1:
        yield f"it was done {len(results)} times: {results}"
    expected, facts = _RESULTS[operation.kind]
    for result, row in results:
        if result != expected:
            yield f"its key leads to a {result}"
        amount = Decimal(row.get("amount_usd") or "NaN")
        if operation.amount_usd is not None and amount != operation.amount_usd:
            yield f"it asked for {operation.amount_usd} USD, and the row is {row}"
        if operation.answer is not None:
            yield from _differences(facts, operation.answer, row)


def _differences(
    facts: tuple[str, ...], answer: dict[str, Any], row: dict[str, Any]
) -> Iterator[str]:
    for name in facts:
        if not _same(name, answer.get(name), row.get(name)):
            yield f"its answer has {name} {answer.get(name)}, its row {row.get(name)}"


def _brought(
    results: list[tuple[str, dict[str, Any]]], key: tuple[str, str], grant: Operation
) -> Iterator[str]:
    """The mistakes of the transaction that brought a grant."""
    amounts = [Decimal(row.get("amount_usd") or "NaN") for _, row in results]
    if amounts != [grant.amount_usd]:
        yield f"{key}: the grant of {grant.amount_usd} USD was brought by {results}"


def _same(name: str, answered: Any, stored: Any) -> bool:
    if name.endswith("_usd") and None not in (answered, stored):
        return Decimal(answered) == Decimal(stored)
    return bool(answered == stored)
