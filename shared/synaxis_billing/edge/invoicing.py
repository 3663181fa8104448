"""The seller of the invoices, as the template names it; a bad one stops the function's start."""

from pydantic import ConfigDict, ValidationError

from synaxis_billing.edge.settings import SettingsError, broken_rules, settings
from synaxis_billing.invoices.parties import Issuer, Seller


class _Seller(Seller):
    # A misspelt name would leave a line of the seller out of every invoice.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def issuer() -> Issuer:
    """Return the seller and its number series. Raises SettingsError."""
    given = settings()
    try:
        seller = _Seller.model_validate_json(given.invoice_seller)
    except ValidationError as error:
        raise SettingsError(broken_rules(error, "INVOICE_SELLER")) from None
    return Issuer(seller, given.invoice_series, given.credit_note_series)


issuer()
