"""What settles the usage of a period, and how the balance moved in it."""

from typing import Literal

from synaxis_billing.fields import Answer, Money


class Settled(Answer):
    """What credit of one kind settled, less what refunds gave back to it."""

    kind: Literal["promotional", "prepaid"]
    """Credit that was given, or credit that was bought."""
    amount_usd: Money
    """Amount in US dollars."""
    amount_billing_currency: Money
    """Amount in the billing currency."""


class CreditStatement(Answer):
    """How the balance moved in the period, in US dollars."""

    opening_balance_usd: Money
    """Balance at the start of the period."""
    purchased_usd: Money
    """Credit of top-ups, and payments of invoices."""
    granted_usd: Money
    """Credit that was given: promotional grants and positive adjustments."""
    refunded_usd: Money
    """Refunds of charges."""
    used_usd: Money
    """Charges and negative adjustments."""
    expired_usd: Money
    """Credit that expired or was voided."""
    paid_out_usd: Money
    """Credit that was refunded to the payer."""
    closing_balance_usd: Money
    """Balance at the end of the period."""
