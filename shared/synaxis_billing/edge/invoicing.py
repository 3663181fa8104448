"""Who issues the invoices: as the template says."""

import functools

from synaxis_billing.edge import config
from synaxis_billing.invoices import Issuer, Party


@functools.cache
def issuer() -> Issuer:
    """Raises ValidationError when INVOICE_SELLER is not a seller's JSON."""
    invoice_series, credit_note_series = config.invoice_series()
    seller = Party.model_validate_json(config.invoice_seller())
    return Issuer(seller, invoice_series, credit_note_series)
