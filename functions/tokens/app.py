"""Gives organizations' clients their tokens, with a way to the issuer and none to the database."""

from typing import Annotated

from synaxis_billing.clients.clients import InvalidClient
from synaxis_billing.edge.aws import issuer
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import Header
from synaxis_billing.edge.http.requests import FORM, JSON
from synaxis_billing.errors import Conflict

handler = api = Api()


@api.endpoint("POST /v1/tokens", scope=None, takes=(JSON, FORM), refuses=(InvalidClient, Conflict))
def create_token(
    body: issuer.TokenRequest, authorization: Annotated[str, Header("authorization")] = ""
) -> Reply[issuer.Token]:
    """Get a token of an organization's client.

    OAuth 2.0's client credentials grant (RFC 6749, 4.4): the body may be a form, and the client may
    name itself by HTTP Basic. Keep the token until it expires; each one costs.
    """
    return Reply(issuer.token(body, authorization))
