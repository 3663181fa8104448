"""A client of Synaxis Billing: prepaid credit for LLM calls.

`Billing` and `AsyncBilling` have a method for each route, and `hold`, for a call whose cost is not
known yet. `SpendingLease` spends from one hold in memory. `webhooks.verify` checks a webhook.
Errors are in `errors`.
"""

from synaxis_billing_client import errors, models, webhooks
from synaxis_billing_client.calls import Retries, new_key
from synaxis_billing_client.client import AsyncBilling, Billing, credentials
from synaxis_billing_client.holds import Held
from synaxis_billing_client.journal import Journal
from synaxis_billing_client.leases import AsyncSpendingLease, SpendingLease
from synaxis_billing_client.money import usd
from synaxis_billing_client.tokens import ClientCredentials

__all__ = [
    "AsyncBilling",
    "AsyncSpendingLease",
    "Billing",
    "ClientCredentials",
    "Held",
    "Journal",
    "Retries",
    "SpendingLease",
    "credentials",
    "errors",
    "models",
    "new_key",
    "usd",
    "webhooks",
]
