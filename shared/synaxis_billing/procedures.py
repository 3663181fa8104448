"""The ledger's SQL: `migrations/` make its tables, `functions/` are what one can do with it."""

from decimal import Decimal
from typing import Any

import psycopg

from synaxis_billing.errors import (
    BillingError,
    Conflict,
    Forbidden,
    InsufficientCredits,
    NotFound,
    Unprocessable,
)
from synaxis_billing.money import format_money


def call(connection: psycopg.Connection, function: str, *arguments: Any) -> Any:
    """What a function of the schema `billing` returns; one round trip, one transaction."""
    # The name is always a literal of ours. As plain bytes, psycopg parses it once and remembers it.
    statement = f"SELECT billing.{function}({', '.join(['%s'] * len(arguments))})".encode()
    row = connection.execute(statement, arguments).fetchone()
    return row[0] if row else None


_REFUSALS: dict[str, tuple[type[BillingError], str]] = {
    "forbidden": (Forbidden, "This is for the platform's own token."),
    "insufficient_credits": (
        InsufficientCredits,
        "The organization's available credit is less than this needs.",
    ),
    "organization_not_found": (NotFound, "There is no such organization."),
    "transaction_not_found": (NotFound, "The organization has no such transaction."),
    "hold_not_found": (NotFound, "The organization has no such hold."),
    "unsupported_currency": (NotFound, "The organization's currency is not configured any more."),
    "invoice_not_found": (NotFound, "The organization has no such invoice."),
    "webhook_endpoint_not_found": (NotFound, "The organization has no such webhook endpoint."),
    "webhook_event_not_found": (NotFound, "The organization has no such event."),
    "webhook_endpoint_exists": (Conflict, "The organization has an endpoint of this URL already."),
    "invalid_state": (Conflict, "The state of things does not allow this."),
    "organization_exists": (Conflict, "There is an organization of this id already."),
    "idempotency_key_reused": (
        Unprocessable,
        "This Idempotency-Key came with another request before.",
    ),
    "credit_exceeds_invoice": (Unprocessable, "The invoice has less than this left to credit."),
    "refund_exceeds_charge": (Unprocessable, "The charge has less than this left to refund."),
    "capture_exceeds_hold": (Unprocessable, "The hold reserved less than this."),
}


def accepted(outcome: dict[str, Any]) -> tuple[Any, bool]:
    """The value of an outcome, and whether it is an earlier answer replayed.

    Raises the BillingError that stands for a refusal.
    """
    code, value = outcome["outcome"], outcome["value"]
    if code not in _REFUSALS:
        return value, code == "replayed"
    kind, detail = _REFUSALS[code]
    facts = {
        name: format_money(Decimal(fact)) if name.endswith("_usd") else fact
        for name, fact in (value or {}).items()
    }
    raise kind(facts.pop("detail", detail), code=code, **facts)
