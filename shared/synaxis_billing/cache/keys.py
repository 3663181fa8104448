"""Families of values of one type, and the keys of values, each of one tenant."""

import hashlib
import re
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeAliasType, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

from synaxis_billing.cache.decoding import decoder_of

# The tenant of values without an organization, such as exchange rates.
PLATFORM = UUID(int=0)
# No wildcard, brace, separator or control character.
_PART = re.compile(r"[A-Za-z0-9_.=+-]{1,200}")
_ATOMS = (str, int, bool, Decimal, UUID, datetime, date, NoneType)


class Key[T: BaseModel](NamedTuple):
    """`text` is the public name, tenant:{uuid}:family:part..., and `wire` the name in Redis, as are
    the `fences` that the value is good under: the tenant's, the family's and the tags'."""

    text: str
    wire: str
    family: "Family[T]"
    tenant: UUID
    fences: tuple[str, ...]

    def __hash__(self) -> int:
        # A text remembers its hash: with a hundred keys the other fields' would be felt.
        return hash(self.wire)


class Family[T: BaseModel]:
    """Values of one type that live equally long.

    `absent_seconds` is how long it is remembered that there is no such value. When the source fails
    by one of `failures`, or another container is already loading, a value may be served for
    `stale_seconds` after its `ttl_seconds`; one that was removed, never.

    Raises TypeError for a model that whoever gets it could change.
    """

    def __init__(
        self,
        name: str,
        model: type[T],
        *,
        ttl_seconds: int = 900,
        absent_seconds: int = 0,
        stale_seconds: int = 0,
        failures: tuple[type[Exception], ...] = (),
    ) -> None:
        self.name = _part(name)
        self.model = model
        self.ttl_seconds = ttl_seconds
        self.absent_seconds = absent_seconds
        self.stale_seconds = stale_seconds
        self.failures = failures
        self.decode = decoder_of(model)
        self.schema = hashlib.sha256(_signature(model).encode()).digest()[:8]

    def key(self, tenant: UUID, *parts: str, tags: tuple[str, ...] = ()) -> Key[T]:
        """Return the key of one value; an invalidation of one of the tags invalidates the value.

        Raises ValueError for a part that is empty, or has characters other than letters, digits and
        _.=+-
        """
        if not isinstance(tenant, UUID):
            raise TypeError("a key needs the UUID of its tenant")
        name = ":".join([self.name, *map(_part, parts)])
        fences = (
            tenant_fence(tenant),
            family_fence(tenant, self.name),
            *(tag_fence(tenant, _part(tag)) for tag in tags),
        )
        return Key(f"tenant:{tenant}:{name}", value_name(tenant, name), self, tenant, fences)


def value_name(tenant: UUID, name: str) -> str:
    """Return the name in Redis of the value of family:part... of a tenant."""
    return f"{_slot(tenant)}v:{name}"


def tenant_fence(tenant: UUID) -> str:
    return f"{_slot(tenant)}g"


def family_fence(tenant: UUID, family: str) -> str:
    return f"{_slot(tenant)}f:{family}"


def tag_fence(tenant: UUID, tag: str) -> str:
    return f"{_slot(tenant)}t:{tag}"


def _slot(tenant: UUID) -> str:
    # The braces put all of a tenant in one slot of a cluster (Redis cluster specification).
    return f"tenant:{{{tenant}}}:"


def parse_key(text: str) -> tuple[UUID, str]:
    """Return the tenant and the name of a public key. Raises ValueError."""
    place, _, rest = text.partition(":")
    tenant, _, name = rest.partition(":")
    if place != "tenant" or not name:
        raise ValueError("must be tenant:{uuid}:{family}:...")
    for part in name.split(":"):
        _part(part)
    return UUID(tenant), name


def parse_pattern(text: str) -> tuple[UUID, str | None]:
    """Return the tenant and the family that a pattern such as tenant:{uuid}:spending:* means; None
    for all families. Raises ValueError for a pattern that does not name its tenant."""
    place, _, rest = text.partition(":")
    tenant, _, name = rest.partition(":")
    if place != "tenant" or not name.endswith("*"):
        raise ValueError("must be tenant:{uuid}:* or tenant:{uuid}:{family}:...*")
    family, separator, _ = name.partition(":")
    return UUID(tenant), _part(family) if separator and "*" not in family else None


def _part(text: str) -> str:
    if not _PART.fullmatch(text):
        raise ValueError(f"a key's part has letters, digits and _.=+- only, and not {text!r}")
    return text


def _signature(kind: Any) -> str:
    """Return a text that changes whenever the shape of the type does."""
    if isinstance(kind, TypeAliasType):
        kind = kind.__value__
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not kind.model_config.get("frozen") or kind.model_config.get("extra") == "allow":
            raise TypeError(f"{kind.__name__} is not frozen, or has fields of any name")
        fields = (
            f"{name}={_signature(field.annotation)}" for name, field in kind.model_fields.items()
        )
        return f"{kind.__name__}({','.join(fields)})"
    if kind in _ATOMS or (isinstance(kind, type) and issubclass(kind, Enum)):
        return str(kind.__name__)
    origin = get_origin(kind)
    if origin is Annotated:
        return _signature(get_args(kind)[0])
    if origin is Literal:
        return repr(get_args(kind))
    if origin in (tuple, frozenset, Union, UnionType):
        inner = [_signature(of) for of in get_args(kind) if of is not Ellipsis]
        return f"{origin.__name__}[{','.join(inner)}]"
    raise TypeError(f"{kind} is mutable, or not of a known kind")
