"""What the template sets in the environment."""

import os


def database_url() -> str:
    return os.environ["DATABASE_URL"]


def redis_url() -> str | None:
    return os.environ.get("REDIS_URL") or None


def redis_cluster() -> bool:
    return os.environ.get("REDIS_CLUSTER") == "true"


def region() -> str:
    return os.environ.get("AWS_REGION", "")
