"""Labels: names of teams and keys, shown beside their ids."""

from typing import Literal
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import NotFound
from synaxis_billing.fields import Answer, ClientId, Name, Request
from synaxis_billing.paging import Page, paginate_by_place

type LabelKind = Literal["team", "virtual_key"]


class NewLabel(Request):
    """The name of a team or a key, in place of an earlier one."""

    kind: LabelKind
    """What is named."""
    id: ClientId
    """Your id of the team or the virtual key."""
    name: Name
    """Name to show."""


class Label(Answer):
    """The name of a team or a key."""

    kind: LabelKind
    """What is named."""
    id: str
    """Id of the team or the virtual key."""
    name: str
    """Name to show."""


class LabelNotFound(NotFound):
    """The team or key has no name in this organization."""

    code = "label_not_found"


def put_label(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, request: NewLabel
) -> Label:
    """Name a team or a key, or rename it. Raises OrganizationNotFound."""
    return _label(db, "put_label", caller, organization_id, **request.model_dump())


def delete_label(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, kind: LabelKind, subject_id: str
) -> Label:
    """Delete a name, and return it. Raises OrganizationNotFound, LabelNotFound."""
    return _label(db, "delete_label", caller, organization_id, kind=kind, id=subject_id)


def list_labels(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    kind: LabelKind | None,
    limit: int,
    cursor: str | None,
) -> Page[Label]:
    """List the names of an organization's teams and keys, by kind and id.

    Raises OrganizationNotFound, InvalidRequest (cursor).
    """

    def fetch(after: int, most: int) -> list[Label]:
        outcome = procedures.call(
            db,
            "labels_page",
            tenant=caller.tenant,
            organization_id=organization_id,
            kind=kind,
            after=after,
            limit=most,
        )
        value, _ = procedures.accepted(outcome)
        return [Label.model_validate(row) for row in value]

    listed = f"labels-{kind}"
    return paginate_by_place(listed, organization_id, limit, cursor, fetch)


def _label(
    db: psycopg.Connection, function: str, caller: Caller, organization_id: UUID, **fields: str
) -> Label:
    outcome = procedures.call(
        db, function, tenant=caller.tenant, organization_id=organization_id, **fields
    )
    return Label.model_validate(procedures.accepted(outcome)[0])
