"""An organization's clients, the programs that act for it."""

from uuid import UUID

from synaxis_billing.caller import Caller
from synaxis_billing.clients import clients
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.errors import Conflict

handler = api = Api()
CLIENTS = "/v1/organizations/{organization_id}/clients"
CLIENT = f"{CLIENTS}/{{client_id}}"


@api.endpoint(
    f"POST {CLIENTS}", "billing:admin", status=201, refuses=(clients.ClientExists, Conflict)
)
def create_client(
    caller: Caller, organization_id: UUID, body: clients.NewClient
) -> Reply[clients.OrganizationClientWithSecret]:
    """Create a client of an organization.

    A program that gets tokens of this organization alone, by `POST /v1/tokens` with its id and its
    secret, which the answer shows, this once. Needs the platform's own token.
    """
    return Reply(clients.create_client(connection(), caller, organization_id, body))


@api.endpoint(f"GET {CLIENTS}", "billing:admin")
def list_clients(caller: Caller, organization_id: UUID) -> Reply[clients.OrganizationClients]:
    """List the clients of an organization.

    Oldest first, with those that were revoked.
    """
    return Reply(clients.list_clients(connection(), caller, organization_id))


@api.endpoint(f"POST {CLIENT}/rotate-secret", "billing:admin", refuses=(clients.ClientNotFound,))
def rotate_client_secret(
    caller: Caller, organization_id: UUID, client_id: UUID
) -> Reply[clients.OrganizationClientWithSecret]:
    """Give a client a new secret.

    The old secret is good for 24 more hours. One that was stolen ends at once with its client:
    revoke that, and create another.
    """
    return Reply(clients.rotate_secret(connection(), caller, organization_id, client_id))


@api.endpoint(f"DELETE {CLIENT}", "billing:admin", refuses=(clients.ClientNotFound,))
def revoke_client(
    caller: Caller, organization_id: UUID, client_id: UUID
) -> Reply[clients.OrganizationClient]:
    """Revoke a client.

    It gets no more tokens, and those that it has are refused within a minute.
    """
    return Reply(clients.revoke_client(connection(), caller, organization_id, client_id))
