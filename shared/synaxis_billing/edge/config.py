"""What the template sets in the environment."""

import json
import os
from pathlib import Path


def database_url() -> str:
    """On a developer's machine alone; in AWS no secret is in the environment."""
    return os.environ.get("DATABASE_URL", "")


def database_url_secret() -> str:
    return os.environ.get("DATABASE_URL_SECRET", "")


def database() -> tuple[str, str]:
    """The host that takes tokens of the role, and the name of the database."""
    return os.environ["DATABASE_HOST"], os.environ["DATABASE_NAME"]


def admin_database_url() -> str:
    return os.environ.get("ADMIN_DATABASE_URL", "")


def admin_database_secret() -> str:
    return os.environ.get("ADMIN_DATABASE_SECRET", "")


def admin_database() -> tuple[str, str]:
    """The host of the database itself, and its name."""
    return os.environ["ADMIN_DATABASE_HOST"], os.environ["DATABASE_NAME"]


def redis_url() -> str:
    return os.environ.get("REDIS_URL", "")


def redis_url_secret() -> str:
    return os.environ.get("REDIS_URL_SECRET", "")


def redis_cluster() -> bool:
    return os.environ.get("REDIS_CLUSTER") == "true"


def redis_cache() -> tuple[str, str, str]:
    """host:port, name and user of the cache that takes tokens of the role; empty for none."""
    return (
        os.environ.get("REDIS_ENDPOINT", ""),
        os.environ.get("REDIS_NAME", ""),
        os.environ.get("REDIS_USER", ""),
    )


def kafka_brokers() -> str:
    return os.environ["KAFKA_BROKERS"]


def kafka_iam() -> bool:
    """Amazon MSK is spoken to as the function's own role."""
    return bool(os.environ["MSK_CLUSTER_ARN"])


def kafka_secret() -> str:
    return os.environ.get("KAFKA_SECRET", "")


def invalidation_topic_arn() -> str:
    return os.environ["INVALIDATION_TOPIC_ARN"]


def region() -> str:
    return os.environ.get("AWS_REGION", "")


def other_regions() -> dict[str, str]:
    """Where the API of each other region answers, by the region's name."""
    endpoints: dict[str, str] = json.loads(os.environ.get("REGION_ENDPOINTS") or "{}")
    return {name: url for name, url in endpoints.items() if name != region()}


def invoice_seller() -> str:
    """Who issues invoices, as JSON."""
    return os.environ["INVOICE_SELLER"]


def invoice_series() -> tuple[str, str]:
    """How the numbers of invoices and of credit notes begin."""
    return os.environ["INVOICE_SERIES"], os.environ["CREDIT_NOTE_SERIES"]


def month_end_queue_url() -> str:
    return os.environ["MONTH_END_QUEUE_URL"]


def webhook_queue_url() -> str:
    return os.environ["WEBHOOK_QUEUE_URL"]


def webhook_results_queue_url() -> str:
    return os.environ["WEBHOOK_RESULTS_QUEUE_URL"]


def webhooks_to_private() -> bool:
    """Webhooks may go to addresses that are not on the public internet."""
    return os.environ.get("WEBHOOKS_TO_PRIVATE") == "true"


def font_folders() -> list[Path]:
    """Where fonts for more scripts are, if there are any."""
    folder = Path(os.environ["FONTS_FOLDER"])
    return [folder] if folder.is_dir() else []


def fx_sources() -> list[str]:
    """The names of the sources of exchange rates, in the order in which they are asked."""
    return [name.strip() for name in os.environ["FX_SOURCES"].split(",") if name.strip()]


def fx_api_url() -> str:
    """With {key} where the key belongs."""
    return os.environ["FX_API_URL"]


def fx_api_key() -> str:
    return os.environ.get("FX_API_KEY", "")


def fx_api_key_secret() -> str:
    return os.environ.get("FX_API_KEY_SECRET", "")


def fx_ecb_url() -> str:
    return os.environ["FX_ECB_URL"]


def fx_seed() -> str:
    return os.environ["FX_SEED"]
