"""Only the provider's own events are taken, as they were sent, and not long after."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from synaxis_billing import web
from synaxis_billing.edge.http.requests import raw_request
from synaxis_billing.payments import paypal
from synaxis_billing.payments.providers import Delivery, InvalidSignature
from synaxis_billing.payments.stripe import Stripe

stripe = pytest.importorskip("stripe", reason="Stripe's own library is not installed")

SECRET, OLD = "whsec_new", "whsec_old"
NOW = datetime.now(UTC)
# Spaces, an escape and letters of other scripts: bytes that no encoder would write again.
BODY = (
    b'{ "id":"evt_1",  "object":"event","type":"charge.refunded",\n'
    b'"data":{"object":{"id":"ch_1","object":"charge","payment_intent":"pi_1",'
    b'"description":"Caf\\u00e9 \xe2\x82\xac 1.10"}}}'
)


def header(body: bytes, at: float, *secrets: str) -> str:
    """Sign as Stripe documents it."""
    signed = f"{int(at)}.".encode() + body
    parts = [hmac.new(secret.encode(), signed, sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={int(at)}", *(f"v1={part}" for part in parts), "v0=no"])


def verify(body: bytes, signature: str, received_at: datetime = NOW) -> Any:
    account = Stripe("https://api.stripe.com", "sk", [SECRET, OLD])
    headers = {"stripe-signature": signature}
    return account.verify(Delivery(body=body, headers=headers, received_at=received_at))


def theirs(body: bytes, signature: str) -> None:
    stripe.WebhookSignature.verify_header(body.decode(), signature, SECRET, 300)


def test_what_stripes_library_takes_is_taken() -> None:
    signature = header(BODY, time.time(), SECRET)
    theirs(BODY, signature)
    notice = verify(BODY, signature, datetime.now(UTC))
    assert (notice.event_id, notice.type) == ("evt_1", "charge.refunded")
    assert set(notice.external_ids) == {"ch_1", "pi_1"}


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param(lambda _: "", id="none"),
        pytest.param(lambda _: "t=,v1=", id="empty"),
        pytest.param(lambda now: header(BODY, now, "whsec_other"), id="another secret"),
        pytest.param(lambda now: header(BODY + b" ", now, SECRET), id="another body"),
        pytest.param(lambda now: header(BODY, now - 301, SECRET), id="too old"),
        pytest.param(lambda now: header(BODY, now, SECRET).replace("v1", "v0"), id="old scheme"),
    ],
)
def test_what_stripes_library_refuses_is_refused(signed: Callable[[float], str]) -> None:
    signature = signed(time.time())
    with pytest.raises(stripe.SignatureVerificationError):
        theirs(BODY, signature)
    with pytest.raises(InvalidSignature):
        verify(BODY, signature, datetime.now(UTC))


def test_a_timestamp_in_the_future_is_refused_though_stripes_library_takes_it() -> None:
    signature = header(BODY, time.time() + 10_000_000, SECRET)
    theirs(BODY, signature)
    with pytest.raises(InvalidSignature):
        verify(BODY, signature, datetime.now(UTC))


def test_a_signature_is_over_the_bytes_and_not_over_json_written_again() -> None:
    again = json.dumps(json.loads(BODY)).encode()
    assert again != BODY
    with pytest.raises(InvalidSignature):
        verify(again, header(BODY, NOW.timestamp(), SECRET))
    with pytest.raises(InvalidSignature):
        verify(BODY, header(again, NOW.timestamp(), SECRET))


def test_paypal_verifies_the_very_bytes_that_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """PayPal is asked whether it signed the event, which is not written again on the way."""
    body = (
        b'{ "id":"WH-1",  "event_type":"PAYMENT.CAPTURE.COMPLETED",\n'
        b'"resource":{"id":"C1","note":"Caf\\u00e9 \xe2\x82\xac","amount":{"value":"1.10"}}}'
    )
    sent: list[bytes] = []

    def answer(_method: str, url: str, _headers: dict[str, str], asked: bytes) -> web.Response:
        sent.append(asked)
        token = b'{"access_token": "t", "expires_in": 900}'
        checked = b'{"verification_status": "SUCCESS"}'
        return web.Response(200, token if url.endswith("/token") else checked)

    monkeypatch.setattr(paypal, "send", answer)
    account = paypal.PayPal("https://api.paypal.com", "id", "secret", "WH")
    at = datetime.now(UTC)
    headers = {"paypal-transmission-time": at.isoformat()}
    account.verify(Delivery(body=body, headers=headers, received_at=at))
    assert sent[-1].endswith(b'"webhook_event": ' + body + b"}")
    assert json.loads(sent[-1])["webhook_event"] == json.loads(body)


def test_both_secrets_are_taken_during_a_rotation() -> None:
    for secrets in ([SECRET], [OLD], [OLD, SECRET], ["whsec_other", OLD]):
        verify(BODY, header(BODY, NOW.timestamp(), *secrets))


def test_a_body_in_base64_is_decoded_before_it_is_checked() -> None:
    event = {
        "body": base64.b64encode(BODY).decode(),
        "isBase64Encoded": True,
        "headers": {"stripe-signature": header(BODY, NOW.timestamp(), SECRET)},
    }
    raw = raw_request(event)
    assert raw.body == BODY
    verify(raw.body, raw.headers["stripe-signature"])


@pytest.mark.parametrize("late", [timedelta(minutes=-6), timedelta(minutes=6)])
def test_an_event_that_is_too_old_or_too_new_is_refused(late: timedelta) -> None:
    with pytest.raises(InvalidSignature):
        verify(BODY, header(BODY, (NOW + late).timestamp(), SECRET))
