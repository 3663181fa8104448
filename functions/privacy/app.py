"""What is held about an organization or a person, and its erasure."""

from typing import Annotated
from uuid import UUID

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from synaxis_billing import privacy
from synaxis_billing.edge import cache as caching
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http import Api, answered, entry
from synaxis_billing.edge.query import Cursor, Limit
from synaxis_billing.fields import Name
from synaxis_billing.pages import DEFAULT_LIMIT

api = Api()
handler = entry(api, around=caching.invocation)
ORGANIZATION = "/v1/organizations/{organization_id}"


@api.endpoint(f"GET {ORGANIZATION}/personal-data", "billing:admin")
def export(
    organization_id: UUID,
    initiated_by: Annotated[Name | None, Query()] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[privacy.Export]:
    page = (initiated_by, limit, cursor)
    return answered(privacy.export(connection(), api.caller, organization_id, *page))


@api.endpoint(f"POST {ORGANIZATION}/erasures", "billing:admin", status=201)
def erase(
    organization_id: UUID, body: privacy.ErasureRequest, cursor: Cursor = None
) -> Response[privacy.Erasure]:
    erased = privacy.erase(connection(), api.caller, organization_id, body, cursor)
    caching.drain()
    return answered(erased, status=201)
