"""The report that CloudFormation waits for from the function of a custom resource.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-responses.html
"""

import json
from typing import Any

from synaxis_billing import web

# CloudFormation takes 4 KB in all.
LONGEST_REASON = 1000


def report(request: dict[str, Any], failure: str) -> None:
    """Report the end of a custom resource's request, and the reason if it failed.

    Raises web.NoResponse.
    """
    told = {
        "Status": "FAILED" if failure else "SUCCESS",
        "Reason": failure[:LONGEST_REASON],
        "PhysicalResourceId": request.get("PhysicalResourceId", request["LogicalResourceId"]),
        **{name: request[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    # The URL is signed for a request without a content type.
    headers = {"Content-Type": ""}
    status, _ = web.request(
        "PUT", request["ResponseURL"], headers=headers, body=json.dumps(told).encode()
    )
    if status != 200:
        raise web.NoResponse(f"CloudFormation's report was answered {status}")
