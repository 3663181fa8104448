"""Lists in pages, newest first, by a cursor that says where a page ended."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from synaxis_billing.errors import InvalidRequest, invalid_field
from synaxis_billing.fields import Answer

DEFAULT_LIMIT = 50
LARGEST_LIMIT = 100
# A page of items that are larger has fewer: an answer of Lambda has 6 MB, with every quote escaped.
LARGEST_PAGE_BYTES = 2_500_000
# Searched for one page of a filtered list, within the time that a statement has.
SEARCHED_ROWS = 20_000
# Stands for the organization in the cursor of a list that belongs to none.
NO_ORGANIZATION = UUID(int=0)
# An int of PostgreSQL.
LARGEST_PLACE = 2**31 - 1


class Written(Protocol):
    """An item of an answer."""

    def model_dump_json(self) -> str: ...


class Dated(Written, Protocol):
    """An item of a list."""

    @property
    def created_at(self) -> datetime: ...


class Identified(Written, Protocol):
    @property
    def id(self) -> UUID: ...


class Page[Item](Answer):
    """A page of a list, newest first."""

    items: list[Item]
    """The items of this page."""
    next_cursor: str | None


def paginate[Item: Dated](
    listed: str,
    organization_id: UUID,
    limit: int,
    cursor: str | None,
    end: datetime | None,
    fetch: Callable[[datetime | None, int], tuple[list[Item], datetime | None]],
) -> tuple[list[Item], str | None]:
    """Return at most `limit` items before `end` and `cursor`, and the cursor of those that follow.

    `fetch(end, limit)` lists newest first, with the instant that its search reached before the end
    of the list, or None. No two items of one list have the same instant. Raises InvalidRequest for
    a cursor of another list or organization.
    """
    reached = reached_by(cursor, listed, organization_id) if cursor is not None else None
    ends = [instant for instant in (end, reached) if instant is not None]
    items, searched = fetch(min(ends, default=None), limit + 1)
    most = min(limit, fitting(items))
    if len(items) > most:
        items, searched = items[:most], items[most - 1].created_at
    return items, next_cursor(listed, organization_id, searched)


def fitting(items: Sequence[Written], most_bytes: int = LARGEST_PAGE_BYTES) -> int:
    """Return how many items fit a page, at least one."""
    size = 0
    for count, item in enumerate(items):
        size += len(item.model_dump_json().encode())
        if size > most_bytes:
            return max(count, 1)
    return len(items)


def reached(value: dict[str, Any]) -> datetime | None:
    """Return the instant that a database's search of a list reached; None at the list's end."""
    return value["reached"] and datetime.fromisoformat(value["reached"])


def next_cursor(listed: str, organization_id: UUID, reached: datetime | None) -> str | None:
    """Return the cursor of what comes before the instant that a page reached, None at the end."""
    return None if reached is None else cursor_at(listed, organization_id, reached)


def paginate_by_id[Item: Identified](
    listed: str,
    limit: int,
    cursor: str | None,
    fetch: Callable[[UUID | None, int], list[Item]],
) -> tuple[list[Item], str | None]:
    """Return at most `limit` items of a list of the platform, and the cursor of those that follow.

    `fetch(before, limit)` lists by time-ordered id, newest first. Raises InvalidRequest for a
    cursor of another list.
    """
    items = fetch(_id_reached_by(cursor, listed) if cursor is not None else None, limit + 1)
    most = min(limit, fitting(items))
    if len(items) <= most:
        return items, None
    return items[:most], _encoded(f"{listed} {items[most - 1].id}")


def paginate_by_place[Item](
    listed: str,
    owner: UUID,
    limit: int,
    cursor: str | None,
    fetch: Callable[[int, int], list[Item]],
) -> tuple[list[Item], str | None]:
    """Return at most `limit` items of a list that has a fixed order, and the cursor of those that
    follow.

    `fetch(after, limit)` lists those after so many. Raises InvalidRequest for a cursor of another
    list or owner.
    """
    after = 0 if cursor is None else _place_reached_by(cursor, listed, owner)
    items = fetch(after, limit + 1)
    if len(items) <= limit:
        return items, None
    return items[:limit], _encoded(f"{listed} {owner} {after + limit}")


def cursor_at(listed: str, organization_id: UUID, instant: datetime) -> str:
    """The cursor of what comes before the instant."""
    return _encoded(f"{listed} {organization_id} {instant.isoformat()}")


def reached_by(cursor: str, listed: str, organization_id: UUID) -> datetime:
    """The cursor's instant. Raises InvalidRequest for that of another list or organization."""
    try:
        of_list, of_organization, instant = _decoded(cursor).split(" ")
        reached = datetime.fromisoformat(instant)
        if (of_list, of_organization) != (listed, str(organization_id)) or reached.tzinfo is None:
            raise ValueError("another list's cursor")
    except (ValueError, binascii.Error) as error:
        raise _not_of_this_list() from error
    return reached


def _id_reached_by(cursor: str, listed: str) -> UUID:
    try:
        of_list, reached = _decoded(cursor).split(" ")
        if of_list != listed:
            raise ValueError("another list's cursor")
        return UUID(reached)
    except (ValueError, binascii.Error) as error:
        raise _not_of_this_list() from error


def _place_reached_by(cursor: str, listed: str, owner: UUID) -> int:
    try:
        of_list, of_owner, place = _decoded(cursor).split(" ")
        if (of_list, of_owner) != (listed, str(owner)) or not 0 <= int(place) < LARGEST_PLACE:
            raise ValueError("another list's cursor")
        return int(place)
    except (ValueError, binascii.Error) as error:
        raise _not_of_this_list() from error


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True).decode()


def _not_of_this_list() -> InvalidRequest:
    return invalid_field("query", "/cursor", "must be the next_cursor of this list")
