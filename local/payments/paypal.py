"""PayPal's account of a merchant, and how a call is answered. The routes are in the modules
beside."""

import json
from collections.abc import Callable
from typing import Any

from local.payments.deliveries import Certificate
from local.payments.paypal_money import (
    NOT_FOUND,
    Problem,
    left_of,
    not_found,
    settle,
    unprocessable,
)
from local.payments.state import Object, State, new_paypal_id, public

# So long an order waits for its payer.
ORDER_SECONDS = 3 * 3600


Handler = Callable[["PayPalApi", Object, list[str]], tuple[int, Any]]
ROUTES: list[tuple[str, str, Handler]] = []


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        ROUTES.append((method, path, handler))
        return handler

    return register


class PayPalApi:
    """The account of one merchant. `send` takes each event: its type, id and bytes."""

    def __init__(
        self,
        state: State,
        base_url: str,
        certificate: Certificate,
        send: Callable[[str, str, bytes], None],
    ) -> None:
        self.state = state
        self.base_url = base_url
        self.certificate = certificate
        self._send = send

    def answer(self, method: str, path: str, body: Object) -> tuple[int, Any]:
        """The status and JSON of an answer. Raises Problem. `body` holds `_query` and `_raw`."""
        wanted = path.strip("/").split("/")
        for known, pattern, handler in ROUTES:
            parts = pattern.strip("/").split("/")
            if known == method and len(parts) == len(wanted):
                pairs = list(zip(parts, wanted, strict=True))
                if all(part in ("*", of) for part, of in pairs):
                    ids = [of for part, of in pairs if part == "*"]
                    status, shown = handler(self, body, ids)
                    return status, public(shown)
        raise Problem(404, "RESOURCE_NOT_FOUND", NOT_FOUND)

    def emit(self, kind: str, resource_type: str, about: Object, summary: str) -> None:
        event: Object = {
            "id": f"WH-{new_paypal_id()}-{new_paypal_id()}",
            "event_version": "1.0",
            "create_time": self.state.now_text(),
            "resource_type": resource_type,
            "resource_version": "2.0",
            "event_type": kind,
            "summary": summary,
            "resource": public(about),
            "links": [],
            "_kind": "paypal_event",
        }
        event["links"] = [
            self.link(f"/v1/notifications/webhooks-events/{event['id']}", "self"),
            self.link(f"/v1/notifications/webhooks-events/{event['id']}/resend", "resend", "POST"),
        ]
        self.state.add(event)
        self.send(event)

    def send(self, event: Object) -> None:
        text = json.dumps(public(event), separators=(",", ":"), ensure_ascii=False)
        self._send(event["event_type"], event["id"], text.encode())

    def link(self, path: str, rel: str, method: str = "GET") -> Object:
        return {"href": f"{self.base_url}{path}", "rel": rel, "method": method}

    def order(self, wanted: str) -> Object:
        """An order; one that its payer left alone is gone."""
        found = self.state.objects.get(wanted)
        if found is None or found.get("_kind") != "order":
            raise not_found("id")
        waits = found["status"] in ("CREATED", "PAYER_ACTION_REQUIRED")
        if waits and self.state.now() > found["_created"] + ORDER_SECONDS:
            raise not_found("id")
        return found

    def find(self, kind: str, wanted: str, field: str) -> Object:
        found = self.state.objects.get(wanted)
        if found is None or found.get("_kind") != kind:
            raise not_found(field)
        return found

    # What payers and buyers do

    def approve(self, order: Object, funding: str) -> None:
        """The payer agrees. `funding` is `balance`, `declined` or `echeck`."""
        if order["status"] not in ("CREATED", "PAYER_ACTION_REQUIRED", "APPROVED"):
            raise unprocessable("ORDER_ALREADY_CAPTURED", "The order is paid.")
        payer = {
            "name": {"given_name": "Stand", "surname": "In"},
            "email_address": "payer@stand-in.example",
            "payer_id": "STANDNPAYER22",
            "address": {"country_code": "DE"},
        }
        order.update(status="APPROVED", payer=payer, _funding=funding)
        order["payment_source"] = {
            "paypal": {
                "email_address": payer["email_address"],
                "account_id": payer["payer_id"],
                "account_status": "VERIFIED",
                "name": payer["name"],
                "address": payer["address"],
            }
        }
        order["links"] = self.order_links(order)
        self.emit("CHECKOUT.ORDER.APPROVED", "checkout-order", order, "An order has been approved.")

    def clear(self, capture: Object, completed: bool) -> None:
        """A pending capture's bank pays, or does not."""
        if capture["status"] != "PENDING":
            raise unprocessable("CAPTURE_STATUS_INVALID", "The capture is not pending.")
        capture.pop("status_details", None)
        capture["status"] = "COMPLETED" if completed else "DECLINED"
        if completed:
            settle(capture)
        kind = "COMPLETED" if completed else "DENIED"
        self.emit(f"PAYMENT.CAPTURE.{kind}", "capture", capture, f"Payment {kind.lower()}.")

    def dispute(self, capture: Object, reason: str) -> Object:
        """The buyer complains about a payment, once."""
        if self.disputes_of(capture) or capture["status"] not in (
            "COMPLETED",
            "PARTIALLY_REFUNDED",
        ):
            raise unprocessable("ACTION_NOT_ALLOWED_IN_CURRENT_STATE", "It cannot be disputed.")
        order = self.state.objects[capture["_order"]]
        made = {
            "dispute_id": f"PP-D-{new_paypal_id(6)}",
            "create_time": self.state.now_text(),
            "update_time": self.state.now_text(),
            "disputed_transactions": [
                {
                    "seller_transaction_id": capture["id"],
                    "buyer_transaction_id": new_paypal_id(),
                    "create_time": capture["create_time"],
                    "transaction_status": "COMPLETED",
                    "gross_amount": capture["amount"],
                    **{
                        shown: capture[name]
                        for name, shown in (
                            ("custom_id", "custom"),
                            ("invoice_id", "invoice_number"),
                        )
                        if name in capture
                    },
                    "buyer": {"name": "Stand In"},
                    "seller": {"merchant_id": "STANDNSELLER2", "email": "seller@stand-in.example"},
                }
            ],
            "reason": reason,
            "status": "WAITING_FOR_SELLER_RESPONSE",
            "dispute_amount": left_of(capture),
            "dispute_life_cycle_stage": "CHARGEBACK",
            "dispute_channel": "INTERNAL",
            "seller_response_due_date": self.state.now_text(),
            "_kind": "paypal_dispute",
            "_capture": capture["id"],
            "_order": order["id"],
        }
        made["links"] = [self.link(f"/v1/customer/disputes/{made['dispute_id']}", "self")]
        self.state.add(made, "dispute_id")
        self.emit("CUSTOMER.DISPUTE.CREATED", "dispute", made, "A new dispute was opened.")
        return made

    def disputes_of(self, capture: Object) -> list[Object]:
        disputes = self.state.of_kind("paypal_dispute")
        return [one for one in disputes if one["_capture"] == capture["id"]]

    def close_dispute(self, made: Object, won: bool) -> None:
        """PayPal decides for the seller (`won`) or the buyer."""
        if made["status"] == "RESOLVED":
            raise unprocessable("ACTION_NOT_ALLOWED_IN_CURRENT_STATE", "The dispute is resolved.")
        outcome = "RESOLVED_SELLER_FAVOUR" if won else "RESOLVED_BUYER_FAVOUR"
        given = {"currency_code": made["dispute_amount"]["currency_code"], "value": "0.00"}
        refunded = given if won else made["dispute_amount"]
        made.update(
            status="RESOLVED",
            update_time=self.state.now_text(),
            dispute_outcome={"outcome_code": outcome, "amount_refunded": refunded},
        )
        self.emit("CUSTOMER.DISPUTE.RESOLVED", "dispute", made, "A dispute was resolved.")

    def order_links(self, order: Object) -> list[Object]:
        path = f"/v2/checkout/orders/{order['id']}"
        links = [self.link(path, "self")]
        if order["status"] in ("CREATED", "PAYER_ACTION_REQUIRED"):
            rel = "payer-action" if order["status"] == "PAYER_ACTION_REQUIRED" else "approve"
            links.append(self.link(f"/checkoutnow?token={order['id']}", rel))
        if order["status"] in ("CREATED", "APPROVED"):
            links.append(self.link(path, "update", "PATCH"))
            links.append(self.link(f"{path}/capture", "capture", "POST"))
        return links
