"""Outbox of cache invalidations: a change writes a row in its own transaction.

After the commit, the change's handler drains the rows: it sends them to this region's Redis, then
to the other regions, then deletes those that arrived. The next handler or a schedule drains the
rows that a killed handler left. So each invalidation is sent at least once; one that arrives twice,
late or out of order does no harm. Each row has an outcome of its own: one that fails is tried again
after growing delays, and delays no other; one that the bus refuses again and again is set aside.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple, Self
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
# A message stays below the 256 KB that SNS and SQS take, and what Redis does in one step is short.
MOST_NAMES = 500
MOST_BYTES = 200_000


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
        names = len(self.keys) + len(self.tags) + len(self.families)
        if names <= MOST_NAMES and len(self.model_dump_json().encode()) <= MOST_BYTES:
            return self
        everything = self.everything or 0
        short = {"keys": {}, "tags": {}, "families": {}, "everything": everything}
        return self.model_copy(update=short)


class Undelivered(Exception):
    """The bus did not take the messages of some tenants: `failures` has the reason of each, and
    `refused` those that the bus refuses for what they are."""

    def __init__(self, failures: Mapping[UUID, str], refused: Collection[UUID] = ()) -> None:
        self.failures = failures
        self.refused = refused
        super().__init__(next(iter(failures.values())))


class Drained(NamedTuple):
    """A page of rows: how many there were, the reason for each tenant whose rows could not be
    delivered, and the rows that are set aside from now on."""

    rows: int
    delayed: Mapping[UUID, str] = {}
    set_aside: Sequence[Mapping[str, str]] = ()


# Sends one message per tenant. Raises Undelivered for those that the bus did not take.
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


def drain(db: psycopg.Connection, cache: Cache, region: str, publish: Publish) -> Drained:
    """Send a page of the invalidations that are due to this region's Redis and to the other
    regions. Those of a tenant whose message one of them does not take stay, for a later drain."""
    rows = procedures.call(db, "pending_invalidations", tenant="*", limit=MOST_AT_ONCE)
    if not rows:
        return Drained(0)
    messages = coalesced(rows, region)
    delayed: dict[UUID, str] = {}
    refused: Collection[UUID] = ()
    try:
        cache.invalidate([message.invalidation for message in messages])
    except Unreachable as error:
        delayed |= {message.tenant: str(error) for message in messages}
    # Other regions do not wait for this region's Redis.
    try:
        publish(messages)
    except Undelivered as error:
        delayed |= error.failures
        refused = error.refused
    done = [UUID(row["id"]) for row in rows if UUID(row["tenant"]) not in delayed]
    if done:
        procedures.call(db, "delivered_invalidations", tenant="*", ids=done)
    failed = [row for row in rows if UUID(row["tenant"]) in delayed]
    if not failed:
        return Drained(len(rows))
    set_aside = procedures.call(
        db,
        "failed_invalidations",
        tenant="*",
        ids=[UUID(row["id"]) for row in failed],
        errors=[delayed[UUID(row["tenant"])] for row in failed],
        refused=[UUID(row["tenant"]) in refused for row in failed],
    )
    return Drained(len(rows), delayed, set_aside)


def waiting(db: psycopg.Connection) -> dict[str, float]:
    """Return how many rows wait (`waiting`), for how many seconds the oldest (`oldest_seconds`),
    and how many are set aside (`set_aside`)."""
    found: dict[str, float] = procedures.call(db, "waiting_invalidations", tenant="*")
    return found


def coalesced(rows: Iterable[dict[str, Any]], region: str) -> list[Message]:
    """Return one message per tenant, which names each thing once with its newest version."""
    tenants: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = tenants.setdefault(
            row["tenant"],
            {"keys": {}, "tags": {}, "families": {}, "committed_at": row["created_at"]},
        )
        # The delay counts from the first commit.
        known["committed_at"] = min(known["committed_at"], row["created_at"])
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
