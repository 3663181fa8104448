"""Authentication to Amazon MSK by the function's role: a signed URL as an OAuth token.

https://github.com/aws/aws-msk-iam-auth#uriencoded-authentication-payload
"""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from synaxis_billing.edge.aws.secrets import LIFETIME_SECONDS, signed_url


def authentication(region: str) -> dict[str, Any]:
    """Return librdkafka's settings for authentication by the function's role."""
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "OAUTHBEARER",
        "oauth_cb": lambda _settings: token(region),
    }


def token(region: str) -> tuple[str, float]:
    """Return a token and its end, in seconds since 1970. Raises LookupError."""
    url = f"https://kafka.{region}.amazonaws.com/?Action=kafka-cluster%3AConnect"
    signed = f"{signed_url(url, 'kafka-cluster', region)}&User-Agent=synaxis-billing".encode()
    ends = datetime.now(UTC) + timedelta(seconds=LIFETIME_SECONDS)
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode(), ends.timestamp()
