"""The caller of a request, and the organizations that it may touch."""

from synaxis_billing.errors import Forbidden, NotFound
from synaxis_billing.fields import Answer


class Caller(Answer):
    """`tenant` is an organization's id, or * for all of them; `subject` is the token's.
    `settings_only`: it may change an organization's own settings, and nothing that the platform
    decides. `client` is the id of an organization's client, where the token is one's."""

    tenant: str
    subject: str | None = None
    settings_only: bool = False
    client: str | None = None

    def require_platform(self) -> None:
        """Raise Forbidden unless the caller is the platform's."""
        if self.tenant != "*":
            raise Forbidden


class OrganizationNotFound(NotFound):
    """The organization does not exist."""

    code = "organization_not_found"
