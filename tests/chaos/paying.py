"""People who buy, spend, refund and dispute credit, while providers' answers and webhooks fail."""

import contextlib
import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import psycopg

from local.payments import controls
from local.payments.forms import Refused as StripeRefused
from local.payments.paypal_money import Problem
from local.payments.server import Standin
from synaxis_billing.errors import BillingError
from synaxis_billing.payments import inbox, models, payments, refunds
from synaxis_billing.payments.advancing import Access, advance, due_payments
from synaxis_billing.payments.paypal import PayPal
from synaxis_billing.payments.providers import Call, NoAnswer, Refused, Result, perform
from synaxis_billing.payments.stripe import Stripe
from tests.support import billing, steps
from tests.support.receiver import Receiver

CARDS = {
    "4242424242424242": 5,
    "4000000000009995": 1,
    "4000002760003184": 1,
    "4000000000000259": 1,
}
FUNDING = {"balance": 5, "declined": 1, "echeck": 1}


class People:
    """What happens to some organizations, by chance. Each method is one thing that happens."""

    def __init__(
        self,
        db: psycopg.Connection,
        standin: Standin,
        receiver: Receiver,
        organizations: list[UUID],
        seed: str,
    ) -> None:
        self._db = db
        self._standin = standin
        self._receiver = receiver
        self._organizations = organizations
        self._random = random.Random(seed)
        self._asked: list[tuple[UUID, str, models.NewPayment]] = []
        secrets = standin.secrets
        self._providers = {
            "stripe": Stripe(standin.url, secrets.stripe_api_key, [secrets.stripe_webhook_secret]),
            "paypal": PayPal(
                standin.url,
                secrets.paypal_client_id,
                secrets.paypal_client_secret,
                secrets.paypal_webhook_id,
            ),
        }
        self.access = Access(lambda: db, self._call, steps.PLATFORM)
        self.done: dict[str, int] = {}

    def _call(self, call: Call) -> Result:
        return perform(self._providers, call)  # type: ignore[arg-type]

    def act(self) -> None:
        """One thing happens. Refusals are part of life."""
        things: list[Any] = [self.buy] * 4 + [self.pay] * 6 + [self.spend] * 3 + [self.webhooks] * 4
        things += [self.ask, self.again, self.refund, self.refund, self.refund_elsewhere]
        things += [self.dispute, self.decide, self.clear]
        thing = self._random.choice(things)
        with contextlib.suppress(
            BillingError, NoAnswer, Refused, StripeRefused, Problem, KeyError, IndexError
        ):
            thing()
            self.done[thing.__name__] = self.done.get(thing.__name__, 0) + 1

    def buy(self) -> None:
        request = models.NewPayment.model_validate(
            {
                "provider": self._random.choice(["stripe", "paypal"]),
                "amount_usd": f"{self._random.randint(500, 20000) / 100:.2f}",
                "return_url": "https://example.com/back",
            }
        )
        self._asked.append((self._random.choice(self._organizations), steps.new_key(), request))
        self._create(*self._asked[-1])

    def again(self) -> None:
        """Somebody whose answer was lost asks again."""
        self._create(*self._random.choice(self._asked))

    def _create(self, organization_id: UUID, key: str, request: models.NewPayment) -> None:
        payments.create_payment(
            self.access, organization_id, key, request, billing.rates(), billing.ISSUER
        )

    def _listed(self, status: models.PaymentStatus | None) -> list[models.Payment]:
        organization_id = self._random.choice(self._organizations)
        page = payments.list_payments(self._db, steps.PLATFORM, organization_id, status, 100, None)
        return list(page.items)

    def _some(self, status: models.PaymentStatus | None = None) -> models.Payment:
        return self._random.choice(self._listed(status))

    def pay(self) -> None:
        payment = self._some("pending")
        if payment.checkout_url is None:
            return
        if payment.provider == "paypal":
            self._submit(payment.checkout_url, funding=self._chosen(FUNDING))
            return
        payer = {"name": "Ada", "email": "ada@example.com"}
        shown = self._submit(payment.checkout_url, number=self._chosen(CARDS), **payer)
        asked = shown.headers.get("location", "")
        if "/authenticate/" in asked:
            self._submit(asked, answer=self._random.choice(["confirm", "refuse"]))

    def _chosen(self, weights: dict[str, int]) -> str:
        return self._random.choices(list(weights), list(weights.values()))[0]

    def _submit(self, url: str, **form: str) -> httpx.Response:
        return httpx.post(url, data=form, trust_env=False)

    def spend(self) -> None:
        amount = f"{self._random.randint(1, 3000) / 100:.2f}"
        steps.charge(self._db, self._random.choice(self._organizations), amount)

    def ask(self) -> None:
        payment = self._some()
        payments.get_payment(self.access, payment.organization_id, payment.id)

    def refund(self) -> None:
        payment = self._some("succeeded")
        request: dict[str, Any] = {"allow_negative_balance": self._random.random() < 0.3}
        if self._random.random() < 0.7:
            request |= {"amount_usd": f"{self._random.randint(100, 4000) / 100:.2f}"}
        refunds.refund_payment(
            self.access,
            payment.organization_id,
            payment.id,
            steps.new_key(),
            refunds.PaymentRefundRequest.model_validate(request),
        )

    def refund_elsewhere(self) -> None:
        """Somebody refunds a charge in Stripe's dashboard."""
        with self._standin.state.changing():
            paid = self._random.choice(self._standin.state.of_kind("charge"))
            amount = self._random.randint(1, paid["amount"])
            self._standin.account.refund(paid, amount, {})

    def dispute(self) -> None:
        with self._standin.state.lock:
            paid = self._standin.state.of_kind("charge") + self._standin.state.of_kind("capture")
        controls.dispute(self._standin, {"payment": self._random.choice(paid)["id"]})

    def decide(self) -> None:
        with self._standin.state.lock:
            disputes = [one["id"] for one in self._standin.state.of_kind("dispute")]
            disputes += [one["dispute_id"] for one in self._standin.state.of_kind("paypal_dispute")]
        outcome = self._random.choice(["won", "lost"])
        controls.close(
            self._standin, {"dispute": self._random.choice(disputes), "outcome": outcome}
        )

    def clear(self) -> None:
        """A bank pays, or does not."""
        with self._standin.state.lock:
            found = [one["id"] for one in self._standin.state.of_kind("capture")]
        completed = self._random.random() < 0.5
        controls.clear(
            self._standin, {"capture": self._random.choice(found), "completed": completed}
        )

    def clear_all(self) -> None:
        """Banks decide in the end."""
        for capture in self._standin.state.of_kind("capture"):
            if capture["status"] == "PENDING":
                controls.clear(self._standin, {"capture": capture["id"]})

    def webhooks(self) -> None:
        """Some of what waits is delivered, in any order; each payment that it names is settled."""
        self._standin.deliveries.release(shuffled=True, most=self._random.randint(1, 20))
        while self._receiver.received:
            with contextlib.suppress(IndexError):
                received = self._receiver.received.pop(
                    self._random.randrange(len(self._receiver.received))
                )
                self._receive(received.path, received.body.encode(), received.headers)

    def _receive(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        provider: Any = path.rpartition("/")[2]
        with contextlib.suppress(BillingError, NoAnswer, Refused):
            now = datetime.now(UTC)
            for found in inbox.receive_event(self._db, self._call, provider, body, headers, now):
                advance(self.access, found.organization_id, found.payment_id)

    def sweep(self) -> None:
        """Ask about each payment that is due."""
        for organization_id, payment_id in due_payments(self.access):
            with contextlib.suppress(NoAnswer, Refused):
                advance(self.access, organization_id, payment_id)


def at_once(people: list[People], actions: int) -> None:
    """Have each of them do so many things, all at the same time."""

    def live(one: People) -> None:
        for _ in range(actions):
            one.act()

    with ThreadPoolExecutor(len(people)) as pool:
        for _ in pool.map(live, people):
            pass


class AtProvider:
    """What the provider has of one payment: totals in the currency."""

    def __init__(self) -> None:
        self.charges = 0
        self.captured = self.refunded = self.lost = Decimal(0)

    def add(self, captured: Decimal, refunded: Decimal) -> None:
        self.charges += 1
        self.captured += captured
        self.refunded += refunded


def at_providers(standin: Standin) -> dict[UUID, AtProvider]:
    """What the providers' own books say of each payment of ours."""
    found: dict[UUID, AtProvider] = defaultdict(AtProvider)
    by_charge: dict[str, AtProvider] = defaultdict(AtProvider)
    for paid in standin.state.of_kind("charge"):
        if paid["status"] == "succeeded":
            one = by_charge[paid["id"]] = found[UUID(paid["metadata"]["payment_id"])]
            one.add(_units(paid["amount_captured"]), _units(paid["amount_refunded"]))
    for capture in standin.state.of_kind("capture"):
        if capture["status"] not in ("PENDING", "DECLINED"):
            one = by_charge[capture["id"]] = found[UUID(capture["custom_id"])]
            one.add(Decimal(capture["amount"]["value"]), Decimal(capture["_refunded"]))
    for dispute in standin.state.of_kind("dispute"):
        if dispute["status"] == "lost":
            by_charge[dispute["charge"]].lost += _units(dispute["amount"])
    for dispute in standin.state.of_kind("paypal_dispute"):
        given = dispute.get("dispute_outcome", {}).get("amount_refunded", {"value": "0"})
        by_charge[dispute["_capture"]].lost += Decimal(given["value"])
    return dict(found)


def _units(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)
