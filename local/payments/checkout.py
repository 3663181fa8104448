"""What a payer does on Stripe's hosted pages: pays a Checkout Session, saves a card, proves to be
its holder."""

from typing import Any

from local.payments import cards, stripe_objects
from local.payments.forms import Refused, invalid
from local.payments.state import Object
from local.payments.stripe_account import StripeAccount


def submit(account: StripeAccount, session: Object, number: str, payer: Object) -> None:
    """Pay, or save the card. Raises Refused, with what the payer reads, if the card is declined.

    Afterwards the session is complete, or its payment waits for 3-D Secure.
    """
    if session["status"] != "open":
        raise invalid("This checkout is closed.")
    intent = _intent(account, session)
    if intent["status"] == "requires_action":
        account.fail_authentication(intent) if session["payment_intent"] else None
    method = account.new_method(number, 12, 2040, payer)
    _customer(account, session, intent, payer)
    session["customer_details"] = {
        "address": None,
        "name": payer.get("name"),
        "email": payer.get("email"),
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
    intent["payment_method"] = method["id"]
    intent["_session"] = session["id"]
    if session["mode"] == "setup":
        _set_up(account, intent, method)
    else:
        account.confirm(intent)
    complete(account, session, intent)


def _intent(account: StripeAccount, session: Object) -> Object:
    """The session's payment, which begins when the payer first submits, or its saving of a card."""
    name = "setup_intent" if session["mode"] == "setup" else "payment_intent"
    if session[name]:
        return account.state.objects[session[name]]
    now = account.state.now()
    if session["mode"] == "setup":
        made = stripe_objects.setup_intent(
            now, {"customer": session["customer"], **session["_setup"]}
        )
    else:
        fields = {
            "amount": session["amount_total"],
            "currency": session["currency"],
            "customer": session["customer"],
            **session["_intent"],
        }
        made = stripe_objects.payment_intent(now, fields)
    session[name] = account.state.add(made)["id"]
    account.emit(f"{name}.created", made)
    return made


def _customer(account: StripeAccount, session: Object, intent: Object, payer: Object) -> None:
    wanted = session["customer_creation"] == "always" or intent.get("setup_future_usage")
    if session["customer"] is None and (wanted or session["mode"] == "setup"):
        contact = {name: payer.get(name) for name in ("name", "email")}
        made = account.state.add(stripe_objects.customer(account.state.now(), contact))
        account.emit("customer.created", made)
        session["customer"] = intent["customer"] = made["id"]


def _set_up(account: StripeAccount, intent: Object, method: Object) -> None:
    card = cards.CARDS[method["_number"]]
    if card.authentication != "never" and not intent.get("_authenticated"):
        where = f"{account.base_url}/authenticate/{intent['id']}"
        intent["status"] = "requires_action"
        intent["next_action"] = {"type": "redirect_to_url", "redirect_to_url": {"url": where}}
        return
    account.attach(method, account.find("customer", intent["customer"], "customer"))
    method["_set_up"] = True
    intent.update(status="succeeded", next_action=None)
    account.emit("setup_intent.succeeded", intent)


def authenticate(account: StripeAccount, intent: Object, proves: bool) -> None:
    """Answer 3-D Secure's question. Raises Refused if the payment fails."""
    if intent["status"] != "requires_action":
        raise invalid("Nothing waits for authentication.")
    method = account.find("payment_method", intent["payment_method"], "payment_method")
    session = account.state.objects.get(intent.get("_session", ""))
    if intent["object"] == "setup_intent":
        intent["_authenticated"] = proves
        if not proves:
            intent.update(status="requires_payment_method", next_action=None)
            account.emit("setup_intent.setup_failed", intent)
            raise Refused(402, message="We are unable to authenticate your payment method.")
        _set_up(account, intent, method)
    elif proves:
        intent["_three_d_secure"] = {"authentication_flow": "challenge", "result": "authenticated"}
        account.confirm(intent, authenticated=True)
    else:
        account.fail_authentication(intent)
    if session:
        complete(account, session, intent)


def complete(account: StripeAccount, session: Object, intent: Object) -> None:
    """Close a session whose payment succeeded, or whose card is saved."""
    if intent["status"] != "succeeded":
        return
    session.update(status="complete", url=None)
    if session["mode"] == "payment":
        session["payment_status"] = "paid"
    account.emit("checkout.session.completed", session)


def success_url(session: Object) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def items(session: Object) -> list[tuple[str, int, Any]]:
    """Name, quantity and unit amount of what a session sells."""
    return [
        (
            item["price_data"]["product_data"]["name"],
            item["quantity"],
            item["price_data"]["unit_amount"],
        )
        for item in session["_items"]
    ]
