"""Links by which anybody who has the token pays one invoice, and can do nothing else."""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Annotated
from uuid import UUID, uuid4

import psycopg
from pydantic import Field, StringConstraints

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import NotFound
from synaxis_billing.fields import Answer, Money, Request, Time
from synaxis_billing.invoices.invoices import InvoiceStatus
from synaxis_billing.invoices.parties import Issuer
from synaxis_billing.payments.advancing import Access
from synaxis_billing.payments.models import NewPayment, PaymentStatus, ReturnUrl
from synaxis_billing.payments.payments import create_payment
from synaxis_billing.payments.providers import ProviderName
from synaxis_billing.rates.rates import Rate

SECRET_BYTES = 16
# The organization's id and the secret, in the base64 of URLs.
LinkToken = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    Field(description="The secret of the link."),
]
DAY_SECONDS = 86_400


class NewPaymentLink(Request):
    """Without `expires_in_seconds`, the link lives for 30 days."""

    expires_in_seconds: Annotated[int, Field(strict=True, ge=60, le=90 * DAY_SECONDS)] = (
        30 * DAY_SECONDS
    )
    """How long the link lives, at most 90 days."""


class PaymentLink(Answer):
    """A link to pay an invoice. The token is shown this once."""

    invoice_id: UUID
    """Id of the invoice."""
    token: str
    """The secret of the link, for `/v1/payment-links/{token}`."""
    expires_at: Time
    """Instant from which the link is closed."""


class LinkedInvoice(Answer):
    """What a link asks for."""

    invoice_id: UUID
    """Id of the invoice."""
    invoice_number: str
    """Number of the invoice."""
    status: InvoiceStatus
    """State of the invoice."""
    seller: str
    """Name of the seller."""
    currency: str
    """ISO 4217 code of the currency."""
    amount: Money
    """What is left to pay, with tax."""
    due_date: date | None
    """Day until which to pay."""
    expires_at: Time
    """Instant from which the link is closed."""


class LinkPaymentRequest(Request):
    """How the payer pays."""

    provider: ProviderName
    """Who takes the money."""
    return_url: ReturnUrl | None = None
    """The page to which the payer returns."""


class LinkedPayment(Answer):
    """The open payment of a link's invoice."""

    status: PaymentStatus
    """State of the payment."""
    checkout_url: str | None
    """The provider's page on which to pay."""
    expires_at: Time | None
    """Instant from which that page is closed; null if the provider does not say."""


class PaymentLinkNotFound(NotFound):
    """The link does not exist, or has expired."""

    code = "payment_link_not_found"


def create_link(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    invoice_id: UUID,
    request: NewPaymentLink,
) -> PaymentLink:
    """Return a new link. Raises OrganizationNotFound, InvoiceNotFound, Conflict (the invoice cannot
    be paid)."""
    secret = secrets.token_bytes(SECRET_BYTES)
    outcome = procedures.call(
        db,
        "create_payment_link",
        tenant=caller.tenant,
        organization_id=organization_id,
        invoice_id=invoice_id,
        token_hash=_hash(secret),
        expires_in=timedelta(seconds=request.expires_in_seconds),
    )
    value, _ = procedures.accepted(outcome)
    token = base64.urlsafe_b64encode(organization_id.bytes + secret).decode().rstrip("=")
    return PaymentLink(token=token, **value)


def get_linked_invoice(db: psycopg.Connection, token: str) -> LinkedInvoice:
    """Return what a link asks for. Raises PaymentLinkNotFound."""
    organization_id, secret = _parts(token)
    outcome = procedures.call(
        db,
        "payment_link",
        tenant=str(organization_id),
        organization_id=organization_id,
        token_hash=_hash(secret),
    )
    return LinkedInvoice.model_validate(procedures.accepted(outcome)[0])


def pay_by_link(
    access: Access, token: str, request: LinkPaymentRequest, rates: Iterable[Rate], issuer: Issuer
) -> LinkedPayment:
    """Return the open payment of a link's invoice, which is created if it has none.

    Raises PaymentLinkNotFound, and what create_payment() raises.
    """
    invoice = get_linked_invoice(access.connect(), token)
    organization_id, _ = _parts(token)
    asked = NewPayment(
        provider=request.provider, invoice_id=invoice.invoice_id, return_url=request.return_url
    )
    own = access._replace(caller=Caller(tenant=str(organization_id), subject=None))
    # The invoice has one open payment, whatever the key.
    key = f"link {uuid4()}"
    payment, _ = create_payment(own, organization_id, key, asked, rates, issuer)
    return LinkedPayment(
        status=payment.status, checkout_url=payment.checkout_url, expires_at=payment.expires_at
    )


def _parts(token: str) -> tuple[UUID, bytes]:
    """Return the organization and the secret of a token. Raises PaymentLinkNotFound."""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        decoded = base64.b64decode(padded, altchars=b"-_", validate=True)
        return UUID(bytes=decoded[:16]), decoded[16:]
    except (ValueError, binascii.Error):
        raise PaymentLinkNotFound from None


def _hash(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
