"""Stripe's customers and their payment methods."""

from local.payments import stripe_objects
from local.payments.forms import Params, anything, check, integer, invalid, metadata, text
from local.payments.state import Object
from local.payments.stripe_api import EXPAND, StripeApi, apply, read, route, serve_objects

_CUSTOMER = {
    **dict.fromkeys(("name", "email", "description", "phone", "tax_exempt"), text),
    **dict.fromkeys(("address", "preferred_locales"), anything),
    "invoice_settings": {"default_payment_method": text},
    "metadata": metadata,
    **EXPAND,
}
_CARD = {"number!": text, "exp_month!": integer, "exp_year!": integer, "cvc": text}

serve_objects("/v1/customers", "customer", "email")
serve_objects("/v1/payment_methods", "payment_method", "customer", "type", param="payment_method")


@route("POST", "/v1/customers")
def create_customer(api: StripeApi, params: Params, _ids: list[str]) -> Object:
    schema = {**_CUSTOMER, "payment_method": text}
    given = read(params, schema)
    method = given.pop("payment_method", None)
    made = stripe_objects.customer(api.state.now(), given)
    if method:
        api.account.attach(api.account.method(method), made)
    api.state.add(made)
    api.account.emit("customer.created", made)
    return made


@route("POST", "/v1/customers/*")
def change_customer(api: StripeApi, params: Params, ids: list[str]) -> Object:
    found = api.account.find("customer", ids[0])
    apply(found, read(params, _CUSTOMER))
    api.account.emit("customer.updated", found)
    return found


@route("DELETE", "/v1/customers/*")
def delete_customer(api: StripeApi, params: Params, ids: list[str]) -> Object:
    check(params, {})
    found = api.account.find("customer", ids[0])
    for method in api.state.of_kind("payment_method"):
        if method["customer"] == found["id"]:
            method["customer"] = None
    del api.state.objects[found["id"]]
    api.account.emit("customer.deleted", found)
    return {"id": found["id"], "object": "customer", "deleted": True}


@route("GET", "/v1/customers/*/payment_methods")
def list_methods_of_customer(api: StripeApi, params: Params, ids: list[str]) -> Object:
    api.account.find("customer", ids[0])
    given = {name: of for name, of in params.items() if name != "type"}
    return api.page("payment_method", {**given, "customer": ids[0]}, "customer")


# Payment methods


@route("POST", "/v1/payment_methods")
def create_method(api: StripeApi, params: Params, _ids: list[str]) -> Object:
    schema = {
        "type!": text,
        "card!": _CARD,
        "billing_details": anything,
        "metadata": metadata,
        **EXPAND,
    }
    given = check(params, schema)
    card = given["card"]
    billing = given.get("billing_details", {})
    return api.account.new_method(card["number"], card["exp_month"], card["exp_year"], billing)


@route("POST", "/v1/payment_methods/*/attach")
def attach_method(api: StripeApi, params: Params, ids: list[str]) -> Object:
    given = check(params, {"customer!": text, **EXPAND})
    method = api.account.method(ids[0])
    api.account.attach(method, api.account.find("customer", given["customer"], "customer"))
    return method


@route("POST", "/v1/payment_methods/*/detach")
def detach_method(api: StripeApi, params: Params, ids: list[str]) -> Object:
    check(params, EXPAND)
    method = api.account.find("payment_method", ids[0], "payment_method")
    if method["customer"] is None:
        raise invalid("The payment method is not attached to a customer.")
    method["customer"] = None
    api.account.emit("payment_method.detached", method)
    return method
