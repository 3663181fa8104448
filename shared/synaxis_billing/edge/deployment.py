"""A step of a deployment, as a custom resource of CloudFormation."""

import json
from collections.abc import Callable
from typing import Any
from urllib.request import Request, urlopen

from aws_lambda_powertools import Logger

ANSWER_SECONDS = 10

logger = Logger()


def answered(event: dict[str, Any], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do the work when the resource is made or changed, and tell CloudFormation how it went: one
    that hears nothing waits for as long as it may.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-responses.html
    """
    status, reason, data = "SUCCESS", "", {}
    if event["RequestType"] != "Delete":
        try:
            data = work()
        except Exception as error:
            logger.exception("deployment failed")
            status, reason = "FAILED", f"{type(error).__name__}: {error}"
    answer = {
        "Status": status,
        # CloudFormation takes 4 KB in all.
        "Reason": reason[:1000],
        "PhysicalResourceId": event.get("PhysicalResourceId", event["LogicalResourceId"]),
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    request = Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT")
    # The URL is signed for this, with no content type.
    request.add_header("Content-Type", "")
    with urlopen(request, timeout=ANSWER_SECONDS):
        return data
