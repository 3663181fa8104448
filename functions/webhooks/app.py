"""An organization's webhook endpoints, and the events that they are told."""

from typing import Annotated
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from synaxis_billing import webhooks
from synaxis_billing.edge import config
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http import Api, answered, entry
from synaxis_billing.edge.query import Cursor, Limit
from synaxis_billing.pages import DEFAULT_LIMIT, Page

api = Api()
handler = entry(api)
ENDPOINTS = "/v1/organizations/{organization_id}/webhook-endpoints"
ENDPOINT = f"{ENDPOINTS}/{{endpoint_id}}"


@api.endpoint(f"POST {ENDPOINTS}", "billing:admin", status=201, refuses=(409,))
def create(
    organization_id: UUID, body: webhooks.NewEndpoint
) -> Response[webhooks.EndpointWithSecret]:
    private = config.webhooks_to_private()
    made = webhooks.create(connection(), api.caller, organization_id, body, private=private)
    return answered(made, status=201)


@api.endpoint(f"GET {ENDPOINTS}", "billing:read")
def listed(organization_id: UUID) -> Response[webhooks.Endpoints]:
    return answered(webhooks.listed(connection(), api.caller, organization_id))


@api.endpoint(f"PATCH {ENDPOINT}", "billing:admin", refuses=(409,))
def update(
    organization_id: UUID, endpoint_id: UUID, body: webhooks.EndpointChange
) -> Response[webhooks.Endpoint]:
    of = (organization_id, endpoint_id)
    private = config.webhooks_to_private()
    return answered(webhooks.update(connection(), api.caller, *of, body, private=private))


@api.endpoint(f"DELETE {ENDPOINT}", "billing:admin")
def delete(organization_id: UUID, endpoint_id: UUID) -> Response[webhooks.Endpoint]:
    return answered(webhooks.delete(connection(), api.caller, organization_id, endpoint_id))


@api.endpoint(f"POST {ENDPOINT}/rotate-secret", "billing:admin")
def rotate_secret(
    organization_id: UUID, endpoint_id: UUID
) -> Response[webhooks.EndpointWithSecret]:
    return answered(webhooks.rotate_secret(connection(), api.caller, organization_id, endpoint_id))


@api.endpoint(f"POST {ENDPOINT}/replay", "billing:admin", refuses=(409,))
def replay(
    organization_id: UUID, endpoint_id: UUID, body: webhooks.Replay
) -> Response[webhooks.Replayed]:
    return answered(webhooks.replay(connection(), api.caller, organization_id, endpoint_id, body))


@api.endpoint("GET /v1/organizations/{organization_id}/webhook-events", "billing:read")
def events(
    organization_id: UUID,
    event_type: Annotated[webhooks.EventType | None, Query(alias="type")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[Page[webhooks.Event]]:
    page = (event_type, limit, cursor)
    return answered(webhooks.events(connection(), api.caller, organization_id, *page))
