"""Amazon MSK's IAM authentication: a signed URL as an OAuth token.

https://github.com/aws/aws-msk-iam-auth#uriencoded-authentication-payload
"""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.session import get_session

LIFETIME_SECONDS = 900


def authentication(region: str) -> dict[str, Any]:
    """The settings of librdkafka that authenticate by the function's own role."""
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "OAUTHBEARER",
        "oauth_cb": lambda _settings: token(region),
    }


def token(region: str) -> tuple[str, float]:
    """A token and when it ends, in seconds since 1970."""
    credentials = get_session().get_credentials()
    if credentials is None:
        raise LookupError("there are no AWS credentials to sign with")
    url = f"https://kafka.{region}.amazonaws.com/?Action=kafka-cluster%3AConnect"
    request = AWSRequest(method="GET", url=url)
    signer = SigV4QueryAuth(
        credentials.get_frozen_credentials(), "kafka-cluster", region, expires=LIFETIME_SECONDS
    )
    signer.add_auth(request)
    signed = f"{request.url}&User-Agent=synaxis-billing".encode()
    ends = datetime.now(UTC) + timedelta(seconds=LIFETIME_SECONDS)
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode(), ends.timestamp()
