"""Bill calls of OpenAI's SDK: one answered whole, one streamed.

Give SYNAXIS_BILLING_URL, ORGANIZATION (an id), and what the SDK reads: OPENAI_BASE_URL and
OPENAI_API_KEY.
"""

import os

from openai import OpenAI

from synaxis_billing_client import Billing, credentials

URL = os.environ.get("SYNAXIS_BILLING_URL", "http://127.0.0.1:3000")
ORGANIZATION = os.environ["ORGANIZATION"]
MODEL = "gpt-4o-mini"
# The most that a call can cost: as many tokens of input and of output.
MOST = {"format": "buckets", "input": 1000, "output": 200}

openai = OpenAI()
with Billing(URL, credentials(URL, None, "gateway", "a secret")) as billing:
    with billing.hold(ORGANIZATION, provider="openai", model=MODEL, max_usage=MOST) as call:
        answer = openai.chat.completions.create(
            model=MODEL, max_tokens=200, messages=[{"role": "user", "content": "Hello"}]
        )
        charged = call.capture(answer.usage)
    print(answer.choices[0].message.content, charged)

    # A stream is charged by its last chunk, or for what came if it ends before.
    with billing.hold(ORGANIZATION, provider="openai", model=MODEL, max_usage=MOST) as call:
        chunks = openai.chat.completions.create(
            model=MODEL,
            max_tokens=200,
            messages=[{"role": "user", "content": "Hello again"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        for chunk in call.stream(chunks):
            print(chunk.choices[0].delta.content if chunk.choices else "")

    print(billing.get_balance(ORGANIZATION).available_usd)
