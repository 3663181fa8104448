"""What SQS is to senders: its API, as far as it is used, and a route of API Gateway that sends."""

import json
import re
from collections.abc import Sequence
from typing import Any

from local.events import HttpRequest, HttpResponse, Routes
from local.template import QueueRoute, Route
from local.triggers import Triggers, md5_of
from synaxis_billing.errors import Forbidden, InvalidRequest, NotFound


class Sqs:
    """The queues of a template, for senders."""

    def __init__(self, routes: Sequence[QueueRoute], triggers: Triggers) -> None:
        self._of = {route.key: route for route in routes}
        self._routes = Routes({Route(key, open=False): key for key in self._of})
        self._triggers = triggers

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Send messages as SQS's API does.

        https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
        """
        action = dict(request.headers).get("x-amz-target")
        asked = json.loads(request.body)
        if action == "AmazonSQS.SendMessage":
            return _json(self._send(asked["QueueUrl"], asked))
        if action != "AmazonSQS.SendMessageBatch":
            raise NotFound(f"There is no {action} here.")
        sent = [
            {"Id": entry["Id"], **self._send(asked["QueueUrl"], entry)}
            for entry in asked["Entries"]
        ]
        return _json({"Successful": sent, "Failed": []})

    def find(self, request: HttpRequest) -> tuple[QueueRoute, dict[str, str]] | None:
        """Return the route of a request that becomes a message, and its path's parameters."""
        found = self._routes.find(request.method, request.path)
        return None if found is None else (self._of[found[1]], found[2])

    def send(
        self,
        route: QueueRoute,
        path: dict[str, str],
        request: HttpRequest,
        claims: dict[str, str],
    ) -> HttpResponse:
        """Send a request as its route says.

        https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-aws-services.html
        """
        if not route.scopes & set(claims.get("scope", "").split()):
            raise Forbidden
        if not request.body:
            raise InvalidRequest("A message has a body.")
        known = {"request.body": request.body.decode("utf-8", "replace")}
        known |= {f"request.path.{name}": value for name, value in path.items()}
        known |= {f"context.authorizer.claims.{name}": str(of) for name, of in claims.items()}
        told = {name: _filled(of, known) for name, of in route.parameters.items()}
        if "MessageAttributes" in told:
            told["MessageAttributes"] = json.loads(told["MessageAttributes"])
        return _json({"SendMessageResponse": self._send(told["QueueUrl"], told)})

    def _send(self, url: str, message: dict[str, Any]) -> dict[str, str]:
        body = message["MessageBody"]
        sent = self._triggers.send(
            url.rpartition("/")[2],
            body,
            message.get("MessageAttributes"),
            message.get("MessageGroupId"),
        )
        return {"MessageId": sent, "MD5OfMessageBody": md5_of(body)}


def _filled(expression: str, known: dict[str, str]) -> Any:
    if expression.startswith("$") and expression[1:] in known:
        return known[expression[1:]]
    return re.sub(r"\$\{([\w.]+)\}", lambda found: known.get(found[1], ""), expression)


def _json(body: Any) -> HttpResponse:
    content = json.dumps(body).encode()
    return HttpResponse(200, [("content-type", "application/x-amz-json-1.0")], content)
