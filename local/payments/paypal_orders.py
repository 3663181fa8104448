"""PayPal's orders, captures and refunds."""

from decimal import Decimal

from local.payments.paypal import PayPalApi, route
from local.payments.paypal_money import (
    left_of,
    malformed,
    money,
    read_amount,
    settle,
    unprocessable,
)
from local.payments.state import Object, new_paypal_id


@route("POST", "/v2/checkout/orders")
def create_order(api: PayPalApi, body: Object, _ids: list[str]) -> tuple[int, Object]:
    if body.get("intent") != "CAPTURE":
        raise malformed("INVALID_PARAMETER_VALUE", "/intent", "The stand-in captures.")
    units = body.get("purchase_units")
    if not isinstance(units, list) or len(units) != 1:
        raise malformed("INVALID_ARRAY_MAX_ITEMS", "/purchase_units", "Give one purchase unit.")
    unit = dict(units[0])
    unit["amount"] = read_amount(
        unit.get("amount"), "/purchase_units/@reference_id=='default'/amount"
    )
    unit.setdefault("reference_id", "default")
    unit["payee"] = {"email_address": "seller@stand-in.example", "merchant_id": "STANDNSELLER2"}
    source = body.get("payment_source", {}).get("paypal")
    context = (source or {}).get("experience_context") or body.get("application_context") or {}
    order = {
        "id": new_paypal_id(),
        "intent": "CAPTURE",
        "status": "CREATED" if source is None else "PAYER_ACTION_REQUIRED",
        "purchase_units": [unit],
        "create_time": api.state.now_text(),
        "_kind": "order",
        "_created": api.state.now(),
        "_context": {name: context.get(name) for name in ("return_url", "cancel_url")},
    }
    if source is not None:
        order["payment_source"] = {"paypal": {}}
    order["links"] = api.order_links(order)
    api.state.add(order)
    return 201, _represent(body, order, ("id", "status", "payment_source", "links"))


@route("GET", "/v2/checkout/orders/*")
def show_order(api: PayPalApi, _body: Object, ids: list[str]) -> tuple[int, Object]:
    return 200, api.order(ids[0])


@route("POST", "/v2/checkout/orders/*/capture")
def capture_order(api: PayPalApi, body: Object, ids: list[str]) -> tuple[int, Object]:
    order = api.order(ids[0])
    if order["status"] == "COMPLETED":
        raise unprocessable("ORDER_ALREADY_CAPTURED", "Order already captured.")
    if order["status"] != "APPROVED":
        raise unprocessable("ORDER_NOT_APPROVED", "Payer has not yet approved the Order.")
    [unit] = order["purchase_units"]
    if order["_funding"] == "declined":
        order["status"] = "PAYER_ACTION_REQUIRED"
        order["links"] = api.order_links(order)
        problem = unprocessable("INSTRUMENT_DECLINED", "The instrument presented was declined.")
        problem.body["links"] = order["links"]
        raise problem
    invoice = unit.get("invoice_id")
    if invoice and any(one.get("invoice_id") == invoice for one in api.state.of_kind("capture")):
        raise unprocessable("DUPLICATE_INVOICE_ID", "Duplicate Invoice ID detected.")
    capture = _capture(api, order, unit)
    unit["payments"] = {"captures": [capture]}
    order["status"] = "COMPLETED"
    order["update_time"] = api.state.now_text()
    order["links"] = api.order_links(order)
    kind = capture["status"]
    api.emit(f"PAYMENT.CAPTURE.{kind}", "capture", capture, f"Payment {kind.lower()}.")
    shown = {
        **order,
        "purchase_units": [{"reference_id": unit["reference_id"], "payments": unit["payments"]}],
    }
    return 201, order if _whole(body) else _only(
        shown, ("id", "status", "payment_source", "purchase_units", "payer", "links")
    )


def _capture(api: PayPalApi, order: Object, unit: Object) -> Object:
    pending = order["_funding"] == "echeck"
    made = new_paypal_id()
    capture: Object = {
        "id": made,
        "status": "PENDING" if pending else "COMPLETED",
        "amount": {name: unit["amount"][name] for name in ("currency_code", "value")},
        "final_capture": True,
        "seller_protection": {"status": "ELIGIBLE"},
        "create_time": api.state.now_text(),
        "update_time": api.state.now_text(),
        "supplementary_data": {"related_ids": {"order_id": order["id"]}},
        **{name: unit[name] for name in ("custom_id", "invoice_id") if name in unit},
        "links": [
            api.link(f"/v2/payments/captures/{made}", "self"),
            api.link(f"/v2/payments/captures/{made}/refund", "refund", "POST"),
            api.link(f"/v2/checkout/orders/{order['id']}", "up"),
        ],
        "_kind": "capture",
        "_order": order["id"],
        "_refunded": money(Decimal(0), unit["amount"]["currency_code"])["value"],
    }
    if pending:
        capture["status_details"] = {"reason": "ECHECK"}
    else:
        settle(capture)
    return api.state.add(capture)


# Captures, refunds


@route("GET", "/v2/payments/captures/*")
def show_capture(api: PayPalApi, _body: Object, ids: list[str]) -> tuple[int, Object]:
    return 200, api.find("capture", ids[0], "capture_id")


@route("POST", "/v2/payments/captures/*/refund")
def refund_capture(api: PayPalApi, body: Object, ids: list[str]) -> tuple[int, Object]:
    capture = api.find("capture", ids[0], "capture_id")
    if capture["status"] == "REFUNDED":
        raise unprocessable("CAPTURE_FULLY_REFUNDED", "The capture has already been fully refunded")
    if capture["status"] not in ("COMPLETED", "PARTIALLY_REFUNDED"):
        raise unprocessable(
            "PENDING_CAPTURE",
            "Cannot initiate a refund as the capture is pending. Capture is typically pending when"
            " the payer has funded the transaction using e-check/bank funded.",
        )
    outcomes = [one.get("dispute_outcome") for one in api.disputes_of(capture)]
    if any(one is None or one["outcome_code"] == "RESOLVED_BUYER_FAVOUR" for one in outcomes):
        raise unprocessable(
            "TRANSACTION_DISPUTED",
            "Partial refunds cannot be offered at this time because there is an open case on this"
            " transaction. Visit the PayPal Resolution Center to review this case.",
        )
    left = left_of(capture)
    asked = read_amount(body["amount"], "/amount") if body.get("amount") else left
    code = left["currency_code"]
    if asked["currency_code"] != code:
        raise unprocessable(
            "REFUND_CAPTURE_CURRENCY_MISMATCH",
            "Refund must be in the same currency as the capture",
        )
    if Decimal(asked["value"]) > Decimal(left["value"]):
        raise unprocessable(
            "REFUND_AMOUNT_EXCEEDED",
            "The refund amount must be less than or equal to the capture"
            " amount that has not yet been refunded.",
            "/amount/value",
        )
    total = Decimal(capture["_refunded"]) + Decimal(asked["value"])
    capture["_refunded"] = str(total)
    whole = total == Decimal(capture["amount"]["value"])
    capture["status"] = "REFUNDED" if whole else "PARTIALLY_REFUNDED"
    capture["update_time"] = api.state.now_text()
    refund = api.state.add(_refund(api, capture, body, asked))
    api.emit("PAYMENT.CAPTURE.REFUNDED", "refund", refund, "A refund was issued.")
    order = api.state.objects[capture["_order"]]
    payments = order["purchase_units"][0]["payments"]
    payments.setdefault("refunds", []).append(refund)
    payments["captures"] = [capture]
    return 201, _represent(body, refund, ("id", "status", "links"))


def _refund(api: PayPalApi, capture: Object, body: Object, asked: Object) -> Object:
    code = asked["currency_code"]
    made = new_paypal_id()
    return {
        "id": made,
        "status": "COMPLETED",
        "amount": asked,
        "create_time": api.state.now_text(),
        "update_time": api.state.now_text(),
        **{
            name: body[name]
            for name in ("custom_id", "invoice_id", "note_to_payer")
            if name in body
        },
        "seller_payable_breakdown": {
            "gross_amount": asked,
            "paypal_fee": money(Decimal(0), code),
            "net_amount": asked,
            "total_refunded_amount": money(Decimal(capture["_refunded"]), code),
        },
        "links": [
            api.link(f"/v2/payments/refunds/{made}", "self"),
            api.link(f"/v2/payments/captures/{capture['id']}", "up"),
        ],
        "_kind": "paypal_refund",
    }


@route("GET", "/v2/payments/refunds/*")
def show_refund(api: PayPalApi, _body: Object, ids: list[str]) -> tuple[int, Object]:
    return 200, api.find("paypal_refund", ids[0], "refund_id")


def _whole(body: Object) -> bool:
    return "return=representation" in str(body.get("_prefer", ""))


def _represent(body: Object, shown: Object, least: tuple[str, ...]) -> Object:
    """All of it, where the request prefers that, or the least."""
    return shown if _whole(body) else _only(shown, least)


def _only(shown: Object, names: tuple[str, ...]) -> Object:
    return {name: shown[name] for name in names if name in shown}
