"""Amounts: decimals in and out, and never a float."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from synaxis_billing_client.errors import InvalidAmount, InvalidTime
from synaxis_billing_client.requests import DECIMAL_FIELDS

_SMALLEST = Decimal("0.00000001")
# Objects of others, which are sent as they came.
_FOREIGN = {"usage"}


def usd(amount: float | int | str | Decimal) -> Decimal:
    """Round an amount half-up to the 8 decimals of an account, for those who have only a float.

    A float is read as Python prints it, so that 0.1 is 0.1. Raises InvalidAmount for NaN.
    """
    exact = Decimal(str(amount))
    if not exact.is_finite():
        raise InvalidAmount(f"{amount} is not an amount.")
    return exact.quantize(_SMALLEST, ROUND_HALF_UP)


def to_json(value: Any, name: str = "the request") -> Any:
    """A request's value as JSON that is exact. Raises InvalidAmount for a float, InvalidTime."""
    if isinstance(value, float):
        raise InvalidAmount(
            f'`{name}` is a float, which cannot hold a decimal exactly: give Decimal("25.50"), '
            f'the text "25.50", or usd({value}), which rounds half-up to 8 decimals.'
        )
    if isinstance(value, Decimal | UUID | datetime):
        return _text(value, name)
    if isinstance(value, int) and not isinstance(value, bool) and name in DECIMAL_FIELDS:
        return str(value)
    if isinstance(value, Mapping):
        return {
            field: of if field in _FOREIGN else to_json(of, field) for field, of in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [to_json(of, name) for of in value]
    return value


def _text(value: Decimal | UUID | datetime, name: str) -> str:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidTime(f"`{name}` has no time zone: give datetime.now(UTC), for example.")
        return value.isoformat()
    if not value.is_finite():
        raise InvalidAmount(f"`{name}` is {value}, which is not an amount.")
    return format(value, "f")
