"""Webhooks: signed as each provider signs them, sent again until they are accepted, and, by
setting, lost, doubled, late or out of order."""

import base64
import functools
import hashlib
import hmac
import logging
import random
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

# Then a webhook that nobody accepts is given up, and only the list of events tells of it.
RETRY_SECONDS = (1, 5, 30, 120, 600, 3600)
ANSWER_SECONDS = 30
POLL_SECONDS = 0.05
logger = logging.getLogger(__name__)
Signer = Callable[[bytes], dict[str, str]]


def stripe_signer(secret: str) -> Signer:
    """Return what signs a body for Stripe's receivers: `t=<seconds>,v1=<HMAC-SHA256>`."""

    def sign(body: bytes) -> dict[str, str]:
        sent = int(time.time())
        digest = hmac.new(secret.encode(), b"%d.%b" % (sent, body), hashlib.sha256).hexdigest()
        return {"stripe-signature": f"t={sent},v1={digest}"}

    return sign


@functools.cache
def _make_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Certificate:
    """PayPal's side of its webhooks' signatures: a key, and a certificate of its own making."""

    def __init__(self, webhook_id: str, url: str) -> None:
        self.webhook_id = webhook_id
        self.url = url
        self._key = _make_key()
        name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, "messageverificationcerts.stand-in")]
        )
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .sign(self._key, hashes.SHA256())
        )
        self.pem = made.public_bytes(serialization.Encoding.PEM)

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers of a transmission: RSA-SHA256 of `id|time|webhook id|CRC32 of the body`."""
        transmission = str(uuid4())
        sent = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        signed = self._message(transmission, sent, self.webhook_id, body)
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return {
            "paypal-transmission-id": transmission,
            "paypal-transmission-time": sent,
            "paypal-transmission-sig": base64.b64encode(signature).decode(),
            "paypal-cert-url": self.url,
            "paypal-auth-algo": "SHA256withRSA",
            "correlation-id": uuid4().hex[:13],
        }

    def verifies(self, asked: dict[str, Any], event: bytes) -> bool:
        """Whether a signature is right for exactly these bytes of an event."""
        signed = self._message(
            asked["transmission_id"], asked["transmission_time"], asked["webhook_id"], event
        )
        try:
            signature = base64.b64decode(asked["transmission_sig"], validate=True)
            self._key.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it does not verify
            return False
        named = asked["auth_algo"] == "SHA256withRSA" and asked["cert_url"] == self.url
        return bool(named and asked["webhook_id"] == self.webhook_id)

    @staticmethod
    def _message(transmission: str, sent: str, webhook_id: str, body: bytes) -> bytes:
        return f"{transmission}|{sent}|{webhook_id}|{zlib.crc32(body)}".encode()


@dataclass
class Delivery:
    """A webhook on its way. `due` is of the monotonic clock."""

    event_id: str
    type: str
    url: str
    body: bytes
    sign: Signer
    due: float
    attempts: int = field(default=0, compare=False)


class Deliveries:
    """Sends each event to its receiver, as often, as late and in the order that is configured."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Delivery] = []
        self._http = httpx.Client(timeout=ANSWER_SECONDS, trust_env=False)
        self._ended = threading.Event()
        self.configure({})

    def configure(self, wanted: dict[str, Any]) -> None:
        """Set how webhooks travel.

        `delays_seconds` has one delay for each copy; `lost`, `doubled` and `late` are chances, a
        late one comes `late_seconds` later; `seed` makes them repeatable. With `held`, webhooks
        wait until `release` sends them.
        """
        self.delays_seconds = [float(one) for one in wanted.get("delays_seconds", (0,))]
        self.lost = float(wanted.get("lost", 0))
        self.doubled = float(wanted.get("doubled", 0))
        self.late = float(wanted.get("late", 0))
        self.late_seconds = float(wanted.get("late_seconds", 5))
        self.held = bool(wanted.get("held", False))
        self._random = random.Random(wanted.get("seed", 0))

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def add(self, event_id: str, type_: str, url: str, body: bytes, sign: Signer) -> None:
        """Take an event to be sent."""
        with self._lock:
            if self._random.random() < self.lost:
                return
            delays = list(self.delays_seconds)
            if self._random.random() < self.doubled:
                delays.append(delays[-1])
            for delay in delays:
                late = self.late_seconds if self._random.random() < self.late else 0
                due = time.monotonic() + delay + late
                self._waiting.append(Delivery(event_id, type_, url, body, sign, due))

    def release(self, shuffled: bool = False, most: int | None = None) -> list[dict[str, Any]]:
        """Send what waits, now and one after the other; tell the status of each answer, 0 for
        none. What is not accepted waits again."""
        with self._lock:
            going = sorted(self._waiting, key=lambda one: one.due)
            if shuffled:
                self._random.shuffle(going)
            going = going[:most]
            self._waiting = [one for one in self._waiting if not any(one is of for of in going)]
        return [
            {"event_id": one.event_id, "type": one.type, "status": self._send(one)} for one in going
        ]

    def waiting(self) -> int:
        with self._lock:
            return len(self._waiting)

    def _run(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            with self._lock:
                now = time.monotonic()
                due = [] if self.held else [one for one in self._waiting if one.due <= now]
                self._waiting = [one for one in self._waiting if not any(one is of for of in due)]
            for one in sorted(due, key=lambda one: one.due):
                self._send(one)

    def _send(self, one: Delivery) -> int:
        headers = {"content-type": "application/json; charset=utf-8", **one.sign(one.body)}
        try:
            status = self._http.post(one.url, content=one.body, headers=headers).status_code
        except httpx.HTTPError as error:
            logger.warning("webhook %s %s: %r", one.type, one.event_id, error)
            status = 0
        if not 200 <= status < 300:
            logger.warning("webhook %s %s: status %s", one.type, one.event_id, status)
            self._again(one)
        return status

    def _again(self, one: Delivery) -> None:
        if self.held or one.attempts < len(RETRY_SECONDS):
            wait = 0 if self.held else RETRY_SECONDS[one.attempts]
            one.attempts += 1
            one.due = time.monotonic() + wait
            with self._lock:
                self._waiting.append(one)
