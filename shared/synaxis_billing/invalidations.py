"""What caches must forget: written by the change that makes it stale, told to Redis after it.

A change leaves a row in its own transaction. After the commit its handler drains the rows: Redis is
told, then the row goes. What a killed handler leaves, the next one drains. So each is told at least
once, and being told twice, late or out of order does no harm.
"""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import psycopg
from pydantic import Field

from synaxis_billing import sql
from synaxis_billing.cache import Cache
from synaxis_billing.cache.keys import parse_key, parse_pattern
from synaxis_billing.cache.l2 import Invalidation
from synaxis_billing.errors import invalid_field
from synaxis_billing.fields import Answer, Request
from synaxis_billing.ledger import Caller

MOST_AT_ONCE = 1000


class Forget(Request):
    """What to forget of an organization: keys, a pattern, tags, or without any of them all of it.
    `global` tells every region."""

    organization_id: UUID | None = None
    keys: tuple[str, ...] = Field((), max_length=1000)
    pattern: str | None = None
    tags: tuple[str, ...] = Field((), max_length=100)
    everywhere: bool = Field(False, alias="global", strict=True)


class Forgotten(Answer):
    """`scope` is "region", or "global": every region has been told or will be."""

    organization_id: UUID
    scope: str


def drain(db: psycopg.Connection, cache: Cache) -> int:
    """Tell Redis what is pending; how many rows there were.

    Raises Unreachable: then the rows stay, for the next to drain.
    """
    rows = sql.call(db, "pending_invalidations", "*", MOST_AT_ONCE)
    if rows:
        cache.invalidate(coalesced(rows))
        sql.call(db, "delivered_invalidations", "*", [UUID(row["id"]) for row in rows])
    return len(rows)


def coalesced(rows: Iterable[dict[str, Any]]) -> list[Invalidation]:
    """One invalidation per tenant, which names each thing once with its newest version."""
    tenants: dict[str, Invalidation] = {}
    for row in rows:
        version = row["version"]
        one = Invalidation.of(
            UUID(row["tenant"]),
            keys=dict.fromkeys(row["keys"], version),
            families=dict.fromkeys(row["families"], version),
            tags=dict.fromkeys(row["tags"], version),
            everything=version if row["everything"] else None,
        )
        known = tenants.setdefault(row["tenant"], Invalidation({}, {}))
        for merged, new in zip(known, one, strict=True):
            for name in new:
                merged[name] = max(version, merged.get(name, 0))
    return list(tenants.values())


def forget(db: psycopg.Connection, cache: Cache, caller: Caller, request: Forget) -> Forgotten:
    """What an operator asks to be forgotten. Raises InvalidRequest, NotFound; Unreachable when it
    was for this region alone and its Redis cannot be told."""
    tenant, keys, families = _asked(caller, request)
    everything = not keys and not families and not request.tags
    if request.everywhere:
        outcome = sql.call(
            db,
            "request_invalidation",
            caller.tenant,
            *(tenant, keys, list(request.tags), families, everything),
        )
        sql.accepted(outcome)
        return Forgotten(organization_id=tenant, scope="global")
    what = Invalidation.of(
        tenant,
        keys=dict.fromkeys(keys, 0),
        tags=dict.fromkeys(request.tags, 0),
        families=dict.fromkeys(families, 0),
        everything=0 if everything else None,
    )
    cache.invalidate([what])
    return Forgotten(organization_id=tenant, scope="region")


def _asked(caller: Caller, request: Forget) -> tuple[UUID, list[str], list[str]]:
    """The one tenant that a request is about, the names of its keys and its families."""
    tenants: set[UUID] = set()
    if request.organization_id is not None:
        tenants.add(request.organization_id)
    if caller.tenant != "*":
        tenants.add(UUID(caller.tenant))
    keys: list[str] = []
    families: list[str] = []
    for number, text in enumerate(request.keys):
        tenant, name = _parsed(parse_key, text, f"/keys/{number}")
        tenants.add(tenant)
        keys.append(name)
    if request.pattern is not None:
        tenant, family = _parsed(parse_pattern, request.pattern, "/pattern")
        tenants.add(tenant)
        # A pattern of all leaves nothing to name.
        keys, families = ([], []) if family is None else (keys, [family])
    if len(tenants) != 1:
        rule = "must name one organization, the same everywhere"
        raise invalid_field("body", "/organization_id", rule)
    return tenants.pop(), keys, families


def _parsed[T](parse: Callable[[str], T], text: str, pointer: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise invalid_field("body", pointer, str(error)) from error
