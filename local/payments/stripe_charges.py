"""What follows a payment at Stripe: charges, refunds, disputes, balance and events."""

from local.payments.forms import (
    Params,
    anything,
    boolean,
    check,
    integer,
    invalid,
    listed,
    metadata,
    text,
)
from local.payments.state import Object
from local.payments.stripe_account import LOST, WON
from local.payments.stripe_api import (
    EXPAND,
    PAGE,
    StripeApi,
    page_of,
    read,
    route,
    serve_objects,
    within,
)

_DISPUTE_CHANGE = {"evidence": anything, "metadata": metadata, "submit": boolean, **EXPAND}

serve_objects("/v1/charges", "charge", "customer", "payment_intent", param="charge")
serve_objects("/v1/refunds", "refund", "charge", "payment_intent")
serve_objects("/v1/disputes", "dispute", "charge", "payment_intent")
serve_objects("/v1/balance_transactions", "balance_transaction", "source", "type")


@route("POST", "/v1/refunds")
def create_refund(api: StripeApi, params: Params, _ids: list[str]) -> Object:
    schema = {
        "payment_intent": text,
        "charge": text,
        "amount": integer,
        "reason": text,
        "metadata": metadata,
        "instructions_email": text,
        **EXPAND,
    }
    given = read(params, schema)
    of_intent, of_charge = given.pop("payment_intent", None), given.pop("charge", None)
    if of_intent:
        found = api.account.find("payment_intent", of_intent, "payment_intent")
        if found["status"] != "succeeded":
            raise invalid(
                f"This PaymentIntent ({of_intent}) does not have a successful charge to refund.",
                "payment_intent",
            )
        of_charge = found["latest_charge"]
    elif not of_charge:
        raise invalid("One of the following params should be provided: payment_intent or charge.")
    reason = given.get("reason")
    if reason not in (None, "duplicate", "fraudulent", "requested_by_customer"):
        raise invalid(f"Invalid reason: {reason}", "reason")
    paid = api.account.find("charge", of_charge, "charge")
    return api.account.refund(paid, given.pop("amount", None), given)


@route("POST", "/v1/disputes/*")
def change_dispute(api: StripeApi, params: Params, ids: list[str]) -> Object:
    """Take evidence; `uncategorized_text` decides the dispute, as in Stripe's test mode."""
    found = api.account.find("dispute", ids[0])
    given = check(params, _DISPUTE_CHANGE)
    found["metadata"].update(given.get("metadata", {}))
    found["evidence"].update(given.get("evidence", {}))
    if "evidence" in given:
        found["evidence_details"]["has_evidence"] = True
    if given.get("submit", True) and "evidence" in given:
        found["evidence_details"]["submission_count"] += 1
        found["status"] = found["status"].replace("needs_response", "under_review")
        api.account.emit("charge.dispute.updated", found)
        outcome = {"winning_evidence": WON, "losing_evidence": LOST}.get(
            str(found["evidence"].get("uncategorized_text"))
        )
        if outcome:
            api.state.later(lambda: api.account.close_dispute(found, outcome))
    return found


@route("POST", "/v1/disputes/*/close")
def close_dispute(api: StripeApi, params: Params, ids: list[str]) -> Object:
    check(params, EXPAND)
    found = api.account.find("dispute", ids[0])
    api.account.close_dispute(found, LOST)
    return found


# Events, balance


@route("GET", "/v1/setup_intents/*")
def retrieve_setup_intent(api: StripeApi, params: Params, ids: list[str]) -> Object:
    check(params, EXPAND)
    return api.account.find("setup_intent", ids[0], "intent")


@route("GET", "/v1/events")
def list_events(api: StripeApi, params: Params, _ids: list[str]) -> Object:
    given = check(params, {**PAGE, "type": text, "types": listed(text), "delivery_success": text})
    types = given.get("types") or ([given["type"]] if "type" in given else [])
    found = [
        one
        for one in reversed(api.state.of_kind("event"))
        if (not types or one["type"] in types) and within(one["created"], given.get("created", {}))
    ]
    return page_of(found, given, "event")


@route("GET", "/v1/events/*")
def retrieve_event(api: StripeApi, params: Params, ids: list[str]) -> Object:
    check(params, EXPAND)
    return api.account.find("event", ids[0])


@route("GET", "/v1/balance")
def retrieve_balance(api: StripeApi, params: Params, _ids: list[str]) -> Object:
    check(params, EXPAND)
    sums: dict[str, int] = {}
    for one in api.state.of_kind("balance_transaction"):
        sums[one["currency"]] = sums.get(one["currency"], 0) + one["net"]
    available = [{"amount": of, "currency": name} for name, of in sorted(sums.items())]
    return {"object": "balance", "available": available, "livemode": False, "pending": []}
