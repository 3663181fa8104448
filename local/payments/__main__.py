"""`python -m local.payments`: serve the stand-in until interrupted."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from local.payments.server import Standin

# Real webhooks come late, and some twice; a receiver that is built for that works always.
TWICE_AND_LATE = (1.0, 5.0)


def main() -> None:
    parser = argparse.ArgumentParser("python -m local.payments", description=__doc__)
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--file", type=Path, help="keeps the objects for the next start")
    parser.add_argument("--stripe-webhook", default="", help="URL that Stripe's events go to")
    parser.add_argument("--paypal-webhook", default="", help="URL that PayPal's events go to")
    given = parser.parse_args()
    named = {"stripe": given.stripe_webhook, "paypal": given.paypal_webhook}
    webhooks = {name: url for name, url in named.items() if url}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    standin = Standin(None, given.port, given.file, webhooks)
    standin.deliveries.configure({"delays_seconds": TWICE_AND_LATE})
    with standin.running():
        print(f"Stand-in of Stripe and PayPal on {standin.url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
