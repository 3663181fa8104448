"""Bill calls of Anthropic's SDK with asyncio: one answered whole, one streamed.

Give SYNAXIS_BILLING_URL, ORGANIZATION (an id), and what the SDK reads: ANTHROPIC_BASE_URL,
ANTHROPIC_API_KEY.
"""

import asyncio
import os

from anthropic import AsyncAnthropic

from synaxis_billing_client import AsyncBilling, Held, credentials

URL = os.environ.get("SYNAXIS_BILLING_URL", "http://127.0.0.1:3000")
ORGANIZATION = os.environ["ORGANIZATION"]
MODEL = "claude-haiku-4-5"
MOST = {"format": "buckets", "input": 1000, "output": 200}


async def main() -> None:
    anthropic = AsyncAnthropic()
    async with AsyncBilling(URL, credentials(URL, None, "gateway", "a secret")) as billing:
        held: Held = {"provider": "anthropic", "model": MODEL, "max_usage": MOST}
        async with billing.hold(ORGANIZATION, **held) as call:
            answer = await anthropic.messages.create(
                model=MODEL, max_tokens=200, messages=[{"role": "user", "content": "Hello"}]
            )
            print(await call.capture(answer.usage))

        # A stream is charged by its last event, or for what came if its task is cancelled.
        async with billing.hold(ORGANIZATION, **held) as call:
            events = await anthropic.messages.create(
                model=MODEL,
                max_tokens=200,
                messages=[{"role": "user", "content": "Hello again"}],
                stream=True,
            )
            async for event in call.stream(events):
                print(event.type)

        print((await billing.get_balance(ORGANIZATION)).available_usd)


asyncio.run(main())
