"""Who issues the invoices, as the template says, and at which rates."""

import functools

from synaxis_billing import fx
from synaxis_billing.edge import config
from synaxis_billing.edge.cache import cache
from synaxis_billing.edge.database import connection
from synaxis_billing.invoices import Issuer, Party


@functools.cache
def issuer() -> Issuer:
    """Raises ValidationError when INVOICE_SELLER is not a seller's JSON."""
    invoice_series, credit_note_series = config.invoice_series()
    seller = Party.model_validate_json(config.invoice_seller())
    return Issuer(seller, invoice_series, credit_note_series)


def terms() -> tuple[list[fx.Rate], Issuer]:
    """The rates of now, of all currencies, and the issuer."""
    return fx.rates(connection, cache()), issuer()
