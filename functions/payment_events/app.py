"""The webhooks of payment providers: verified, stored, answered."""

from datetime import UTC, datetime

from synaxis_billing.edge.aws import queue
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import File
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.requests import Raw
from synaxis_billing.edge.payments import call
from synaxis_billing.edge.settings import settings
from synaxis_billing.payments import inbox
from synaxis_billing.payments.providers import ProviderName

handler = api = Api()


@api.endpoint("POST /v1/payment-events/{provider}", None)
def receive_event(provider: ProviderName, raw: Raw) -> File:
    """Receive a webhook of a payment provider.

    It is stored before it is answered. If its message to the worker is lost, the sweep asks.
    """
    found = inbox.receive_event(connection(), call, provider, *raw, datetime.now(UTC))
    queue.send(settings().payment_queue_url, [one.model_dump_json() for one in found])
    return File("{}", "application/json")
