"""What a proxy under test adds to LiteLLM: keys without a database, and records in a file.

A key is `sk-<organization>_<team>_<key>`, each part as it is to be found in the charge.
"""

import json
import os
from typing import Any

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth


async def authenticate(request: Any, api_key: str) -> UserAPIKeyAuth:
    organization, team, key = api_key.removeprefix("sk-").split("_")
    return UserAPIKeyAuth(
        api_key=key, org_id=organization or None, team_id=team or None, user_role="internal_user"
    )


class Records(CustomLogger):
    """Writes a line for each success that LiteLLM reports."""

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        payload = kwargs["standard_logging_object"]
        names = ("call_type", "model", "total_tokens", "response_cost", "cache_hit")
        record = {name: payload[name] for name in (*names, "litellm_call_id")}
        record["usage"] = payload["metadata"].get("usage_object")
        with open(os.environ["RECORDS"], "a") as file:  # noqa: PTH123
            file.write(json.dumps(record, default=str) + "\n")


records = Records()
