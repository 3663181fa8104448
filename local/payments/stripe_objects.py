"""Stripe's objects, with the fields that its description of the API names."""

from typing import Any

from local.payments.cards import Card, fingerprint
from local.payments.state import Object, new_id

VERSION = "2026-10-28.endive"
SESSION_SECONDS = 24 * 3600
DISPUTE_FEE = 1500


def _nulls(names: str) -> Object:
    return dict.fromkeys(names.split())


def customer(now: int, given: Object) -> Object:
    return {
        "id": new_id("cus_", 14),
        "object": "customer",
        **_nulls("address currency default_source description discount email name phone shipping"),
        "balance": 0,
        "created": now,
        "delinquent": False,
        "invoice_prefix": new_id("", 8).upper(),
        "invoice_settings": _nulls("custom_fields default_payment_method footer rendering_options"),
        "livemode": False,
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
        "test_clock": None,
        **given,
    }


def card_details(card: Card, month: int, year: int) -> Object:
    return {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass",
        },
        "country": "US",
        "exp_month": month,
        "exp_year": year,
        "fingerprint": fingerprint(card.number),
        "funding": "credit",
        "last4": card.number[-4:],
    }


def payment_method(now: int, card: Card, month: int, year: int, billing: Object) -> Object:
    """A card's payment method; `_set_up` says whether a payer has consented to later payments."""
    return {
        "id": new_id("pm_"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": _nulls("city country line1 line2 postal_code state"),
            **_nulls("email name phone tax_id"),
            **billing,
        },
        "card": {
            **card_details(card, month, year),
            "display_brand": card.brand,
            "generated_from": None,
            "networks": {"available": [card.brand], "preferred": None},
            "three_d_secure_usage": {"supported": True},
            "regulated_status": "unregulated",
            "wallet": None,
        },
        "created": now,
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
        "_number": card.number,
        "_set_up": card.authentication == "on_session",
    }


def payment_intent(now: int, given: Object) -> Object:
    made = new_id("pi_")
    return {
        "id": made,
        "object": "payment_intent",
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        **_nulls(
            "application application_fee_amount automatic_payment_methods canceled_at"
            " cancellation_reason customer description last_payment_error latest_charge next_action"
            " on_behalf_of payment_method payment_method_configuration_details processing"
            " receipt_email review setup_future_usage shipping source statement_descriptor"
            " statement_descriptor_suffix transfer_data transfer_group"
        ),
        "capture_method": "automatic_async",
        "client_secret": f"{made}_{new_id('secret_')}",
        "confirmation_method": "automatic",
        "created": now,
        "livemode": False,
        "metadata": {},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        **given,
    }


def setup_intent(now: int, given: Object) -> Object:
    made = new_id("seti_")
    return {
        "id": made,
        "object": "setup_intent",
        **_nulls(
            "application automatic_payment_methods cancellation_reason customer description"
            " flow_directions last_setup_error latest_attempt mandate next_action on_behalf_of"
            " payment_method payment_method_configuration_details single_use_mandate"
        ),
        "client_secret": f"{made}_{new_id('secret_')}",
        "created": now,
        "livemode": False,
        "metadata": {},
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "status": "requires_payment_method",
        "usage": "off_session",
        **given,
    }


def charge(now: int, intent: Object, method: Object, base: str, failed: Object | None) -> Object:
    """A charge that succeeded, or one that failed with an error's fields."""
    made = new_id("ch_")
    return {
        "id": made,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0 if failed else intent["amount"],
        "amount_refunded": 0,
        **_nulls(
            "application application_fee application_fee_amount balance_transaction"
            " failure_balance_transaction failure_code failure_message on_behalf_of receipt_number"
            " review shipping source source_transfer transfer_data transfer_group"
        ),
        **(
            {"failure_code": failed["code"], "failure_message": failed["message"]} if failed else {}
        ),
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "STAND-IN",
        "captured": not failed,
        "created": now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "outcome": _outcome(failed),
        "paid": not failed,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _paid_with(intent, method, failed),
        "receipt_email": intent["receipt_email"],
        "receipt_url": None if failed else f"{base}/receipts/{made}",
        "refunded": False,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "failed" if failed else "succeeded",
    }


_METHOD_ONLY = {"display_brand", "generated_from", "networks", "three_d_secure_usage"}


def _paid_with(intent: Object, method: Object, failed: Object | None) -> Object:
    details = method["card"]
    return {
        "card": {
            **{name: of for name, of in details.items() if name not in _METHOD_ONLY},
            "amount_authorized": None if failed else intent["amount"],
            "installments": None,
            "mandate": None,
            "network": details["brand"],
            "three_d_secure": intent.get("_three_d_secure"),
        },
        "type": "card",
    }


def _outcome(failed: Object | None) -> Object:
    decline = failed.get("decline_code") if failed else None
    return {
        "advice_code": "try_again_later" if decline == "insufficient_funds" else None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if failed else "approved_by_network",
        "reason": decline,
        "risk_level": "normal",
        "seller_message": "The bank declined it." if failed else "Payment complete.",
        "type": "issuer_declined" if failed else "authorized",
    }


def balance_transaction(
    now: int, kind: str, source: Object, amount: int, fee: int, description: str
) -> Object:
    """What a charge, a refund or a dispute does to the account's balance; `fee` is a cost."""
    fees = {"amount": fee, "application": None, "currency": source["currency"]}
    return {
        "id": new_id("txn_"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": now,
        "balance_type": "payments",
        "created": now,
        "currency": source["currency"],
        "description": description,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [{**fees, "description": "Stand-in fee", "type": "stripe_fee"}]
        if fee
        else [],
        "net": amount - fee,
        "reporting_category": {"adjustment": "dispute"}.get(kind, kind),
        "source": source["id"],
        "status": "available",
        "type": kind,
    }


def refund(now: int, paid: Object, amount: int, given: Object) -> Object:
    return {
        "id": new_id("re_"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": paid["id"],
        "created": now,
        "currency": paid["currency"],
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": {},
        "payment_intent": paid["payment_intent"],
        **_nulls("reason receipt_number source_transfer_reversal transfer_reversal"),
        "status": "succeeded",
        **given,
    }


def dispute(now: int, paid: Object, reason: str) -> Object:
    inquiry = reason == "inquiry"
    return {
        "id": new_id("du_"),
        "object": "dispute",
        "amount": paid["amount"] - paid["amount_refunded"],
        "balance_transactions": [],
        "charge": paid["id"],
        "created": now,
        "currency": paid["currency"],
        "enhanced_eligibility_types": [],
        "evidence": _nulls(
            "access_activity_log billing_address cancellation_policy customer_communication"
            " customer_email_address customer_name customer_purchase_ip customer_signature"
            " duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id"
            " product_description receipt refund_policy refund_policy_disclosure"
            " refund_refusal_explanation service_date service_documentation shipping_address"
            " uncategorized_file uncategorized_text"
        ),
        "evidence_details": {
            "due_by": now + 7 * 86400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": paid["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": paid["payment_method_details"]["card"]["brand"],
                "case_type": "inquiry" if inquiry else "chargeback",
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": "general" if inquiry else reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }


def session(now: int, base: str, given: Object, amount: int | None) -> Object:
    """A Checkout Session; its PaymentIntent is made when the payer first submits."""
    made = new_id("cs_test_", 58)
    return {
        "id": made,
        "object": "checkout.session",
        **_nulls(
            "after_expiration allow_promotion_codes billing_address_collection cancel_url"
            " client_reference_id client_secret consent consent_collection currency"
            " currency_conversion customer customer_creation customer_details customer_email"
            " invoice locale origin_context payment_intent payment_link payment_method_collection"
            " payment_method_configuration_details recovered_from saved_payment_method_options"
            " setup_intent shipping_address_collection shipping_cost submit_type subscription"
            " success_url wallet_options collected_information permissions"
        ),
        "adaptive_pricing": {"enabled": False},
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": _nulls("liability provider status") | {"enabled": False},
        "created": now,
        "custom_fields": [],
        "custom_text": _nulls("after_submit shipping_address submit terms_of_service_acceptance"),
        "discounts": [],
        "expires_at": now + SESSION_SECONDS,
        "invoice_creation": None,
        "livemode": False,
        "metadata": {},
        "mode": "payment",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "payment_status": "no_payment_required" if amount is None else "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "total_details": None
        if amount is None
        else {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{base}/c/pay/{made}",
        **given,
    }


def event(now: int, kind: str, about: Any, request: Object) -> Object:
    return {
        "id": new_id("evt_"),
        "object": "event",
        "api_version": VERSION,
        "created": now,
        "data": {"object": about},
        "livemode": False,
        "pending_webhooks": 1,
        "request": request,
        "type": kind,
    }
