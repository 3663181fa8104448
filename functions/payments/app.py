"""Payments by card and PayPal: buying credit, paying invoices, refunds to the payer."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from synaxis_billing.caller import Caller
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import Cursor, IdempotencyKey, Limit, Query
from synaxis_billing.edge.invoicing import issuer
from synaxis_billing.edge.payments import access
from synaxis_billing.errors import Conflict, TemporarilyUnavailable
from synaxis_billing.invoices.invoices import InvoiceNotFound
from synaxis_billing.paging import DEFAULT_LIMIT, Page
from synaxis_billing.payments import auto_topups, inbox, links, models, payments, refunds
from synaxis_billing.rates import rates

handler = api = Api()
PAYMENTS = "/v1/organizations/{organization_id}/payments"
PAYMENT = f"{PAYMENTS}/{{payment_id}}"
AUTO_TOPUP = "/v1/organizations/{organization_id}/auto-topup"
LINK = "/v1/payment-links/{token}"


@api.endpoint(
    f"POST {PAYMENTS}",
    "billing:pay",
    status=201,
    refuses=(
        Conflict,
        InvoiceNotFound,
        models.AmountTooSmall,
        models.PaymentRefused,
        TemporarilyUnavailable,
    ),
)
def create_payment(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: models.NewPayment
) -> Reply[models.Payment]:
    """Create a payment of credit, or of an invoice.

    The payer pays at `checkout_url`. Tax comes on top of the credit's price, in the billing
    currency; `preview` shows it before. An invoice has one open payment, which is returned if it
    exists. Credit comes when the provider says that it was paid. A closed organization can pay its
    invoices, and buys no credit.
    """
    prices = (rates.current_rates(connection, cache()), issuer())
    return Reply(*payments.create_payment(access(caller), organization_id, key, body, *prices))


@api.endpoint(f"POST {PAYMENTS}/preview", "billing:pay")
def preview_payment(
    caller: Caller, organization_id: UUID, body: models.PreviewRequest
) -> Reply[models.PaymentPreview]:
    """Preview a payment of credit.

    Shows price, tax and total in the billing currency at the current exchange rate, and stores
    nothing.
    """
    prices = (rates.current_rates(connection, cache()), issuer())
    return Reply(payments.preview_payment(connection(), caller, organization_id, body, *prices))


@api.endpoint(f"GET {PAYMENTS}", "billing:pay")
def list_payments(
    caller: Caller,
    organization_id: UUID,
    status: Annotated[
        models.PaymentStatus | None, Query(), Field(description="Only payments in this state.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[Page[models.Payment]]:
    """List the payments of an organization, newest first.

    Each as it was settled last.
    """
    page = (status, limit, cursor)
    return Reply(payments.list_payments(connection(), caller, organization_id, *page))


@api.endpoint(f"GET {PAYMENT}", "billing:pay", refuses=(models.PaymentNotFound,))
def get_payment(caller: Caller, organization_id: UUID, payment_id: UUID) -> Reply[models.Payment]:
    """Get a payment.

    The provider is asked about an open one, so that credit comes also when no webhook does.
    """
    return Reply(payments.get_payment(access(caller), organization_id, payment_id))


@api.endpoint(
    f"POST {PAYMENT}/refund",
    "billing:topup",
    status=201,
    refuses=(
        models.PaymentNotFound,
        Conflict,
        refunds.RefundExceedsPayment,
        models.PaymentRefused,
    ),
)
def refund_payment(
    caller: Caller,
    organization_id: UUID,
    payment_id: UUID,
    key: IdempotencyKey,
    body: refunds.PaymentRefundRequest,
) -> Reply[refunds.PaymentRefund]:
    """Refund a payment to its payer, whole or in part.

    Takes unspent credit of the payment and gives back what was paid for it, with tax. Spent credit
    is refunded only with `allow_negative_balance`, and becomes debt.
    """
    ids = (organization_id, payment_id)
    return Reply(*refunds.refund_payment(access(caller), *ids, key, body))


@api.endpoint("GET /v1/payments", "billing:pay")
def list_platform_payments(
    caller: Caller,
    listed: Annotated[models.PaymentFilter, Query()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Reply[Page[models.PlatformPayment]]:
    """List the payments of all organizations, newest first.

    Needs `billing:platform` too. Each as it was settled last: those in doubt, whose provider has
    not answered, have the status `unknown`; those that a payer disputes have the dispute's state.
    """
    return Reply(payments.list_platform_payments(connection(), caller, listed, limit, cursor))


@api.endpoint("GET /v1/payment-events", "billing:pay")
def list_unmatched_payment_events(
    caller: Caller, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Reply[Page[inbox.UnmatchedEvent]]:
    """List webhooks of the providers that name no payment that is known, newest first.

    Needs `billing:platform` too. They are of another system at the same provider, or of a payment
    that is missing here; each is settled when its payment appears.
    """
    return Reply(inbox.list_unmatched(connection(), caller, limit, cursor))


@api.endpoint(f"PUT {AUTO_TOPUP}", "billing:pay", refuses=(auto_topups.NoSavedCard,))
def set_auto_topup(
    caller: Caller, organization_id: UUID, body: auto_topups.AutoTopupRequest
) -> Reply[auto_topups.AutoTopup]:
    """Switch automatic top-ups on, or change them.

    Within a minute of the available credit's fall below the threshold, the saved card is charged
    for what is missing to the target. There is never more than one charge under way, and never more
    than the limit in a calendar month. A declined card is tried again after 1, 2 and 4 hours; after
    the fourth decline, or one that no later try can mend, it is paused until a payment succeeds.
    """
    return Reply(auto_topups.set_auto_topup(connection(), caller, organization_id, body))


@api.endpoint(f"GET {AUTO_TOPUP}", "billing:pay", refuses=(auto_topups.AutoTopupNotFound,))
def get_auto_topup(caller: Caller, organization_id: UUID) -> Reply[auto_topups.AutoTopup]:
    """Get the automatic top-ups of an organization.

    Tells what was bought this month, and whether the card was declined.
    """
    return Reply(auto_topups.get_auto_topup(connection(), caller, organization_id))


@api.endpoint(f"DELETE {AUTO_TOPUP}", "billing:pay", refuses=(auto_topups.AutoTopupNotFound,))
def delete_auto_topup(caller: Caller, organization_id: UUID) -> Reply[auto_topups.AutoTopup]:
    """Switch automatic top-ups off.

    Answers them as they were. A charge that is under way goes on.
    """
    return Reply(auto_topups.delete_auto_topup(connection(), caller, organization_id))


@api.endpoint(
    "POST /v1/organizations/{organization_id}/invoices/{invoice_id}/payment-link",
    "billing:pay",
    status=201,
    refuses=(InvoiceNotFound, Conflict),
)
def create_payment_link(
    caller: Caller, organization_id: UUID, invoice_id: UUID, body: links.NewPaymentLink
) -> Reply[links.PaymentLink]:
    """Create a link to pay an invoice.

    Whoever has the token may see what that invoice asks for, and pay it, until the link expires.
    """
    ids = (organization_id, invoice_id)
    return Reply(links.create_link(connection(), caller, *ids, body))


@api.endpoint(f"GET {LINK}", None, refuses=(links.PaymentLinkNotFound,))
def get_payment_link(token: links.LinkToken) -> Reply[links.LinkedInvoice]:
    """Get what a payment link asks for.

    Needs no token but that of the link.
    """
    return Reply(links.get_linked_invoice(connection(), token))


@api.endpoint(
    f"POST {LINK}",
    None,
    status=201,
    refuses=(
        links.PaymentLinkNotFound,
        Conflict,
        models.PaymentRefused,
        TemporarilyUnavailable,
    ),
)
def pay_by_link(
    token: links.LinkToken, body: links.LinkPaymentRequest
) -> Reply[links.LinkedPayment]:
    """Pay the invoice of a payment link.

    Returns the provider's page on which to pay. The invoice has one open payment, whoever asks.
    """
    prices = (rates.current_rates(connection, cache()), issuer())
    return Reply(links.pay_by_link(access(Caller(tenant="")), token, body, *prices))
