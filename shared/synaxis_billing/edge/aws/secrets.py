"""Secrets of Secrets Manager, and URLs signed by the function's own role."""

from synaxis_billing.edge.settings import settings

LIFETIME_SECONDS = 900


def secret(arn: str) -> str:
    """Return the text of a secret of Secrets Manager. Raises LookupError."""
    # Not at the top: most functions have a role, and no secret.
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    quick = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
    client = boto3.client("secretsmanager", region_name=settings().aws_region, config=quick)
    try:
        return str(client.get_secret_value(SecretId=arn)["SecretString"])
    except (BotoCoreError, ClientError) as error:
        raise LookupError(f"the secret {arn} cannot be read: {type(error).__name__}") from error


def signed_url(url: str, service: str, region: str) -> str:
    """Return the URL with a signature in its query, valid for 15 minutes. Raises LookupError."""
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.session import get_session

    credentials = get_session().get_credentials()
    if credentials is None:
        raise LookupError("there are no AWS credentials to sign with")
    request = AWSRequest(method="GET", url=url)
    frozen = credentials.get_frozen_credentials()
    SigV4QueryAuth(frozen, service, region, expires=LIFETIME_SECONDS).add_auth(request)
    return str(request.url)
