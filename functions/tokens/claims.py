"""Says in the token of a client or a person which organization it is of: Cognito asks before it
gives a token."""

from typing import Any

from synaxis_billing.edge.aws import issuer
from synaxis_billing.edge.invocation import task


@task
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take Cognito's event before it generates a token (version 3), and return it with the claims
    of a client, and without the scopes that the client does not have, or with the claims and scopes
    of a person. An error refuses the token.

    https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
    """
    return issuer.with_claims(event)
