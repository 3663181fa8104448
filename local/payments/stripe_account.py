"""What Stripe does with money: cards are charged, payments refunded and disputed."""

import json
from collections.abc import Callable
from typing import Any

from local.payments import cards, stripe_objects
from local.payments.forms import Refused, invalid
from local.payments.state import Object, State, public

Emit = Callable[[str, bytes], None]
# What the payer or the test mode's evidence does to an open dispute.
WON, LOST = "won", "lost"


class StripeAccount:
    """The account of one merchant. `send` takes each event: its type, id and bytes."""

    def __init__(self, state: State, base_url: str, send: Callable[[str, str, bytes], None]):
        self.state = state
        self.base_url = base_url
        self._send = send
        self.request: Object = {"id": None, "idempotency_key": None}

    def emit(self, kind: str, about: Object) -> None:
        shown = public(about)
        event = stripe_objects.event(self.state.now(), kind, shown, dict(self.request))
        self.state.add(event)
        self._send(kind, event["id"], json.dumps(event, indent=2, ensure_ascii=False).encode())

    def find(self, kind: str, wanted: Any, param: str = "id") -> Object:
        """The object, or Stripe's 404."""
        found = self.state.objects.get(str(wanted))
        if found is None or found.get("object") != kind:
            words = kind.replace("checkout.", "checkout ").replace("_", " ")
            raise Refused(
                404,
                type="invalid_request_error",
                code="resource_missing",
                message=f"No such {words}: '{wanted}'",
                param=param,
            )
        return found

    # Cards

    def method(self, wanted: str) -> Object:
        """A payment method by its id, or a new one for a test method such as pm_card_visa."""
        if wanted in cards.METHODS:
            return self.new_method(cards.METHODS[wanted], 12, 2040, {})
        return self.find("payment_method", wanted, "payment_method")

    def new_method(self, number: str, month: int, year: int, billing: Object) -> Object:
        card = cards.find(number)
        if card is None:
            code = "incorrect_number"
            raise card_error({"code": code, "message": cards.MESSAGES[code], "param": "number"})
        made = stripe_objects.payment_method(self.state.now(), card, month, year, billing)
        return self.state.add(made)

    def attach(self, method: Object, customer: Object) -> None:
        """Save a card for a customer; the bank may decline even that. Raises Refused."""
        card = cards.CARDS[method["_number"]]
        if method["customer"] not in (None, customer["id"]):
            raise invalid("The payment method is already attached to another customer.")
        if card.decline and not card.saved_declines:
            raise card_error(_declined(*card.decline))
        if method["customer"] is None:
            method["customer"] = customer["id"]
            self.emit("payment_method.attached", method)

    # Payments

    def confirm(
        self, intent: Object, *, off_session: bool = False, authenticated: bool = False
    ) -> None:
        """Charge the card of a payment. Raises Refused, with the payment, if it is declined."""
        if intent["status"] in ("succeeded", "canceled"):
            raise invalid(
                f"You cannot confirm this PaymentIntent because it has a status of"
                f" {intent['status']}.",
                code="payment_intent_unexpected_state",
            )
        method = self.method(intent["payment_method"])
        if method["customer"] not in (None, intent["customer"]):
            raise invalid(
                "The provided PaymentMethod belongs to another customer.", "payment_method"
            )
        intent["payment_method"] = method["id"]
        card = cards.CARDS[method["_number"]]
        wanted = cards.needs_authentication(card, off_session, method["_set_up"])
        if wanted and not authenticated:
            if off_session:
                required = "authentication_required"
                self._decline(intent, method, _declined(required, required))
            self._ask_for_authentication(intent)
        elif card.decline:
            self._decline(intent, method, _declined(*card.decline))
        else:
            self._succeed(intent, method, card)

    def _ask_for_authentication(self, intent: Object) -> None:
        intent["status"] = "requires_action"
        where = {
            "return_url": intent.get("_return_url"),
            "url": f"{self.base_url}/authenticate/{intent['id']}",
        }
        intent["next_action"] = {"type": "redirect_to_url", "redirect_to_url": where}
        self.emit("payment_intent.requires_action", intent)

    def fail_authentication(self, intent: Object) -> None:
        """The payer does not prove to be the card's holder."""
        code = "payment_intent_authentication_failure"
        message = "We are unable to authenticate your payment method. Choose another one."
        self._decline(
            intent, self.method(intent["payment_method"]), {"code": code, "message": message}
        )

    def _decline(self, intent: Object, method: Object, failed: Object) -> None:
        made = stripe_objects.charge(self.state.now(), intent, method, self.base_url, failed)
        self.state.add(made)
        error = {**failed, "type": "card_error", "charge": made["id"]}
        error["doc_url"] = f"https://stripe.com/docs/error-codes/{failed['code'].replace('_', '-')}"
        intent.update(
            status="requires_payment_method",
            payment_method=None,
            latest_charge=made["id"],
            next_action=None,
            last_payment_error={**error, "payment_method": public(method)},
        )
        self.emit("charge.failed", made)
        self.emit("payment_intent.payment_failed", intent)
        shown = {"payment_intent": public(intent), "payment_method": public(method)}
        raise Refused(402, **error, **shown)

    def _succeed(self, intent: Object, method: Object, card: cards.Card) -> None:
        paid = stripe_objects.charge(self.state.now(), intent, method, self.base_url, None)
        self.state.add(paid)
        intent.update(
            status="succeeded",
            amount_received=intent["amount"],
            latest_charge=paid["id"],
            next_action=None,
            last_payment_error=None,
        )
        if intent["setup_future_usage"] and intent["customer"]:
            self.attach(method, self.find("customer", intent["customer"], "customer"))
            method["_set_up"] = intent["setup_future_usage"] == "off_session"
        self.emit("charge.succeeded", paid)
        self.emit("payment_intent.succeeded", intent)
        # The fee is known a moment after the payment.
        self.state.later(lambda: self._settle(paid, card))

    def _settle(self, paid: Object, card: cards.Card) -> None:
        fee = round(paid["amount"] * 0.029) + 30
        self._book("charge", paid, paid["amount"], fee, paid["description"] or "")
        self.emit("charge.updated", paid)
        if card.dispute:
            self.dispute(paid, card.dispute)

    def _book(self, kind: str, source: Object, amount: int, fee: int, description: str) -> Object:
        booked = self.state.add(
            stripe_objects.balance_transaction(
                self.state.now(), kind, source, amount, fee, description
            )
        )
        if "balance_transaction" in source:
            source["balance_transaction"] = booked["id"]
        else:
            source["balance_transactions"].append(public(booked))
        return booked

    def cancel(self, intent: Object, reason: str | None) -> None:
        if intent["status"] in ("succeeded", "canceled"):
            raise invalid(
                f"You cannot cancel this PaymentIntent because it has a status of"
                f" {intent['status']}.",
                code="payment_intent_unexpected_state",
            )
        now = self.state.now()
        intent.update(
            status="canceled", canceled_at=now, cancellation_reason=reason, next_action=None
        )
        self.emit("payment_intent.canceled", intent)

    # Money back

    def refund(self, paid: Object, amount: int | None, given: Object) -> Object:
        """Give back so much of a charge, all that is left without an amount. Raises Refused."""
        left = paid["amount_captured"] - paid["amount_refunded"]
        if paid["disputed"] and not self._open_inquiry(paid):
            raise invalid("This charge has been charged back.", code="charge_disputed")
        if not left:
            raise invalid(
                f"Charge {paid['id']} has already been refunded.", code="charge_already_refunded"
            )
        amount = left if amount is None else amount
        if not 1 <= amount <= left:
            raise invalid(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                "amount",
            )
        made = stripe_objects.refund(self.state.now(), paid, amount, given)
        self.state.add(made)
        self._book("refund", made, -amount, 0, "REFUND FOR CHARGE")
        paid["amount_refunded"] += amount
        paid["refunded"] = paid["amount_refunded"] == paid["amount_captured"]
        self.emit("refund.created", made)
        self.emit("charge.refunded", paid)
        return made

    def _open_inquiry(self, paid: Object) -> bool:
        found = [one for one in self.state.of_kind("dispute") if one["charge"] == paid["id"]]
        return bool(found) and found[-1]["is_charge_refundable"]

    # Disputes

    def dispute(self, paid: Object, reason: str) -> Object:
        """The card's holder disputes a charge: what is left of it leaves the account."""
        if paid["disputed"] or paid["status"] != "succeeded" or paid["refunded"]:
            raise invalid("The charge cannot be disputed.")
        made = self.state.add(stripe_objects.dispute(self.state.now(), paid, reason))
        paid["disputed"] = True
        takes = not made["is_charge_refundable"]
        if takes:
            fee = stripe_objects.DISPUTE_FEE
            self._book("adjustment", made, -made["amount"], fee, "Chargeback withdrawal")
        self.emit("charge.dispute.created", made)
        if takes:
            self.emit("charge.dispute.funds_withdrawn", made)
        return made

    def close_dispute(self, made: Object, outcome: str) -> None:
        """The bank decides for the merchant (`won`) or the card's holder (`lost`)."""
        if made["status"] in (WON, LOST, "warning_closed"):
            raise invalid("The dispute is closed.")
        if made["is_charge_refundable"]:
            made["status"] = "warning_closed"
        else:
            made["status"] = outcome
            if outcome == WON:
                self._book("adjustment", made, made["amount"], 0, "Chargeback reversal")
                self.emit("charge.dispute.funds_reinstated", made)
        self.emit("charge.dispute.closed", made)


def card_error(failed: Object) -> Refused:
    return Refused(402, type="card_error", **failed)


def _declined(code: str, decline_code: str) -> Object:
    message = cards.MESSAGES.get(decline_code) or "Your card was declined."
    if code == "authentication_required":
        return {"code": code, "decline_code": code, "message": message}
    return {"code": code, "decline_code": decline_code, "message": message}
