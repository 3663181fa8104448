"""What is owed for a call that was made: charged once, whatever credit there is, now or later."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from synaxis_billing_client import operations
from synaxis_billing_client.calls import Call, Steps
from synaxis_billing_client.errors import (
    Conflict,
    IdempotencyKeyReused,
    NotFound,
    PaymentRequired,
)
from synaxis_billing_client.models import Unpriced

log = logging.getLogger("synaxis_billing_client")

SMALLEST_USD = Decimal("0.00000001")
# What a capture takes over from its hold, and so need not be sent again.
_OF_THE_HOLD = {"request_id", "team_id", "virtual_key_id", "end_user", "region", "description"}

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

    def item(self) -> dict[str, Any]:
        """The item of a batch."""
        return {
            "organization_id": self.organization,
            "idempotency_key": self.call_id,
            "request_id": self.call_id,
            **self.charge,
        }


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
    charge = {**owed.charge, "request_id": owed.call_id}
    try:
        yield from send(
            operations.create_charge(owed.organization, idempotency_key=owed.call_id, **charge)
        )
    except PaymentRequired:
        # A capture charges what it exceeds its hold by, as debt; so the smallest hold will do.
        held = yield from send(
            operations.create_hold(
                owed.organization, idempotency_key=f"{owed.call_id}:owed", amount_usd=SMALLEST_USD
            )
        )
        yield from _capture(owed, str(held.id), send, whole=True)


def _capture(owed: Owed, hold_id: str, send: Send, whole: bool = False) -> Steps[None]:
    body = {name: value for name, value in owed.charge.items() if whole or name not in _OF_THE_HOLD}
    if whole:
        body["request_id"] = owed.call_id
    answer = yield from send(
        operations.capture_hold(
            owed.organization, hold_id, idempotency_key=owed.call_id, overrun="charge", **body
        )
    )
    if isinstance(answer, Unpriced):
        yield from send(
            operations.release_hold(
                owed.organization, hold_id, idempotency_key=f"{owed.call_id}:release"
            )
        )
