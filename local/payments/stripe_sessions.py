"""Stripe's Checkout Sessions."""

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
from local.payments.stripe_api import EXPAND, PAGE, StripeApi, page_of, read, route, serve_objects
from local.payments.stripe_payments import check_amount

_PRODUCT = {"name!": text, "description": text, "metadata": metadata, "tax_code": text}
_PRICE = {
    "currency!": currency,
    "unit_amount!": integer,
    "product_data!": _PRODUCT,
    "tax_behavior": text,
}
_SESSION = {
    **dict.fromkeys(
        (
            "mode!",
            "success_url",
            "cancel_url",
            "client_reference_id",
            "customer",
            "customer_creation",
            "customer_email",
            "locale",
            "submit_type",
            "ui_mode",
            "billing_address_collection",
        ),
        text,
    ),
    "currency": currency,
    "line_items": listed({"price_data!": _PRICE, "quantity!": integer}),
    "payment_intent_data": {
        **dict.fromkeys(
            (
                "description",
                "receipt_email",
                "setup_future_usage",
                "statement_descriptor",
                "statement_descriptor_suffix",
                "capture_method",
            ),
            text,
        ),
        "metadata": metadata,
    },
    "setup_intent_data": {"description": text, "metadata": metadata},
    "payment_method_types": listed(text),
    "payment_method_options": anything,
    "saved_payment_method_options": anything,
    "adaptive_pricing": {"enabled": boolean},
    "automatic_tax": {"enabled": boolean},
    "expires_at": integer,
    "metadata": metadata,
    **EXPAND,
}

serve_objects("/v1/checkout/sessions", "checkout.session", "customer", "payment_intent", "status")


@route("POST", "/v1/checkout/sessions")
def create_session(api: StripeApi, params: Params, _ids: list[str]) -> Object:
    given = read(params, _SESSION)
    if given["mode"] not in ("payment", "setup"):
        raise invalid("The stand-in knows the modes `payment` and `setup`.", "mode")
    if "customer" in given and "customer_email" in given:
        raise invalid("You may only specify one of these parameters: customer, customer_email.")
    if "success_url" not in given:
        raise invalid("Missing required param: success_url.", "success_url", "parameter_missing")
    items = given.pop("line_items", [])
    amount = _total(given, items)
    if "customer" in given:
        api.account.find("customer", given["customer"], "customer")
    _check_expiry(api.state.now(), given.get("expires_at"))
    kept = {
        "_items": items,
        "_intent": given.pop("payment_intent_data", {}),
        "_setup": given.pop("setup_intent_data", {}),
    }
    for name in ("payment_method_options", "saved_payment_method_options", "adaptive_pricing"):
        given.pop(name, None)
    tax = given.pop("automatic_tax", {})
    if tax.get("enabled"):
        raise invalid("The stand-in computes no tax.", "automatic_tax[enabled]")
    made = stripe_objects.session(api.state.now(), api.account.base_url, given | kept, amount)
    return api.state.add(made)


def _total(given: Params, items: list[Object]) -> int | None:
    if given["mode"] == "setup":
        given.setdefault("currency", "usd")
        return None
    if not items:
        raise invalid("Missing required param: line_items.", "line_items", "parameter_missing")
    currencies = {item["price_data"]["currency"] for item in items}
    if len(currencies) > 1:
        raise invalid("All line items must have the same currency.", "line_items")
    [given["currency"]] = currencies
    total = sum(int(item["price_data"]["unit_amount"]) * int(item["quantity"]) for item in items)
    check_amount(total)
    return total


def _check_expiry(now: int, expires_at: int | None) -> None:
    if expires_at is not None and not now + 1800 - 60 <= expires_at <= now + 86400 + 60:
        raise invalid(
            "The `expires_at` timestamp must be from 30 minutes to 24 hours from now.",
            "expires_at",
        )


@route("GET", "/v1/checkout/sessions/*/line_items")
def list_line_items(api: StripeApi, params: Params, ids: list[str]) -> Object:
    found = api.account.find("checkout.session", ids[0])
    data = [
        {
            "id": f"li_{found['id'][-20:]}{at}",
            "object": "item",
            "amount_subtotal": item["price_data"]["unit_amount"] * item["quantity"],
            "amount_total": item["price_data"]["unit_amount"] * item["quantity"],
            "currency": item["price_data"]["currency"],
            "description": item["price_data"]["product_data"]["name"],
            "quantity": item["quantity"],
        }
        for at, item in enumerate(found["_items"])
    ]
    return page_of(data, check(params, PAGE), "line_items")


@route("POST", "/v1/checkout/sessions/*/expire")
def expire_session(api: StripeApi, params: Params, ids: list[str]) -> Object:
    check(params, EXPAND)
    found = api.account.find("checkout.session", ids[0])
    if found["status"] != "open":
        raise invalid(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout'
            f" Session has a status of `{found['status']}`."
        )
    api.expire(found)
    return found
