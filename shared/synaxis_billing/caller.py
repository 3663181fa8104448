"""The caller of a request, and the organizations that it may touch."""

from synaxis_billing.errors import NotFound
from synaxis_billing.fields import Answer


class Caller(Answer):
    """`tenant` is an organization's id, or * for all of them; `subject` is the token's."""

    tenant: str
    subject: str | None = None


class OrganizationNotFound(NotFound):
    """The organization does not exist."""

    code = "organization_not_found"
