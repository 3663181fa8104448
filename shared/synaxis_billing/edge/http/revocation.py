"""Revocation: a token is good until it expires, so whether its client still is gets looked up, and
remembered for less than a minute."""

import time

from synaxis_billing.caller import Caller
from synaxis_billing.edge import database
from synaxis_billing.errors import Unauthenticated

REMEMBERED_SECONDS = 30
MOST_REMEMBERED = 10_000
_active_at: dict[str, float] = {}


def require_active(caller: Caller) -> None:
    """Refuse a client that was revoked. Raises Unauthenticated."""
    # Not at the top: most functions meet no client of an organization.
    from uuid import UUID

    from synaxis_billing.clients import clients

    now = time.time()
    known = f"{caller.tenant} {caller.client}"
    if 0 <= now - _active_at.get(known, 0) < REMEMBERED_SECONDS:
        return
    _active_at.pop(known, None)
    try:
        found = clients.is_active(database.connection(), UUID(caller.tenant), UUID(caller.client))
    except ValueError:
        found = False
    if not found:
        raise Unauthenticated("The client was revoked.")
    if len(_active_at) >= MOST_REMEMBERED:
        _active_at.clear()
    _active_at[known] = now
