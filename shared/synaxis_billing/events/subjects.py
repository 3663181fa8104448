"""The organizations that the subjects of usage events name."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller


class Subjects(NamedTuple):
    """The database's clock, and the organization of each subject that has one."""

    now: datetime
    organizations: dict[str, UUID]


def find(db: psycopg.Connection, caller: Caller, subjects: Collection[str]) -> Subjects:
    """Find organizations, each by its id, or else by its external id, which may be a UUID too."""
    ids = {subject: id_ for subject in subjects if (id_ := _uuid(subject)) is not None}
    found: dict[str, Any] = procedures.call(
        db,
        "event_subjects",
        tenant=caller.tenant,
        subjects=list(subjects),
        ids=list(ids.values()),
    )
    organizations = {name: UUID(id_) for name, id_ in found["external_ids"].items()}
    known = {UUID(id_) for id_ in found["ids"]}
    organizations |= {name: id_ for name, id_ in ids.items() if id_ in known}
    return Subjects(datetime.fromisoformat(found["now"]), organizations)


def used_keys(
    db: psycopg.Connection, caller: Caller, keys: Iterable[tuple[UUID, str]]
) -> set[tuple[UUID, str]]:
    """Return the keys, each of an organization, that have had their effect."""
    of_each: dict[UUID, list[str]] = {}
    for organization_id, key in keys:
        of_each.setdefault(organization_id, []).append(key)
    return {
        (organization_id, key)
        for organization_id, wanted in of_each.items()
        for key in procedures.call(
            db,
            "used_event_keys",
            tenant=caller.tenant,
            organization_id=organization_id,
            keys=wanted,
        )
    }


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
