"""Personal data of an organization or a person: export and erasure."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from synaxis_billing.caller import Caller
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import Cursor, Limit, Query
from synaxis_billing.fields import Name
from synaxis_billing.organizations import personal_data
from synaxis_billing.paging import DEFAULT_LIMIT

handler = api = Api()
ORGANIZATION = "/v1/organizations/{organization_id}"


@api.endpoint(f"GET {ORGANIZATION}/personal-data", "billing:admin")
def export_personal_data(
    caller: Caller,
    organization_id: UUID,
    initiated_by: Annotated[
        Name | None, Query(), Field(description="Only what this person initiated.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[personal_data.PersonalDataExport]:
    """Export the personal data of an organization or a person.

    Kind by kind, each newest first. A page may be empty: go on until `next_cursor` is null.
    """
    page = (initiated_by, limit, cursor)
    return Reply(personal_data.export_personal_data(connection(), caller, organization_id, *page))


@api.endpoint(f"POST {ORGANIZATION}/erasures", "billing:admin", status=201, invalidates=True)
def erase_personal_data(
    caller: Caller,
    organization_id: UUID,
    body: personal_data.ErasureRequest,
    cursor: Cursor = None,
) -> Reply[personal_data.Erasure]:
    """Erase the personal data of an organization or a person.

    Empties descriptions and initiators, and with `profile` the name, address and tax id. Amounts,
    times and issued invoices stay. Repeat with `cursor` until `next_cursor` is null.
    """
    return Reply(
        personal_data.erase_personal_data(connection(), caller, organization_id, body, cursor)
    )
