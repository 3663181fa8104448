"""Usage events from a broker: batches of what several messages bring, in the order of each group.

A broker delivers at least once, and again what was not taken; the key of each event makes that
once. An event that can never be taken is refused alone, and holds nothing up.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import psycopg

from synaxis_billing.caller import Caller
from synaxis_billing.errors import BillingError, InvalidRequest, TooManyRequests
from synaxis_billing.events import refused, spans, usage_events
from synaxis_billing.ledger import charges

# Classes of SQLSTATE that no retry can mend: data that cannot be stored, a limit of the server's.
_NEVER = {"22", "54"}
# The wait for one organization was too long: the others need not wait with it.
_LOCKED = "55"


class Message(NamedTuple):
    """A message of a broker: its id there, what sent it, the group within which order counts, and
    what it says; `unreadable` is why that is no JSON."""

    id: str
    source: str
    group: str
    value: Any
    unreadable: BillingError | None = None


class Taken(NamedTuple):
    """What became of events, the ids of messages that have to be delivered again, and the errors
    that nobody expected."""

    results: list[charges.Accepted | charges.Refused]
    failed: list[str]
    errors: list[Exception]


class _Item(NamedTuple):
    """An event, the message that brought it, and its place there."""

    message: Message
    place: int
    event: Any


def consume(
    connect: Callable[[], psycopg.Connection], caller: Caller, messages: Sequence[Message]
) -> Taken:
    """Take the events of messages. A message that fails has those after it in its group fail too,
    so that a group keeps its order."""
    consumer = _Consumer(connect, caller)
    waiting: list[_Item] = []
    for message in messages:
        waiting += [_Item(message, place, event) for place, event in enumerate(_events(message))]
        while len(waiting) >= usage_events.LARGEST_BATCH:
            consumer.take(waiting[: usage_events.LARGEST_BATCH])
            waiting = waiting[usage_events.LARGEST_BATCH :]
        if message.unreadable is not None:
            consumer.refuse(_Item(message, 0, message.value), message.unreadable)
    consumer.take(waiting)
    return Taken(consumer.results, consumer.failed(messages), consumer.errors)


def _events(message: Message) -> list[Any]:
    """Return the events of a message: one, an array of them, or the spans of OpenTelemetry."""
    if message.unreadable is not None:
        return []
    if spans.is_traces(message.value):
        return spans.read(message.value)
    return message.value if isinstance(message.value, list) else [message.value]


class _Consumer:
    def __init__(self, connect: Callable[[], psycopg.Connection], caller: Caller) -> None:
        self._connect = connect
        self._caller = caller
        # The first message of each group that was not taken.
        self._stopped: dict[str, str] = {}
        self._down = False
        self.results: list[charges.Accepted | charges.Refused] = []
        self.errors: list[Exception] = []

    def failed(self, messages: Sequence[Message]) -> list[str]:
        """Return the ids of the messages that were not taken, and of those behind them."""
        found: list[str] = []
        reached: set[str] = set()
        for message in messages:
            if self._stopped.get(message.group) == message.id:
                reached.add(message.group)
            if message.group in reached:
                found.append(message.id)
        return found

    def take(self, items: Sequence[_Item]) -> None:
        """Take events in one batch; if it fails, in parts, until the one that cannot be taken is
        alone."""
        items = [item for item in items if item.message.group not in self._stopped]
        if not items:
            return
        if self._down:
            self._stop(items)
            return
        try:
            self._take(items)
        except psycopg.Error as error:
            self._after(error, items)
        except TooManyRequests:
            self._by_group(items)
        except BillingError as error:
            self._divide(items, error)
        # Whatever it is, it must not have the events of others delivered again for ever.
        except Exception as error:  # noqa: BLE001
            self._divide(items, error)

    def refuse(self, item: _Item, reason: BillingError | dict[str, Any]) -> None:
        """Keep an event, or a message that is none, among the refused ones."""
        nobody = refused.nobody(self._caller)
        named = usage_events.refusal(item.event, reason, {}, nobody) or refused.Refusal(
            nobody,
            item.message.source,
            f"{item.message.id}/{item.place}",
            None,
            item.event,
            reason,
        )
        try:
            refused.keep(self._connect(), self._caller, [named])
        except psycopg.Error as error:
            self._down = self._down or not error.sqlstate
            self._stop([item])
            return
        problem = reason.problem() if isinstance(reason, BillingError) else reason
        self.results.append(charges.Refused(status=problem["status"], error=problem))

    def _take(self, items: Sequence[_Item]) -> None:
        results = usage_events.book(self._connect(), self._caller, [item.event for item in items])
        for item, result in zip(items, results, strict=True):
            if charges.is_busy(result):
                self._stop([item])
            elif isinstance(result, charges.Refused) and not usage_events.is_named(item.event):
                self.refuse(item, result.error)
            else:
                self.results.append(result)

    def _after(self, error: psycopg.Error, items: Sequence[_Item]) -> None:
        state = error.sqlstate or ""
        if state[:2] in _NEVER or (not state and isinstance(error, psycopg.DataError)):
            self._divide(items, InvalidRequest("The event has a value that cannot be stored."))
        elif state[:2] == _LOCKED:
            self._by_group(items)
        elif isinstance(error, psycopg.errors.QueryCanceled):
            # It took too long.
            self._divide(items, error)
        elif isinstance(error, psycopg.OperationalError):
            self._down = True
            self._stop(items)
        else:
            self._divide(items, error)

    def _divide(self, items: Sequence[_Item], error: Exception) -> None:
        if len(items) > 1:
            half = len(items) // 2
            self.take(items[:half])
            self.take(items[half:])
        elif isinstance(error, BillingError):
            self.refuse(items[0], error)
        else:
            self.errors.append(error)
            self._stop(items)

    def _by_group(self, items: Sequence[_Item]) -> None:
        """An organization has too much under way: the others need not wait with it."""
        groups: dict[str, list[_Item]] = {}
        for item in items:
            groups.setdefault(item.message.group, []).append(item)
        if len(groups) == 1:
            self._stop(items)
            return
        for own in groups.values():
            self.take(own)

    def _stop(self, items: Sequence[_Item]) -> None:
        for item in items:
            self._stopped.setdefault(item.message.group, item.message.id)
