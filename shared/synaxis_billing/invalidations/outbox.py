"""Outbox of cache invalidations: a change writes a row in its own transaction.

After the commit, the change's handler drains the rows: it sends them to this region's Redis, then
to the other regions, then deletes them. The next handler or a schedule drains the rows that a
killed handler left. So each invalidation is sent at least once; one that arrives twice, late or out
of order does no harm.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID, uuid4

import psycopg
from pydantic import Field, StringConstraints

from synaxis_billing import procedures
from synaxis_billing.cache import Cache, Unreachable
from synaxis_billing.cache.keys import parse_key, parse_pattern
from synaxis_billing.cache.l2 import Invalidation
from synaxis_billing.caller import Caller
from synaxis_billing.errors import TemporarilyUnavailable, invalid_field
from synaxis_billing.fields import Answer, Request, Time

MOST_AT_ONCE = 1000
# A message stays below the 256 KB that SNS and SQS take.
MOST_NAMES = 500


class Message(Answer):
    """Message between regions: names and row versions, never values. `keys`, `tags` and
    `families` map names to versions; a version, if not 0, is the oldest that may be cached."""

    id: UUID
    origin: str
    tenant: UUID
    keys: dict[str, int] = Field(default_factory=dict)
    tags: dict[str, int] = Field(default_factory=dict)
    families: dict[str, int] = Field(default_factory=dict)
    everything: int | None = None
    committed_at: Time

    @property
    def invalidation(self) -> Invalidation:
        return Invalidation.of(
            self.tenant,
            keys=self.keys,
            families=self.families,
            tags=self.tags,
            everything=self.everything,
        )

    @property
    def short(self) -> Self:
        """Return this message, or, if it names too much, one that names all of the tenant."""
        if len(self.keys) + len(self.tags) + len(self.families) <= MOST_NAMES:
            return self
        everything = self.everything or 0
        short = {"keys": {}, "tags": {}, "families": {}, "everything": everything}
        return self.model_copy(update=short)


Publish = Callable[[Sequence[Message]], None]

type InvalidationScope = Literal["region", "global"]


# Shorter than the longest key that the product makes.
CacheName = Annotated[str, StringConstraints(max_length=512, pattern=r"^[\x20-\x7e]*$")]


class CacheInvalidationRequest(Request):
    """Cached values of an organization to invalidate: keys, a pattern, tags, or all of them when
    none is named. `global` includes every region."""

    organization_id: UUID | None = None
    """Id of the organization; the one that the keys or the pattern name if it is left out."""
    keys: tuple[CacheName, ...] = Field((), max_length=1000)
    """Keys such as tenant:{uuid}:organization."""
    pattern: CacheName | None = None
    """Pattern such as tenant:{uuid}:spending:*."""
    tags: tuple[CacheName, ...] = Field((), max_length=100)
    """Tags of values."""
    everywhere: bool = Field(False, alias="global", strict=True)
    """Whether the values are invalidated in every region."""


class CacheInvalidation(Answer):
    """`scope` is "region", or "global": every region has been told or will be."""

    organization_id: UUID
    scope: InvalidationScope
    """`region`, or `global`: every region has been told or will be."""


def drain(db: psycopg.Connection, cache: Cache, region: str, publish: Publish) -> int:
    """Send the pending invalidations to this region's Redis and to the other regions; return the
    number of rows.

    Raises Unreachable, and whatever `publish` raises: then the rows stay for the next drain.
    """
    rows = procedures.call(db, "pending_invalidations", tenant="*", limit=MOST_AT_ONCE)
    if rows:
        messages = coalesced(rows, region)
        try:
            cache.invalidate([message.invalidation for message in messages])
        finally:
            # Other regions do not wait for this region's Redis.
            publish(messages)
        ids = [UUID(row["id"]) for row in rows]
        procedures.call(db, "delivered_invalidations", tenant="*", ids=ids)
    return len(rows)


def coalesced(rows: Iterable[dict[str, Any]], region: str) -> list[Message]:
    """Return one message per tenant, which names each thing once with its newest version."""
    tenants: dict[str, dict[str, Any]] = {}
    for row in rows:
        # The rows come oldest first: the delay counts from the first commit.
        known = tenants.setdefault(
            row["tenant"],
            {"keys": {}, "tags": {}, "families": {}, "committed_at": row["created_at"]},
        )
        for kind in ("keys", "tags", "families"):
            for name in row[kind]:
                known[kind][name] = max(row["version"], known[kind].get(name, 0))
        if row["everything"]:
            known["everything"] = max(row["version"], known.get("everything", 0))
    messages = [
        Message(id=uuid4(), origin=region, tenant=UUID(tenant), **known)
        for tenant, known in tenants.items()
    ]
    return [message.short for message in messages]


def consume(cache: Cache, region: str, messages: Iterable[Message]) -> list[float]:
    """Apply the changes of other regions to this cache, each message once; return the seconds from
    each commit until now. Raises Unreachable: then all messages must be applied again."""
    foreign = {message.id: message for message in messages if message.origin != region}
    cache.invalidate([message.invalidation for message in foreign.values()])
    now = datetime.now(UTC)
    return [(now - message.committed_at).total_seconds() for message in foreign.values()]


def forget(
    db: psycopg.Connection, cache: Cache, caller: Caller, request: CacheInvalidationRequest
) -> CacheInvalidation:
    """Invalidate cached values at an operator's request.

    Raises InvalidRequest, OrganizationNotFound; TemporarilyUnavailable when the request is for this
    region alone and its Redis cannot be reached.
    """
    tenant, keys, families = _asked(caller, request)
    everything = not keys and not families and not request.tags
    if request.everywhere:
        outcome = procedures.call(
            db,
            "request_invalidation",
            tenant=caller.tenant,
            organization_id=tenant,
            keys=keys,
            tags=list(request.tags),
            families=families,
            everything=everything,
        )
        procedures.accepted(outcome)
        return CacheInvalidation(organization_id=tenant, scope="global")
    what = Invalidation.of(
        tenant,
        keys=dict.fromkeys(keys, 0),
        tags=dict.fromkeys(request.tags, 0),
        families=dict.fromkeys(families, 0),
        everything=0 if everything else None,
    )
    try:
        cache.invalidate([what])
    except Unreachable as error:
        raise TemporarilyUnavailable("Redis cannot be reached now.") from error
    return CacheInvalidation(organization_id=tenant, scope="region")


def _asked(caller: Caller, request: CacheInvalidationRequest) -> tuple[UUID, list[str], list[str]]:
    """Return the one tenant that a request is about, and the names of its keys and families."""
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
