"""Lists in pages, newest first, by a cursor that says where a page ended."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
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
# The resolution of PostgreSQL's instants.
ONE_MICROSECOND = timedelta(microseconds=1)
# Begins the position of a cursor that leads to newer items.
SINCE = ">"


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
    previous_cursor: str | None
    next_cursor: str | None


class Bounds[At](NamedTuple):
    """Where the search for a page begins: before an item, towards older ones; at an item, towards
    newer ones; or at the newest."""

    before: At | None = None
    since: At | None = None


type Fetch[At, Found] = Callable[[Bounds[At], int], Found]


# In quotes, because pydantic would look for the schema of the bound of Item.
def paginate[Item: Dated](
    listed: str,
    organization_id: UUID,
    limit: int,
    cursor: str | None,
    end: datetime | None,
    fetch: Fetch[datetime, tuple[list[Item], datetime | None]],
) -> "Page[Item]":
    """Return the page of at most `limit` items before `end` from the cursor on.

    `fetch(bounds, limit)` lists the nearest to the bounds, newest first, with the instant that its
    search reached before the end of the list, or None. No two items of one list have the same
    instant. Raises InvalidRequest for a cursor of another list or organization.
    """
    bounds = bounds_of(cursor, listed, organization_id)
    ends = [instant for instant in (end, bounds.before) if instant is not None]
    items, searched = fetch(bounds._replace(before=min(ends, default=None)), limit + 1)
    items, is_cut = _cut(items, limit, bounds)
    if is_cut:
        searched = items[0 if bounds.since else -1].created_at
    previous, following = cursors(listed, organization_id, bounds, searched)
    return Page(items=items, previous_cursor=previous, next_cursor=following)


def _cut[Item: Written, At](
    items: list[Item], limit: int, bounds: Bounds[At]
) -> tuple[list[Item], bool]:
    """Return the items, newest first, that fit a page beside its bounds, and whether others do
    not."""
    most = min(limit, fitting(items[::-1] if bounds.since else items))
    return items[-most:] if bounds.since else items[:most], len(items) > most


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


def cursors(
    listed: str, organization_id: UUID, bounds: Bounds[datetime], reached: datetime | None
) -> tuple[str | None, str | None]:
    """Return the cursors of the pages before and after one that reached an instant, or all."""
    newer, older = bounds.before, reached
    if bounds.since is not None:
        newer, older = reached and reached + ONE_MICROSECOND, bounds.since
    owned = f"{listed} {organization_id} "
    return _encoded(f"{owned}{SINCE}", newer), _encoded(owned, older)


def paginate_by_id[Item: Identified](
    listed: str,
    limit: int,
    cursor: str | None,
    fetch: Fetch[UUID, list[Item]],
) -> "Page[Item]":
    """Return the page of at most `limit` items of a list of the platform.

    `fetch(bounds, limit)` lists the nearest to the bounds by time-ordered id, newest first. Raises
    InvalidRequest for a cursor of another list.
    """
    bounds: Bounds[UUID] = Bounds()
    if cursor is not None:
        bounds = _bounds_at(cursor, [listed], UUID)
    items, is_cut = _cut(fetch(bounds, limit + 1), limit, bounds)
    newer, older = bounds.before, items[-1].id if is_cut else None
    if bounds.since is not None:
        newer, older = UUID(int=items[0].id.int + 1) if is_cut else None, bounds.since
    return Page(
        items=items,
        previous_cursor=_encoded(f"{listed} {SINCE}", newer),
        next_cursor=_encoded(f"{listed} ", older),
    )


def paginate_by_place[Item](
    listed: str,
    owner: UUID,
    limit: int,
    cursor: str | None,
    fetch: Callable[[int, int], list[Item]],
) -> Page[Item]:
    """Return the page of at most `limit` items of a list that has a fixed order.

    `fetch(after, limit)` lists those after so many. Raises InvalidRequest for a cursor of another
    list or owner.
    """
    after = 0 if cursor is None else _position_in(cursor, [listed, str(owner)], _place)
    items = fetch(after, limit + 1)
    is_cut = len(items) > limit
    return Page(
        items=items[:limit],
        previous_cursor=_encoded(f"{listed} {owner} ", max(after - limit, 0) if after else None),
        next_cursor=_encoded(f"{listed} {owner} ", after + limit if is_cut else None),
    )


def cursor_at(listed: str, organization_id: UUID, instant: datetime) -> str:
    """The cursor of what comes before the instant."""
    return _encoded(f"{listed} {organization_id} ", instant) or ""


def reached_by(cursor: str, listed: str, organization_id: UUID) -> datetime:
    """The instant of a cursor of older items. Raises InvalidRequest for that of another list or
    organization."""
    return _position_in(cursor, [listed, str(organization_id)], _instant)


def bounds_of(cursor: str | None, listed: str, organization_id: UUID) -> Bounds[datetime]:
    """Return where the cursor's page begins. Raises InvalidRequest for that of another list or
    organization."""
    if cursor is None:
        return Bounds()
    return _bounds_at(cursor, [listed, str(organization_id)], _instant)


def _bounds_at[At](cursor: str, names: list[str], read: Callable[[str], At]) -> Bounds[At]:
    def bounds(position: str) -> Bounds[At]:
        if position.startswith(SINCE):
            return Bounds(since=read(position.removeprefix(SINCE)))
        return Bounds(before=read(position))

    return _position_in(cursor, names, bounds)


def _position_in[At](cursor: str, names: list[str], read: Callable[[str], At]) -> At:
    """Return the position of a cursor that begins with the names of its list."""
    try:
        *found, position = _decoded(cursor).split(" ")
        if found != names:
            raise ValueError("another list's cursor")
        return read(position)
    except (ValueError, OverflowError, binascii.Error) as error:
        raise _not_of_this_list() from error


def _instant(position: str) -> datetime:
    instant = datetime.fromisoformat(position)
    if instant.tzinfo is None:
        raise ValueError("an instant without an offset")
    return instant


def _place(position: str) -> int:
    if not 0 <= int(position) < LARGEST_PLACE:
        raise ValueError("no place of a list")
    return int(position)


def _encoded(begins: str, position: datetime | UUID | int | None) -> str | None:
    if position is None:
        return None
    shown = position.isoformat() if isinstance(position, datetime) else position
    return base64.urlsafe_b64encode(f"{begins}{shown}".encode()).decode().rstrip("=")


def _decoded(cursor: str) -> str:
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True).decode()


def _not_of_this_list() -> InvalidRequest:
    return invalid_field("query", "/cursor", "must be a cursor of this list")
