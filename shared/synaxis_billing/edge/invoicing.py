"""The seller of the invoices, as the template names it."""

import functools

from synaxis_billing.edge.settings import settings
from synaxis_billing.invoices.invoices import Issuer, Party


@functools.cache
def issuer() -> Issuer:
    """Return the seller and its number series. Raises ValidationError for an INVOICE_SELLER that is
    not a seller's JSON."""
    return Issuer(
        Party.model_validate_json(settings().invoice_seller),
        settings().invoice_series,
        settings().credit_note_series,
    )
