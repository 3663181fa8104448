"""A payment, as a client asks for it and gets it."""

from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, StringConstraints, model_validator

from synaxis_billing.errors import NotFound, Unprocessable
from synaxis_billing.fields import Answer, Money, Request, Time, Usd, json_schema
from synaxis_billing.payments.providers import ProviderName
from synaxis_billing.web import check_url

type PaymentPurpose = Literal["topup", "auto_topup", "invoice"]
type PaymentStatus = Literal["pending", "unknown", "succeeded", "failed", "expired"]
type DisputeState = Literal["open", "won", "lost"]

OPEN = ("pending", "unknown")


ReturnUrl = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000),
    AfterValidator(check_url),
    json_schema(r"^https://[A-Za-z0-9.-]+(/[!-\"$-~]*)?$", "https://example.com/billing"),
]


class NewPayment(Request):
    """Exactly one of `amount_usd` and `invoice_id`."""

    provider: ProviderName
    """Who takes the money."""
    amount_usd: Usd | None = None
    """Credit to buy, in US dollars; tax comes on top."""
    invoice_id: UUID | None = None
    """Id of an issued invoice to pay."""
    return_url: ReturnUrl | None = None
    """The page to which the payer returns; what it is called with proves nothing."""

    @model_validator(mode="after")
    def _check_purpose(self) -> Self:
        if (self.amount_usd is None) == (self.invoice_id is None):
            raise ValueError("`amount_usd` or `invoice_id` must be given, and not both")
        return self


class PreviewRequest(Request):
    """Credit that may be bought."""

    amount_usd: Usd
    """Credit in US dollars."""


class PaymentPreview(Answer):
    """What a payment would cost now."""

    credit_usd: Money
    """Credit in US dollars."""
    currency: str
    """ISO 4217 code of the currency in which it is paid."""
    net: Money
    """Price in the currency, without tax."""
    tax: Money
    """Tax in the currency."""
    amount: Money
    """What the payer pays, with tax."""
    exchange_rate: Money
    """Units of the currency per US dollar."""
    rate_source: str
    """Source of the exchange rate."""
    rate_as_of: Time
    """Time of the exchange rate at its source."""
    tax_percent: Money
    """Rate of the tax, in percent."""


class Payment(Answer):
    """A payment. Amounts without `_usd` are in its currency."""

    id: UUID
    organization_id: UUID
    purpose: PaymentPurpose
    """What is paid for."""
    provider: ProviderName
    """Who takes the money."""
    status: PaymentStatus
    """pending: waits for the payer. unknown: the provider did not answer and is asked again."""
    invoice_id: UUID | None
    """Id of the invoice that is paid; null for credit."""
    credit_usd: Money
    """Credit that it buys, or the net amount of the invoice, in US dollars."""
    currency: str
    """ISO 4217 code of the currency in which it is paid."""
    amount: Money
    """What the payer is asked for, with tax."""
    net: Money
    """The same without tax."""
    tax: Money
    """Tax in the amount."""
    exchange_rate: Money
    """Units of the currency per US dollar; fixed when the payment is created."""
    rate_source: str
    """Source of the exchange rate."""
    rate_as_of: Time
    """Time of the exchange rate at its source."""
    captured: Money
    """What was paid."""
    refunded: Money
    """What went back to the payer."""
    disputed: Money
    """What the payer disputes, or has won by a dispute."""
    dispute_state: DisputeState | None
    """State of the dispute; null if there was none."""
    fee: Money | None
    """What the provider keeps; null until it says so."""
    fee_currency: str | None
    """ISO 4217 code of the currency of the fee."""
    failure_code: str | None
    """Why the payment failed, in the provider's words."""
    checkout_url: str | None
    """The provider's page on which to pay; null when there is nothing to pay."""
    expires_at: Time | None
    """Instant from which that page is closed; null if the provider does not say."""
    credited_usd: Money
    """Credit that it has brought, in US dollars."""
    paid_out_usd: Money
    """Unspent credit that left again, in US dollars."""
    charged_back_usd: Money
    """Spent credit that was drawn again, in US dollars."""
    transaction_id: UUID | None
    """Id of the top-up; null until the payment succeeds."""
    grant_id: UUID | None
    """Id of the credit grant; null until the payment succeeds."""
    initiated_by: str | None
    """Who asked for it."""
    created_at: Time
    updated_at: Time
    """Time of the newest change."""


class PlatformPayment(Payment):
    """A payment in the platform's list."""

    external_id: str | None
    """Id of the payment at the provider; null while the provider does not know it."""


class PaymentFilter(Request):
    """Which payments the platform's list has."""

    status: PaymentStatus | None = None
    """Only payments in this state; `unknown` is one whose provider has not answered yet."""
    dispute_state: DisputeState | None = None
    """Only payments whose dispute is in this state."""


class PaymentNotFound(NotFound):
    """The payment does not exist."""

    code = "payment_not_found"


class AmountTooSmall(Unprocessable):
    """The amount is less than the smallest unit of the billing currency."""

    code = "amount_too_small"


class PaymentRefused(Unprocessable):
    """The provider does not take this payment."""

    code = "payment_refused"
    members: ClassVar = {"failure_code": "Why, in the provider's words."}
