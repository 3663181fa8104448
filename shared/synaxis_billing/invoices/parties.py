"""The parties of an invoice: who sells, and who buys."""

from typing import NamedTuple

from synaxis_billing.fields import Answer
from synaxis_billing.organizations.profile import Address


class Seller(Answer):
    """The seller of an invoice."""

    name: str
    """Name of the seller."""
    address: str | None = None
    """Address of the seller, in lines."""
    tax_id: str | None = None
    """Tax id of the seller."""
    email: str | None = None
    """E-mail address for questions."""
    payment_details: str | None = None
    """How to pay the seller."""


class Customer(Answer):
    """The customer of an invoice."""

    number: str | None = None
    """Customer number: your own id of the organization, its `external_id`."""
    name: str
    """Name of the customer."""
    address: Address | None = None
    """Address of the customer."""
    tax_id: str | None = None
    """Tax id of the customer."""
    reference: str | None = None
    """Reference of the customer, its `buyer_reference`."""


class Issuer(NamedTuple):
    """The seller, and the series of the numbers of its invoices and credit notes."""

    seller: Seller
    invoice_series: str = "INV"
    credit_note_series: str = "CN"
