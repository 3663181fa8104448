"""Addresses and credentials of PostgreSQL, Redis and Kafka: a token of the function's role, a
secret, or, on a developer's machine, a URL in the environment."""

import json
import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from synaxis_billing.edge.aws.secrets import secret, signed_url
from synaxis_billing.edge.settings import settings

APPLICATION = "synaxis_app"
# The authorities of RDS, rds-ca-rsa2048-g1 of each region, which are not among the public ones:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
RDS_AUTHORITIES = Path(__file__).with_name("rds.pem")
# Parameters of a Redis URL that weaken the check of the server's certificate.
_UNVERIFIED = {"ssl_cert_reqs", "ssl_check_hostname"}


class Redis(NamedTuple):
    url: str
    cluster: bool
    # The user and the cache's name for IAM; empty when the URL has the credentials.
    user: str = ""
    name: str = ""

    def token(self) -> tuple[str, str]:
        """Return the user, and a password that is valid for 15 minutes.

        https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
        """
        url = f"http://{self.name}/?Action=connect&ResourceType=ServerlessCache&User={self.user}"
        return self.user, signed_url(url, "elasticache", settings().aws_region).removeprefix(
            "http://"
        )


def database() -> str:
    """Return how psycopg connects as the application. A token in it is valid for 15 minutes. Raises
    LookupError."""
    if settings().database_url:
        return settings().database_url
    if arn := settings().database_url_secret:
        return _verifying(secret(arn), arn)
    host = settings().database_host
    if not host:
        raise LookupError("no database is configured")
    return make_conninfo(
        host=host,
        dbname=settings().database_name,
        user=APPLICATION,
        password=database_token(host, APPLICATION),
        # The certificates of RDS Proxy are Amazon's public ones.
        sslmode="verify-full",
        sslrootcert=ssl.get_default_verify_paths().cafile or "system",
    )


def database_token(host: str, user: str) -> str:
    """Return a token that logs a database user in.

    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
    """
    url = f"https://{host}:5432/?Action=connect&DBUser={user}"
    return signed_url(url, "rds-db", settings().aws_region).removeprefix("https://")


def administrator() -> str:
    """Return how psycopg connects as the administrator, who migrates and audits: past the proxy, by
    the password that RDS keeps in a secret and rotates, or by a URL. Raises LookupError."""
    text = _text(settings().admin_database_url, settings().admin_database_secret)
    if not text:
        raise LookupError("no administrator of the database is configured")
    if not text.startswith("{"):
        return _verifying(text, arn) if (arn := settings().admin_database_secret) else text
    login = json.loads(text)
    return make_conninfo(
        host=settings().admin_database_host,
        dbname=settings().database_name,
        user=login["username"],
        password=login["password"],
        sslmode="verify-full",
        sslrootcert=str(RDS_AUTHORITIES),
    )


def _verifying(url: str, arn: str) -> str:
    """Return the URL of PostgreSQL in a secret, unless it would take any server's certificate:
    libpq's default, sslmode=prefer, does. Raises LookupError."""
    try:
        mode = conninfo_to_dict(url).get("sslmode")
    except ProgrammingError:
        # Its message would show the password.
        raise LookupError(f"the secret {arn} has no URL of PostgreSQL") from None
    if mode != "verify-full":
        raise LookupError(f"the URL in the secret {arn} must end in ?sslmode=verify-full")
    return url


def redis() -> Redis | None:
    """Return how to connect to Redis; None where there is none. Raises LookupError."""
    if settings().redis_url:
        return Redis(settings().redis_url, settings().redis_cluster)
    if arn := settings().redis_url_secret:
        url = secret(arn)
        # redis-py verifies a certificate unless the URL says otherwise.
        if urlsplit(url).scheme != "rediss" or _UNVERIFIED & parse_qs(urlsplit(url).query).keys():
            raise LookupError(
                f"the URL in the secret {arn} must begin with rediss://, without "
                + " and ".join(sorted(_UNVERIFIED))
            )
        return Redis(url, settings().redis_cluster)
    endpoint = settings().redis_endpoint
    if not endpoint:
        return None
    return Redis(f"rediss://{endpoint}", True, settings().redis_user, settings().redis_name)


def kafka() -> tuple[str, str] | None:
    """Return the user and password; None where Kafka needs none. Raises LookupError."""
    arn = settings().kafka_secret
    if not arn:
        return None
    try:
        login = json.loads(secret(arn))
        return login["username"], login["password"]
    except (ValueError, TypeError, KeyError) as error:
        raise LookupError(f"the secret {arn} has no username and password") from error


def fx_api_key() -> str:
    return _text(settings().fx_api_key, settings().fx_api_key_secret)


def _text(given: str, arn: str) -> str:
    return given or (secret(arn) if arn else "")
