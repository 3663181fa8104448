"""Webhooks on their way: claimed from the database, signed, sent, and what came of it.

Whoever sends reaches the internet and not the database, so a signed request goes to it as a message
and its result comes back as one. An attempt that is not heard of again is made anew.
"""

import base64
import contextlib
import hmac
import json
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from threading import Timer
from typing import Any
from uuid import UUID

import psycopg

from synaxis_billing import procedures
from synaxis_billing.fields import Answer
from synaxis_billing.money import format_amounts
from synaxis_billing.webhooks.addresses import WebAddress, is_public_ip, parse_url, resolve

# One endpoint's share of what is sent at once.
MOST_OF_AN_ENDPOINT = 100
# Longer than a message and its result wait in their queues.
LEASE = timedelta(minutes=15)
# An endpoint that has only failed for this long is disabled.
PATIENCE = timedelta(days=3)
CONNECT_SECONDS, ANSWER_SECONDS = 5, 10
# A host may have one for IPv6 that nothing leads to.
MOST_NUMBERS = 2


class Signed(Answer):
    """A request that is ready to be sent, within the minutes that its signature's time allows."""

    event_id: UUID
    endpoint_id: UUID
    lease: UUID
    url: str
    headers: dict[str, str]
    body: str


class Attempt(Answer):
    """What came of sending: `error` says why it was no success."""

    event_id: UUID
    endpoint_id: UUID
    lease: UUID
    status_code: int | None = None
    error: str | None = None


class Unsendable(Exception):
    """Why a request got no answer."""


def claim(db: psycopg.Connection, now: datetime) -> Iterator[list[Signed]]:
    """What is due, signed."""
    while claimed := procedures.call(
        db, "claim_webhooks", tenant="*", each=MOST_OF_AN_ENDPOINT, lease=LEASE
    ):
        yield [sign(delivery, now) for delivery in claimed]


def sign(claimed: dict[str, Any], now: datetime) -> Signed:
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    created_at = datetime.fromisoformat(claimed["created_at"]).astimezone(UTC)
    body = json.dumps(
        {
            "type": claimed["type"],
            "timestamp": created_at.isoformat().replace("+00:00", "Z"),
            "data": format_amounts(claimed["data"]),
        }
    )
    seconds = int(now.timestamp())
    text = f"{claimed['event_id']}.{seconds}.{body}".encode()
    signatures = [
        base64.b64encode(hmac.digest(base64.b64decode(secret), text, "sha256")).decode()
        for secret in claimed["secrets"]
    ]
    return Signed(
        event_id=claimed["event_id"],
        endpoint_id=claimed["endpoint_id"],
        lease=claimed["lease"],
        url=claimed["url"],
        headers={
            "content-type": "application/json",
            "user-agent": "synaxis-billing",
            "webhook-id": claimed["event_id"],
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
        },
        body=body,
    )


def send(request: Signed, *, private: bool) -> Attempt:
    """Send once, and follow no redirect. `private` also allows addresses that are not on the public
    internet, and http."""
    attempt = Attempt(
        event_id=request.event_id, endpoint_id=request.endpoint_id, lease=request.lease
    )
    try:
        code = _post(parse_url(request.url), request, private)
    except (Unsendable, ValueError) as reason:
        return attempt.model_copy(update={"error": str(reason)})
    error = None if 200 <= code < 300 else f"it answered {code}"
    return attempt.model_copy(update={"status_code": code, "error": error})


def record(db: psycopg.Connection, attempt: Attempt) -> str:
    """What follows from an attempt: delivered, retried, failed (it was the last) or disabled (the
    endpoint is); or forgotten, when the attempt had been given up."""
    outcome = procedures.call(
        db,
        "webhook_attempted",
        tenant="*",
        event_id=attempt.event_id,
        endpoint_id=attempt.endpoint_id,
        lease=attempt.lease,
        status_code=attempt.status_code,
        error=attempt.error,
        patience=PATIENCE,
    )
    return str(outcome)


def _post(to: WebAddress, request: Signed, private: bool) -> int:
    """The status of the answer, whose body is of no interest. Raises Unsendable."""
    if to.scheme != "https" and not private:
        raise Unsendable("its URL does not begin with https://")
    try:
        with contextlib.closing(_connected(to, private)) as channel, _in_time(channel):
            return _status(channel, to, request)
    except ssl.SSLCertVerificationError as error:
        raise Unsendable(f"its certificate is refused: {error.verify_message}") from None
    except TimeoutError:
        raise Unsendable("it did not answer in time") from None
    except (OSError, HTTPException, ValueError) as error:
        raise Unsendable(f"it could not be reached ({type(error).__name__})") from None


@contextlib.contextmanager
def _in_time(channel: socket.socket) -> Iterator[None]:
    """The socket limits each pause; this, an answer that trickles in. Raises TimeoutError."""
    ends = time.monotonic() + ANSWER_SECONDS
    late = Timer(ANSWER_SECONDS, channel.shutdown, [socket.SHUT_RDWR])
    late.start()
    try:
        yield
    finally:
        late.cancel()
        if time.monotonic() >= ends:
            raise TimeoutError


def _status(channel: socket.socket, to: WebAddress, request: Signed) -> int:
    connection = HTTPConnection(to.host, to.port)
    connection.sock = channel
    connection.request(
        "POST", to.target, request.body.encode(), {**request.headers, "host": to.authority}
    )
    return connection.getresponse().status


def _connected(to: WebAddress, private: bool) -> socket.socket:
    """Connected to a number that was looked at: the name may mean another one the next time.

    Raises Unsendable, OSError.
    """
    numbers = resolve(to.host, to.port)
    # One that is not public is reason enough: which of them is used would be chance.
    if not private and not all(is_public_ip(ip_address(number)) for number in numbers):
        raise Unsendable("its address is not on the public internet")
    channel = _first_that_listens(numbers, to.port)
    if to.scheme == "https":
        try:
            context = ssl.create_default_context()
            channel = context.wrap_socket(channel, server_hostname=to.host)
        except BaseException:
            channel.close()
            raise
    channel.settimeout(ANSWER_SECONDS)
    return channel


def _first_that_listens(numbers: list[str], port: int) -> socket.socket:
    """Raises OSError."""
    *others, last = numbers[:MOST_NUMBERS]
    for number in others:
        with contextlib.suppress(OSError):
            return socket.create_connection((number, port), timeout=CONNECT_SECONDS)
    return socket.create_connection((last, port), timeout=CONNECT_SECONDS)
