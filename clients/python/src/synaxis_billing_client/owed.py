"""What is owed for a call that was made: charged once, whatever credit there is, now or later."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from synaxis_billing_client import operations
from synaxis_billing_client.calls import Call, Steps
from synaxis_billing_client.errors import Conflict, IdempotencyKeyReused, NotFound, PaymentRequired
from synaxis_billing_client.models import Unpriced

log = logging.getLogger("synaxis_billing_client")

SMALLEST_USD = Decimal("0.00000001")

type Send = Callable[[Call[Any]], Steps[Any]]


@dataclass(frozen=True)
class Owed:
    """A call that was made: its organization, its id, the request of its charge, and its hold."""

    organization: str
    call_id: str
    charge: dict[str, Any] = field(hash=False)
    hold_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def request(self) -> dict[str, Any]:
        return {**self.charge, "request_id": self.call_id}

    def item(self) -> dict[str, Any]:
        """The item of a batch."""
        ids = {"organization_id": self.organization, "idempotency_key": self.call_id}
        return {**ids, **self.request()}


def settle(owed: Owed, send: Send) -> Steps[None]:
    """Charge what is owed. Raises PaymentRequired while there is no credit at all and no hold, and
    AWAY errors; it can then be settled later, by the same id.

    The id is the charge's key and its request id, by which a charge that was applied is found.
    """
    if owed.hold_id is not None:
        try:
            yield from _capture(owed, owed.hold_id, send)
        except (Conflict, NotFound) as error:
            log.info("hold %s of call %s has ended: %s", owed.hold_id, owed.call_id, error)
        except IdempotencyKeyReused:
            return
        else:
            return
    try:
        yield from _charge(owed, send)
    except (Conflict, IdempotencyKeyReused):
        log.info("call %s was charged before", owed.call_id)


def _charge(owed: Owed, send: Send) -> Steps[None]:
    key = owed.call_id
    try:
        yield from send(
            operations.create_charge(owed.organization, idempotency_key=key, **owed.request())
        )
    except PaymentRequired:
        # A capture charges what it exceeds its hold by, as debt; so the smallest hold will do.
        held = yield from send(
            operations.create_hold(
                owed.organization, idempotency_key=f"{key}:owed", amount_usd=SMALLEST_USD
            )
        )
        yield from _capture(owed, str(held.id), send)


def _capture(owed: Owed, hold_id: str, send: Send) -> Steps[None]:
    body = {**owed.request(), "overrun": "charge"}
    key = owed.call_id
    answer = yield from send(
        operations.capture_hold(owed.organization, hold_id, idempotency_key=key, **body)
    )
    if isinstance(answer, Unpriced):
        # A hold that ended by itself meanwhile is free, too.
        try:
            yield from send(
                operations.release_hold(
                    owed.organization, hold_id, idempotency_key=f"{key}:release"
                )
            )
        except Conflict:
            log.info("hold %s of call %s has ended", hold_id, key)
