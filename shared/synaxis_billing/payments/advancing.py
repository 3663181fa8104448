"""Bringing payments forward: calls to providers, and the settlement of their answers."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.payments.models import OPEN, Payment
from synaxis_billing.payments.providers import (
    Call,
    Calls,
    NoAnswer,
    Operation,
    Order,
    RefundOrder,
    RefundState,
    Refused,
    Result,
    State,
    require_answer,
)

# After that, a provider may take the same key for a second payment.
FORGOTTEN_AFTER = timedelta(hours=5)


class Access(NamedTuple):
    """How the ledger and the providers are reached, and on whose behalf."""

    connect: Callable[[], psycopg.Connection]
    calls: Calls
    caller: Caller


def advance(access: Access, organization_id: UUID, payment_id: UUID) -> Payment:
    """Bring a payment forward: send what the provider has not got yet, under the same keys, ask
    what it says, and settle that. Any number of these may run at once.

    Raises OrganizationNotFound, PaymentNotFound, NoAnswer, Refused, Conflict (the provider names
    another currency).
    """
    outcome = procedures.call(
        access.connect(),
        "payment_order",
        tenant=access.caller.tenant,
        organization_id=organization_id,
        payment_id=payment_id,
    )
    order = Order.model_validate(procedures.accepted(outcome)[0])
    if order.external_id is None and order.status in OPEN:
        return _send(access, order)
    state = State(status="expired", currency=order.currency)
    if order.external_id is not None:
        refused = [found for refund in order.refunds if (found := _refund(access, order, refund))]
        asked = _call(access, order, "ask").state
        assert asked
        state = asked.model_copy(update={"refunds": (*asked.refunds, *refused)})
    return _settle(access, order, state)


def due_payments(access: Access) -> Iterator[tuple[UUID, UUID]]:
    """Iterate over the payments that are due to be asked for, by organization and id."""
    for organization_id in procedures.each_organization(access.connect, "due_payments"):
        for payment_id in procedures.call(
            access.connect(), "claim_payments", tenant="*", organization_id=organization_id
        ):
            yield organization_id, payment_id


def _send(access: Access, order: Order) -> Payment:
    """Send a payment to its provider under its own id, in every try. The page of a payment whose
    answers were all lost is known to nobody, so nobody can pay on it."""
    try:
        if order.purpose == "auto_topup":
            charged = _call(access, order, "charge").state
            assert charged
            return _settle(access, order, charged)
        if order.age > FORGOTTEN_AFTER:
            return _settle(access, order, State(status="expired", currency=order.currency))
        checkout = _call(access, order, "check_out").checkout
        assert checkout
    except NoAnswer:
        _record(access, order, None, None, None, None)
        raise
    except Refused as error:
        failed = State(status="failed", currency=order.currency, failure_code=error.code)
        return _settle(access, order, failed)
    page = (checkout.external_id, checkout.url, checkout.expires_at, checkout.customer_id)
    return _record(access, order, *page)


def _refund(access: Access, order: Order, refund: RefundOrder) -> RefundState | None:
    """Send a refund that is not known to have been answered; return it if it was refused."""
    if refund.status not in OPEN:
        return None
    try:
        _call(access, order, "refund", refund)
    except Refused as error:
        return RefundState(id=refund.id, status="failed", external_id="", failure_code=error.code)
    return None


def _call(
    access: Access, order: Order, operation: Operation, refund: RefundOrder | None = None
) -> Result:
    """Call the provider. Raises NoAnswer, Refused."""
    call = Call(provider=order.provider, operation=operation, order=order, refund=refund)
    return require_answer(access.calls(call))


def _record(
    access: Access,
    order: Order,
    external_id: str | None,
    url: str | None,
    expires_at: datetime | None,
    customer_id: str | None,
) -> Payment:
    return call_for_payment(
        access,
        "record_checkout",
        order.organization_id,
        order.id,
        external_id=external_id,
        checkout_url=url,
        expires_at=expires_at,
        customer_id=customer_id,
    )


def _settle(access: Access, order: Order, state: State) -> Payment:
    return call_for_payment(
        access,
        "settle_payment",
        order.organization_id,
        order.id,
        as_of=order.as_of,
        state=Jsonb(state.model_dump(mode="json")),
    )


def call_for_payment(
    access: Access, function: str, organization_id: UUID, payment_id: UUID, **arguments: object
) -> Payment:
    """Return the payment that a function of the database answers."""
    outcome = procedures.call(
        access.connect(),
        function,
        tenant=access.caller.tenant,
        organization_id=organization_id,
        payment_id=payment_id,
        **arguments,
    )
    return Payment.model_validate(procedures.accepted(outcome)[0])
