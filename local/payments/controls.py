"""What tests and people tell the stand-in: faults, webhooks, its clock, disputes."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from local.payments.forms import Refused
from local.payments.paypal_money import Problem
from local.payments.state import Object, public
from local.payments.stripe_account import LOST, WON

if TYPE_CHECKING:
    from local.payments.server import Request, Standin

Control = Callable[["Standin", Object], Any]


def answer(standin: "Standin", request: "Request") -> tuple[int, Any]:
    """The status and JSON of an answer below /_standin."""
    name = request.path.removeprefix("/_standin/")
    if request.method == "GET" and name == "objects":
        with standin.state.lock:
            return 200, [public(one) for one in standin.state.objects.values()]
    control = CONTROLS.get(name)
    if control is None or request.method != "POST":
        return 404, {"message": f"The stand-in has POST {', '.join(CONTROLS)}, GET objects."}
    try:
        return 200, control(standin, json.loads(request.body or b"{}"))
    except (ValueError, KeyError) as error:
        return 400, {"message": repr(error)}
    except Refused as refused:
        return refused.status, refused.error
    except Problem as problem:
        return problem.status, problem.body


def _faults(standin: "Standin", wanted: Object) -> Object:
    standin.faults.configure(wanted)
    return wanted


def _webhooks(standin: "Standin", wanted: Object) -> Object:
    standin.deliveries.configure(wanted)
    return wanted


def _deliver(standin: "Standin", wanted: Object) -> list[Object]:
    return standin.deliveries.release(bool(wanted.get("shuffled")), wanted.get("most"))


def _clock(standin: "Standin", wanted: Object) -> Object:
    """Move the clock, and do what is due then."""
    with standin.state.changing():
        standin.state.advanced_seconds += float(wanted["advance_seconds"])
        standin.stripe.expire_sessions()
        return {"now": standin.state.now()}


def dispute(standin: "Standin", wanted: Object) -> Object:
    """Have a payer dispute a payment, named by any of its ids."""
    with standin.state.changing():
        found = standin.state.objects[wanted["payment"]]
        if found.get("object") == "payment_intent":
            found = standin.state.objects[found["latest_charge"]]
        if found.get("_kind") == "order":
            found = found["purchase_units"][0]["payments"]["captures"][0]
        if found.get("_kind") == "capture":
            capture = standin.state.objects[found["id"]]
            return public(standin.paypal.dispute(capture, wanted.get("reason", "UNAUTHORISED")))
        return public(standin.account.dispute(found, wanted.get("reason", "fraudulent")))


def close(standin: "Standin", wanted: Object) -> Object:
    """Decide a dispute: `outcome` is `won` or `lost`, for the merchant."""
    outcome = wanted["outcome"]
    if outcome not in (WON, LOST):
        raise ValueError("outcome must be won or lost")
    with standin.state.changing():
        found = standin.state.objects[wanted["dispute"]]
        if found.get("_kind") == "paypal_dispute":
            standin.paypal.close_dispute(found, outcome == WON)
        else:
            standin.account.close_dispute(found, outcome)
        return public(found)


def clear(standin: "Standin", wanted: Object) -> Object:
    """End the wait of a pending PayPal capture: `completed` or not."""
    with standin.state.changing():
        found = standin.state.objects[wanted["capture"]]
        standin.paypal.clear(found, bool(wanted.get("completed", True)))
        return public(found)


CONTROLS: dict[str, Control] = {
    "faults": _faults,
    "webhooks": _webhooks,
    "deliver": _deliver,
    "clock": _clock,
    "dispute": dispute,
    "close": close,
    "clear": clear,
}
