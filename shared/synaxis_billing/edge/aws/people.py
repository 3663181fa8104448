"""People who sign in: what each may do, and the organization of which that is."""

import re
from typing import NamedTuple

# The scopes of each role. The operator is of the platform, the others of one organization.
SCOPES = {
    "operator": (
        "billing:platform billing:admin billing:topup billing:charge billing:read billing:pay"
    ),
    "finance": "billing:read billing:pay billing:settings",
    "engineer": "billing:read",
}


class Person(NamedTuple):
    role: str
    organization_id: str | None

    @property
    def text(self) -> str:
        return f"{self.role}:{self.organization_id or ''}"


def read_person(text: str) -> Person | None:
    """Return who `operator`, `finance:{organization_id}` or `engineer:{organization_id}` is."""
    role, _, organization_id = text.partition(":")
    pattern = "" if role == "operator" else r"[0-9a-f-]{36}"
    if role not in SCOPES or not re.fullmatch(pattern, organization_id):
        return None
    return Person(role, organization_id or None)
