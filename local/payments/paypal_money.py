"""PayPal's refusals, and its amounts: texts, with as many decimals as a currency has."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import uuid4

from local.payments.state import Object

# fmt: off
CURRENCIES = {
    "AUD", "BRL", "CAD", "CNY", "CZK", "DKK", "EUR", "HKD", "HUF", "ILS", "JPY", "MYR", "MXN",
    "TWD", "NZD", "NOK", "PHP", "PLN", "GBP", "SGD", "SEK", "CHF", "THB", "USD",
}
# fmt: on
WHOLE = {"HUF", "JPY", "TWD"}
_AMOUNT = re.compile(r"[0-9]{1,28}(\.[0-9]+)?")
NOT_FOUND = "The specified resource does not exist."
NO_SUCH_ID = "Specified resource ID does not exist. Please check the resource ID and try again."


class Problem(Exception):
    """An answer in PayPal's shape: a status, a name, and the issues in `details`."""

    def __init__(self, status: int, name: str, message: str, *details: Object) -> None:
        super().__init__(name)
        self.status = status
        self.body: Object = {"name": name, "message": message, "debug_id": uuid4().hex[:13]}
        if details:
            self.body["details"] = list(details)


def unprocessable(issue: str, description: str, field: str | None = None) -> Problem:
    detail = {"issue": issue, "description": description}
    return Problem(
        422,
        "UNPROCESSABLE_ENTITY",
        "The requested action could not be performed, semantically incorrect, or failed business"
        " validation.",
        detail if field is None else {"field": field, "location": "body", **detail},
    )


def malformed(issue: str, field: str, description: str) -> Problem:
    return Problem(
        400,
        "INVALID_REQUEST",
        "Request is not well-formed, syntactically incorrect, or violates schema.",
        {"field": field, "location": "body", "issue": issue, "description": description},
    )


def not_found(field: str) -> Problem:
    detail = {"issue": "INVALID_RESOURCE_ID", "description": NO_SUCH_ID, "field": field}
    return Problem(404, "RESOURCE_NOT_FOUND", NOT_FOUND, detail)


def read_amount(given: Any, field: str) -> Object:
    """A checked amount. Raises Problem."""
    if not isinstance(given, dict) or not {"currency_code", "value"} <= given.keys():
        raise malformed("MISSING_REQUIRED_PARAMETER", field, "A required parameter is missing.")
    code, value = given["currency_code"], given["value"]
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        raise malformed("INVALID_PARAMETER_SYNTAX", f"{field}/value", "The value is no amount.")
    if code not in CURRENCIES:
        raise unprocessable("CURRENCY_NOT_SUPPORTED", "Currency code is not supported.", field)
    decimals = len(value.partition(".")[2])
    if code in WHOLE and decimals:
        raise unprocessable("DECIMALS_NOT_SUPPORTED", "Currency does not support decimals.", field)
    if decimals > 2:
        raise unprocessable("DECIMAL_PRECISION", "The value has too many decimals.", field)
    if not Decimal(value):
        raise unprocessable("CANNOT_BE_ZERO_OR_NEGATIVE", "Must be greater than zero.", field)
    return {**given, "value": str(round_money(Decimal(value), code))}


def round_money(value: Decimal, code: str) -> Decimal:
    return value.quantize(Decimal(1) if code in WHOLE else Decimal("0.01"), ROUND_HALF_UP)


def money(value: Decimal, code: str) -> Object:
    return {"currency_code": code, "value": str(round_money(value, code))}


def left_of(capture: Object) -> Object:
    amount = capture["amount"]
    left = Decimal(amount["value"]) - Decimal(capture["_refunded"])
    return money(left, amount["currency_code"])


def settle(capture: Object) -> None:
    code, gross = capture["amount"]["currency_code"], Decimal(capture["amount"]["value"])
    fee = round_money(gross * Decimal("0.0349") + Decimal("0.49"), code)
    capture["seller_receivable_breakdown"] = {
        "gross_amount": capture["amount"],
        "paypal_fee": money(fee, code),
        "net_amount": money(gross - fee, code),
    }
