"""A provider in memory, whose payments tests change as payers, banks and the provider do."""

import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import psycopg

from synaxis_billing.caller import Caller
from synaxis_billing.payments import models, payments, refunds
from synaxis_billing.payments.advancing import Access, advance
from synaxis_billing.payments.providers import (
    Call,
    Checkout,
    Delivery,
    NoAnswer,
    Notice,
    Order,
    RefundOrder,
    RefundState,
    Refused,
    Result,
    State,
    perform,
)
from synaxis_billing.rates.rates import Rate
from tests.support import billing
from tests.support.steps import PLATFORM, new_key

NEVER = timedelta(0)


@dataclass
class Object:
    """A payment at the provider. Amounts are totals in the currency."""

    order: Order
    external_id: str
    paid: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    disputed: Decimal = Decimal(0)
    lost: Decimal = Decimal(0)
    dispute_state: Literal["open", "won", "lost"] | None = None
    fee: Decimal | None = None
    expired: bool = False
    declined: str | None = None
    refunds: dict[UUID, RefundState] = field(default_factory=dict)

    def dispute(self) -> None:
        self.disputed, self.dispute_state = self.paid - self.refunded, "open"

    def win(self) -> None:
        self.disputed, self.lost, self.dispute_state = Decimal(0), Decimal(0), "won"

    def lose(self) -> None:
        self.disputed, self.lost, self.dispute_state = Decimal(0), self.disputed, "lost"


class FakeProvider:
    """Keeps keys as a provider does. `fault` is called with each operation, before and after its
    effect, and may raise; `declines` is the code with which the bank declines a saved card."""

    # No two of one database name an object alike.
    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self.objects: dict[UUID, Object] = {}
        self.fault: Callable[[str, str], None] = lambda _operation, _when: None
        self.refuses: str | None = None
        self.declines: str | None = None
        self.charges = 0
        # Of a real provider's database.
        self._lock = threading.RLock()

    def made(self, payment: models.Payment) -> Object:
        return self.objects[payment.id]

    def check_out(self, order: Order) -> Checkout:
        self.fault("check_out", "before")
        if self.refuses:
            raise Refused(self.refuses)
        made = self.objects.setdefault(order.id, Object(order, f"cs_{next(self._numbers)}"))
        self.fault("check_out", "after")
        return Checkout(external_id=made.external_id, url=f"https://pay.example/{made.external_id}")

    def charge(self, order: Order) -> State:
        self.fault("charge", "before")
        if self.refuses:
            raise Refused(self.refuses)
        if order.id not in self.objects:
            self.charges += 1
            made = Object(order, f"pi_{next(self._numbers)}", declined=self.declines)
            made.paid = Decimal(0) if self.declines else order.amount
            self.objects[order.id] = made
        self.fault("charge", "after")
        return self._state(self.objects[order.id])

    def ask(self, order: Order) -> State:
        self.fault("ask", "before")
        return self._state(self.objects[order.id])

    def refund(self, order: Order, refund: RefundOrder) -> None:
        self.fault("refund", "before")
        if self.refuses:
            raise Refused(self.refuses)
        made = self.objects[order.id]
        with self._lock:
            if refund.id not in made.refunds:
                if refund.amount > made.paid - made.refunded or made.dispute_state is not None:
                    raise Refused("charge_disputed")
                made.refunded += refund.amount
                made.refunds[refund.id] = RefundState(
                    id=refund.id, status="succeeded", external_id=f"re_{next(self._numbers)}"
                )
        self.fault("refund", "after")

    def verify(self, delivery: Delivery) -> Notice:
        raise NotImplementedError

    def _state(self, made: Object) -> State:
        with self._lock:
            return self._now(made)

    @staticmethod
    def _now(made: Object) -> State:
        status: Literal["pending", "succeeded", "failed", "expired"] = "pending"
        if made.paid:
            status = "succeeded"
        elif made.declined:
            status = "failed"
        elif made.expired:
            status = "expired"
        return State(
            status=status,
            currency=made.order.currency,
            external_id=made.external_id,
            external_ids=(made.external_id, f"ch_{made.external_id}"),
            captured=made.paid,
            refunded=made.refunded,
            disputed=made.disputed,
            lost=made.lost,
            dispute_state=made.dispute_state,
            fee=made.fee,
            fee_currency=made.order.currency if made.fee else None,
            failure_code=made.declined,
            customer_id="cus_1",
            payment_method_id="pm_1",
            card="visa 4242",
            refunds=tuple(made.refunds.values()),
        )


def no_answer(operation: str, when: str = "after") -> Callable[[str, str], None]:
    """A fault: each call of the operation ends without an answer."""

    def fail(done: str, at: str) -> None:
        if (done, at) == (operation, when):
            raise NoAnswer("timed out")

    return fail


class Payer:
    """Pays for one organization in tests."""

    def __init__(
        self, db: psycopg.Connection, organization_id: UUID, provider: FakeProvider | None = None
    ) -> None:
        self.db = db
        self.organization_id = organization_id
        self.provider = provider or FakeProvider()
        self.rates: Iterable[Rate] = billing.rates()

    def access(self, caller: Caller = PLATFORM) -> Access:
        return Access(lambda: self.db, self.call, caller)

    def call(self, call: Call) -> Result:
        # As it travels between functions.
        sent = Call.model_validate_json(call.model_dump_json())
        answer = perform({"stripe": self.provider, "paypal": self.provider}, sent)
        return Result.model_validate_json(answer.model_dump_json())

    def ask_for(self, amount_usd: str, key: str = "", **more: Any) -> models.Payment:
        request = models.NewPayment.model_validate(
            {"provider": "stripe", "amount_usd": amount_usd, **more}
        )
        return self.create(request, key)

    def ask_for_invoice(self, invoice_id: UUID, key: str = "", **more: Any) -> models.Payment:
        request = models.NewPayment.model_validate(
            {"provider": "stripe", "invoice_id": str(invoice_id), **more}
        )
        return self.create(request, key)

    def create(self, request: models.NewPayment, key: str = "") -> models.Payment:
        return payments.create_payment(
            self.access(),
            self.organization_id,
            key or new_key(),
            request,
            self.rates,
            billing.ISSUER,
        )[0]

    def buy(self, amount_usd: str, **more: Any) -> models.Payment:
        """Ask for credit, pay, and settle."""
        payment = self.ask_for(amount_usd, **more)
        self.provider.made(payment).paid = payment.amount
        return self.settle(payment)

    def settle(self, payment: models.Payment) -> models.Payment:
        return advance(self.access(), self.organization_id, payment.id)

    def get(self, payment: models.Payment) -> models.Payment:
        return payments.get_payment(self.access(), self.organization_id, payment.id)

    def refund(
        self, payment: models.Payment, amount_usd: str | None = None, key: str = "", **more: Any
    ) -> refunds.PaymentRefund:
        request = refunds.PaymentRefundRequest.model_validate({"amount_usd": amount_usd, **more})
        return refunds.refund_payment(
            self.access(), self.organization_id, payment.id, key or new_key(), request
        )[0]
