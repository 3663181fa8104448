"""What a payment provider can be asked, whichever it is: one small interface over its HTTP API.

Amounts are decimals in the currency; each provider writes them in its own way.
"""

import base64
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, Protocol
from uuid import UUID

from pydantic import Field

from synaxis_billing.errors import InvalidRequest
from synaxis_billing.fields import Answer, Time

type ProviderName = Literal["stripe", "paypal"]
type Operation = Literal["check_out", "charge", "ask", "refund", "verify"]

# A clock of ours may be ahead of a provider's by so much.
FUTURE = timedelta(minutes=5)


class InvalidSignature(InvalidRequest):
    """The signature of the event is not valid."""


class NoAnswer(Exception):
    """The provider gave no usable answer: the call had its effect once or not at all."""


class Refused(Exception):
    """The provider refused the call, which had no effect."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class RefundOrder(Answer):
    """A refund that we ask for; `id` is its key at the provider."""

    id: UUID
    status: str
    amount: Decimal
    external_id: str | None
    created_at: Time


class Order(Answer):
    """A payment, as a provider has to know it; `id` is its key there. `as_of` is the instant of the
    question."""

    as_of: Time
    id: UUID
    organization_id: UUID
    status: str
    purpose: Literal["topup", "auto_topup", "invoice"]
    provider: ProviderName
    name: str
    email: str | None
    currency: str
    amount: Decimal
    minor_units: int
    return_url: str | None
    external_id: str | None
    customer_id: str | None
    payment_method_id: str | None
    created_at: Time
    refunds: list[RefundOrder]

    @property
    def age(self) -> timedelta:
        return self.as_of - self.created_at

    @property
    def description(self) -> str:
        return "Invoice" if self.purpose == "invoice" else "Prepaid credit"


class Checkout(Answer):
    """The page of a provider on which a payer pays."""

    external_id: str
    url: str
    expires_at: Time | None = None
    customer_id: str | None = None


class RefundState(Answer):
    """What a provider says of one refund; `id` is ours."""

    id: UUID
    status: Literal["pending", "succeeded", "failed"]
    external_id: str
    failure_code: str | None = None


class State(Answer):
    """What a provider says of a payment: totals in the currency, never changes.

    `disputed` is under dispute now, `lost` was lost by disputes. `external_ids` are the provider's
    objects that belong to it.
    """

    status: Literal["pending", "succeeded", "failed", "expired"]
    currency: str
    external_id: str | None = None
    external_ids: tuple[str, ...] = ()
    captured: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    disputed: Decimal = Decimal(0)
    lost: Decimal = Decimal(0)
    dispute_state: Literal["open", "won", "lost"] | None = None
    fee: Decimal | None = None
    fee_currency: str | None = None
    failure_code: str | None = None
    customer_id: str | None = None
    payment_method_id: str | None = None
    card_fingerprint: str | None = None
    card: str | None = None
    refunds: tuple[RefundState, ...] = ()


class Delivery(Answer):
    """A webhook as it came: the bytes of its body, and its headers by their names in lower case."""

    body: bytes
    headers: dict[str, str]
    received_at: datetime


class Notice(Answer):
    """What a verified webhook says: an event of these objects."""

    event_id: str
    type: str
    external_ids: list[str]


class Provider(Protocol):
    """A provider's API. Every call may raise NoAnswer and Refused."""

    def check_out(self, order: Order) -> Checkout:
        """Return the page on which a payment is made; the same one for the same payment."""

    def charge(self, order: Order) -> State:
        """Charge the saved card without the payer, once."""

    def ask(self, order: Order) -> State:
        """Return the payment's state; an approved one is captured first, once."""

    def refund(self, order: Order, refund: RefundOrder) -> None:
        """Give money back to the payer, once."""

    def verify(self, delivery: Delivery) -> Notice:
        """Return what a webhook says. Raises InvalidSignature."""


class Call(Answer):
    """A call of a provider, as it goes to where the internet can be reached."""

    provider: ProviderName
    operation: Operation
    order: Order | None = None
    refund: RefundOrder | None = None
    # Base64, since JSON carries text alone.
    body: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    received_at: datetime | None = None


class Result(Answer):
    """The answer to a call: exactly one of these, or nothing for a refund."""

    checkout: Checkout | None = None
    state: State | None = None
    notice: Notice | None = None
    no_answer: str | None = None
    refused: str | None = None
    invalid: str | None = None


type Calls = Callable[[Call], Result]


def perform(providers: Mapping[ProviderName, Provider], call: Call) -> Result:
    """Call a provider, and return its answer, whatever it is."""
    provider = providers.get(call.provider)
    if provider is None:
        return Result(refused="provider_not_configured")
    try:
        return _perform(provider, call)
    except NoAnswer as error:
        return Result(no_answer=str(error))
    except Refused as error:
        return Result(refused=error.code)
    except InvalidSignature as error:
        return Result(invalid=error.detail)


def _perform(provider: Provider, call: Call) -> Result:
    if call.operation == "verify":
        return Result(notice=provider.verify(delivery_of(call)))
    assert call.order
    match call.operation:
        case "check_out":
            return Result(checkout=provider.check_out(call.order))
        case "charge":
            return Result(state=provider.charge(call.order))
        case "ask":
            return Result(state=provider.ask(call.order))
        case "refund":
            assert call.refund
            provider.refund(call.order, call.refund)
    return Result()


def delivery_of(call: Call) -> Delivery:
    """Return the webhook that a call carries."""
    assert call.received_at
    return Delivery(
        body=base64.b64decode(call.body), headers=call.headers, received_at=call.received_at
    )


def require_answer(result: Result) -> Result:
    """Return a result that is an answer. Raises NoAnswer, Refused, InvalidSignature."""
    if result.no_answer is not None:
        raise NoAnswer(result.no_answer)
    if result.refused is not None:
        raise Refused(result.refused)
    if result.invalid is not None:
        raise InvalidSignature(result.invalid)
    return result


def check_time(sent_at: datetime, received_at: datetime, oldest: timedelta) -> None:
    """Refuse a webhook whose time is too old, or in the future. Raises InvalidSignature."""
    if not received_at - oldest <= sent_at <= received_at + FUTURE:
        raise InvalidSignature("The time of the event is too old, or in the future.")
