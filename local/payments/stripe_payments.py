"""Stripe's payments: PaymentIntents."""

from local.payments import stripe_objects
from local.payments.forms import (
    Params,
    anything,
    boolean,
    check,
    currency,
    integer,
    invalid,
    listed,
    metadata,
    text,
)
from local.payments.state import Object
from local.payments.stripe_api import EXPAND, StripeApi, apply, read, route, serve_objects

LEAST_AMOUNT = 50
LARGEST_AMOUNT = 99999999
_CONFIRM = {
    "payment_method": text,
    "off_session": boolean,
    "return_url": text,
    "setup_future_usage": text,
    "error_on_requires_action": boolean,
    "use_stripe_sdk": boolean,
    "receipt_email": text,
    "payment_method_types": listed(text),
    "payment_method_options": anything,
    **EXPAND,
}
_INTENT_CHANGE = {
    "amount": integer,
    "currency": currency,
    **dict.fromkeys(
        ("customer", "description", "statement_descriptor", "statement_descriptor_suffix"), text
    ),
    "metadata": metadata,
    **{name: of for name, of in _CONFIRM.items() if name != "off_session"},
}
_INTENT = {
    **_INTENT_CHANGE,
    "amount!": integer,
    "currency!": currency,
    "confirm": boolean,
    "off_session": boolean,
    "automatic_payment_methods": {"enabled": boolean, "allow_redirects": text},
    "capture_method": text,
}
del _INTENT["amount"], _INTENT["currency"]

serve_objects("/v1/payment_intents", "payment_intent", "customer", param="intent")


@route("POST", "/v1/payment_intents")
def create_intent(api: StripeApi, params: Params, _ids: list[str]) -> Object:
    given = read(params, _INTENT)
    confirm = given.pop("confirm", False)
    off_session = given.pop("off_session", False)
    if off_session and not confirm:
        raise invalid("`off_session` needs `confirm` to be true.", "off_session")
    if confirm and not given.get("payment_method"):
        raise invalid(
            "You cannot confirm this PaymentIntent because it is missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    check_amount(given["amount"])
    made = stripe_objects.payment_intent(api.state.now(), _intent_fields(api, given))
    if made["payment_method"]:
        made["payment_method"] = api.account.method(made["payment_method"])["id"]
        made["status"] = "requires_confirmation"
    api.state.add(made)
    api.account.emit("payment_intent.created", made)
    if confirm:
        api.account.confirm(made, off_session=off_session)
    return made


@route("POST", "/v1/payment_intents/*")
def change_intent(api: StripeApi, params: Params, ids: list[str]) -> Object:
    found = api.account.find("payment_intent", ids[0], "intent")
    if found["status"] in ("succeeded", "canceled") and params.keys() - {
        "metadata",
        "description",
        "expand",
    }:
        raise invalid(
            "This PaymentIntent could not be updated because of its status.",
            code="payment_intent_unexpected_state",
        )
    apply(found, _intent_fields(api, read(params, _INTENT_CHANGE)))
    return found


@route("POST", "/v1/payment_intents/*/confirm")
def confirm_intent(api: StripeApi, params: Params, ids: list[str]) -> Object:
    found = api.account.find("payment_intent", ids[0], "intent")
    given = read(params, _CONFIRM)
    off_session = given.pop("off_session", False)
    apply(found, _intent_fields(api, given))
    if not found["payment_method"]:
        raise invalid(
            "You cannot confirm this PaymentIntent because it is missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    api.account.confirm(found, off_session=off_session)
    return found


@route("POST", "/v1/payment_intents/*/cancel")
def cancel_intent(api: StripeApi, params: Params, ids: list[str]) -> Object:
    given = check(params, {"cancellation_reason": text, **EXPAND})
    found = api.account.find("payment_intent", ids[0], "intent")
    api.account.cancel(found, given.get("cancellation_reason"))
    return found


def _intent_fields(api: StripeApi, given: Params) -> Params:
    if "customer" in given:
        api.account.find("customer", given["customer"], "customer")
    for name in ("error_on_requires_action", "use_stripe_sdk"):
        given.pop(name, None)
    if "return_url" in given:
        given["_return_url"] = given.pop("return_url")
    return given


def check_amount(amount: int) -> None:
    if amount < LEAST_AMOUNT:
        raise invalid(
            "The amount must be greater than or equal to the minimum charge amount.",
            "amount",
            "amount_too_small",
        )
    if amount > LARGEST_AMOUNT:
        raise invalid("The amount is too large.", "amount", "amount_too_large")
