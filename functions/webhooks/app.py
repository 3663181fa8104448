"""An organization's webhook endpoints, and the events that are sent to them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from synaxis_billing.caller import Caller
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import Cursor, Limit, Query
from synaxis_billing.edge.settings import settings
from synaxis_billing.errors import Conflict
from synaxis_billing.paging import DEFAULT_LIMIT, Page
from synaxis_billing.webhooks import endpoints

handler = api = Api()
ORGANIZATION = "/v1/organizations/{organization_id}"
ENDPOINTS = f"{ORGANIZATION}/webhook-endpoints"
ENDPOINT = f"{ENDPOINTS}/{{endpoint_id}}"


@api.endpoint(
    f"POST {ENDPOINTS}",
    "billing:admin",
    settings=True,
    status=201,
    refuses=(endpoints.WebhookEndpointExists, Conflict),
)
def create_webhook_endpoint(
    caller: Caller, organization_id: UUID, body: endpoints.NewWebhookEndpoint
) -> Reply[endpoints.WebhookEndpointWithSecret]:
    """Create a webhook endpoint.

    The answer shows the secret that signs its webhooks, this once.
    """
    private = settings().webhooks_to_private
    return Reply(
        endpoints.create_endpoint(connection(), caller, organization_id, body, private=private)
    )


@api.endpoint(f"GET {ENDPOINTS}", "billing:read")
def list_webhook_endpoints(
    caller: Caller, organization_id: UUID
) -> Reply[endpoints.WebhookEndpoints]:
    """List the webhook endpoints of an organization.

    Oldest first.
    """
    return Reply(endpoints.list_endpoints(connection(), caller, organization_id))


@api.endpoint(
    f"PATCH {ENDPOINT}",
    "billing:admin",
    settings=True,
    refuses=(endpoints.WebhookEndpointNotFound, endpoints.WebhookEndpointExists),
)
def update_webhook_endpoint(
    caller: Caller, organization_id: UUID, endpoint_id: UUID, body: endpoints.WebhookEndpointChange
) -> Reply[endpoints.WebhookEndpoint]:
    """Change a webhook endpoint.

    Changes only the fields that the request names. `enabled` turns a disabled endpoint on again.
    """
    endpoint = (organization_id, endpoint_id)
    private = settings().webhooks_to_private
    return Reply(endpoints.update_endpoint(connection(), caller, *endpoint, body, private=private))


@api.endpoint(
    f"DELETE {ENDPOINT}",
    "billing:admin",
    settings=True,
    refuses=(endpoints.WebhookEndpointNotFound,),
)
def delete_webhook_endpoint(
    caller: Caller, organization_id: UUID, endpoint_id: UUID
) -> Reply[endpoints.WebhookEndpoint]:
    """Delete a webhook endpoint.

    And what was still to be sent to it. Answers the endpoint as it was.
    """
    return Reply(endpoints.delete_endpoint(connection(), caller, organization_id, endpoint_id))


@api.endpoint(
    f"POST {ENDPOINT}/rotate-secret",
    "billing:admin",
    settings=True,
    refuses=(endpoints.WebhookEndpointNotFound,),
)
def rotate_webhook_secret(
    caller: Caller, organization_id: UUID, endpoint_id: UUID
) -> Reply[endpoints.WebhookEndpointWithSecret]:
    """Give a webhook endpoint a new secret.

    The old secret signs too, for 24 hours.
    """
    return Reply(endpoints.rotate_secret(connection(), caller, organization_id, endpoint_id))


@api.endpoint(
    f"POST {ENDPOINT}/replay",
    "billing:admin",
    settings=True,
    refuses=(endpoints.WebhookEndpointNotFound, endpoints.WebhookEventNotFound, Conflict),
)
def replay_webhook_events(
    caller: Caller, organization_id: UUID, endpoint_id: UUID, body: endpoints.WebhookReplay
) -> Reply[endpoints.WebhooksReplayed]:
    """Send webhook events again.

    Either one event, or all since an instant that the endpoint wants and has not got.
    """
    return Reply(endpoints.replay_events(connection(), caller, organization_id, endpoint_id, body))


@api.endpoint(f"GET {ORGANIZATION}/webhook-events", "billing:read")
def list_webhook_events(
    caller: Caller,
    organization_id: UUID,
    event_type: Annotated[
        endpoints.WebhookEventType | None,
        Query("type"),
        Field(description="Only events of this type."),
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[Page[endpoints.WebhookEvent]]:
    """List the webhook events of an organization.

    Newest first, each with its deliveries.
    """
    page = (event_type, limit, cursor)
    return Reply(endpoints.list_events(connection(), caller, organization_id, *page))
