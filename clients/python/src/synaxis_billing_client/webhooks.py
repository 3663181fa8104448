"""Webhooks: verify that the product sent one (Standard Webhooks), and read it."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from synaxis_billing_client.errors import InvalidSignature

TOLERANCE_SECONDS = 5 * 60


def verify(secret: str, body: bytes | str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the event of a webhook, given its body as it was received and its headers.

    `secret` is the endpoint's, `whsec_...`. Raises InvalidSignature. Ignore an event whose
    `webhook-id` you have processed: each is sent at least once.
    """
    content = body.encode() if isinstance(body, str) else body
    sent = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp = sent["webhook-id"], sent["webhook-timestamp"]
        signatures = sent["webhook-signature"].split()
        age = abs(time.time() - int(timestamp))
    except (KeyError, ValueError) as error:
        raise InvalidSignature("A header of Standard Webhooks is missing or not valid.") from error
    if age > TOLERANCE_SECONDS:
        raise InvalidSignature("The webhook was signed more than five minutes from now.")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + content
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    for signature in signatures:
        version, _, value = signature.partition(",")
        if version == "v1" and hmac.compare_digest(value.encode(), expected):
            event: dict[str, Any] = json.loads(content)
            return event
    raise InvalidSignature("No signature is that of the endpoint's secret.")
