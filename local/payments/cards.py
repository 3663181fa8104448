"""The card numbers that Stripe publishes for tests, and what each does."""

import hashlib
from typing import NamedTuple

Authentication = str  # never, unless_set_up, on_session or always


class Card(NamedTuple):
    """`decline` is an error's code and decline code. With `saved_declines`, the card can be saved,
    and is declined when it is charged. `dispute` is the reason of the dispute that follows."""

    number: str
    says: str
    decline: tuple[str, str] | None = None
    authentication: Authentication = "never"
    saved_declines: bool = False
    dispute: str | None = None
    brand: str = "visa"


def _declined(decline_code: str) -> tuple[str, str]:
    return "card_declined", decline_code


_ALL = [
    Card("4242424242424242", "Pays"),
    Card("5555555555554444", "Pays (Mastercard)", brand="mastercard"),
    Card("378282246310005", "Pays (American Express)", brand="amex"),
    Card("4000000000000002", "Is declined", _declined("generic_decline")),
    Card("4000000000009995", "Is declined: insufficient funds", _declined("insufficient_funds")),
    Card("4000000000009987", "Is declined: lost card", _declined("lost_card")),
    Card("4000000000009979", "Is declined: stolen card", _declined("stolen_card")),
    Card("4000000000006975", "Is declined: too often", _declined("card_velocity_exceeded")),
    Card("4100000000000019", "Is blocked as fraudulent", _declined("fraudulent")),
    Card("4000000000000069", "Is declined: expired", ("expired_card", "expired_card")),
    Card("4000000000000127", "Is declined: wrong CVC", ("incorrect_cvc", "incorrect_cvc")),
    Card("4000000000000119", "Is declined: error", ("processing_error", "processing_error")),
    Card(
        "4000000000000341",
        "Can be saved, is declined when it is charged",
        _declined("generic_decline"),
        saved_declines=True,
    ),
    Card(
        "4000002500003155",
        "Needs 3-D Secure, not after it is saved",
        authentication="unless_set_up",
    ),
    Card("4000002760003184", "Needs 3-D Secure for each payment", authentication="always"),
    Card("4000000000003220", "Needs 3-D Secure", authentication="always"),
    Card("4000003800000446", "Needs 3-D Secure while you are there", authentication="on_session"),
    Card(
        "4000008260003178",
        "Needs 3-D Secure, then insufficient funds",
        _declined("insufficient_funds"),
        "always",
        saved_declines=True,
    ),
    Card(
        "4000008400001629",
        "Needs 3-D Secure, then is declined",
        _declined("generic_decline"),
        "always",
        saved_declines=True,
    ),
    Card("4000000000000259", "Pays, then is disputed as fraudulent", dispute="fraudulent"),
    Card("4000000000002685", "Pays, then disputed: not received", dispute="product_not_received"),
    Card("4000000000001976", "Pays, then the bank inquires", dispute="inquiry"),
]
CARDS = {card.number: card for card in _ALL}
# The payment methods that tests name instead of a number.
METHODS = {
    "pm_card_visa": "4242424242424242",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_amex": "378282246310005",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_visa_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_visa_chargeDeclinedLostCard": "4000000000009987",
    "pm_card_visa_chargeDeclinedStolenCard": "4000000000009979",
    "pm_card_chargeDeclinedExpiredCard": "4000000000000069",
    "pm_card_chargeDeclinedIncorrectCvc": "4000000000000127",
    "pm_card_chargeDeclinedProcessingError": "4000000000000119",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_threeDSecure2Required": "4000000000003220",
    "pm_card_authenticationRequiredSetupForOffSession": "4000003800000446",
    "pm_card_createDispute": "4000000000000259",
    "pm_card_createDisputeProductNotReceived": "4000000000002685",
    "pm_card_createDisputeInquiry": "4000000000001976",
}
MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
    "incorrect_number": "Your card number is incorrect.",
}


def find(number: str) -> Card | None:
    """The test card of a number, or None: the providers' test modes accept no others."""
    return CARDS.get(number.replace(" ", ""))


def fingerprint(number: str) -> str:
    """The same for each payment method of one number."""
    return hashlib.sha256(b"stand-in " + number.encode()).hexdigest()[:16]


def needs_authentication(card: Card, off_session: bool, set_up: bool) -> bool:
    if card.authentication == "unless_set_up":
        return not (off_session and set_up)
    if card.authentication == "on_session":
        return not off_session
    return card.authentication == "always"
