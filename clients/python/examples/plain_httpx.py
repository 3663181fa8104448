"""Bill a call that any HTTP client makes, and many calls within a lease.

Give SYNAXIS_BILLING_URL, ORGANIZATION (an id), and PROVIDER_URL, which answers as OpenAI does.
"""

import os

import httpx

from synaxis_billing_client import Billing, SpendingLease, credentials

URL = os.environ.get("SYNAXIS_BILLING_URL", "http://127.0.0.1:3000")
ORGANIZATION = os.environ["ORGANIZATION"]
MODEL = "gpt-4o-mini"
MOST = {"format": "buckets", "input": 1000, "output": 200}

provider = httpx.Client(base_url=os.environ["PROVIDER_URL"])


def chat(text: str) -> httpx.Response:
    body = {"model": MODEL, "max_tokens": 200, "messages": [{"role": "user", "content": text}]}
    return provider.post("/chat/completions", json=body).raise_for_status()


with provider, Billing(URL, credentials(URL, None, "gateway", "a secret")) as billing:
    with billing.hold(ORGANIZATION, provider="openai", model=MODEL, max_usage=MOST) as call:
        call.capture(chat("Hello").json()["usage"])

    with SpendingLease(billing, ORGANIZATION, "0.50") as lease:
        for number in range(10):
            reserved = lease.reserve("0.01")
            answer = chat(f"Hello {number}")
            reserved.capture(answer.json()["usage"], provider="openai", model=MODEL)

    print(billing.get_balance(ORGANIZATION).available_usd)
