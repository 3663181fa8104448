"""The ledger: changes of an organization's credit, each an immutable transaction."""

import hashlib
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field, SkipValidation, TypeAdapter, ValidationError

from synaxis_billing import sql
from synaxis_billing.errors import BillingError
from synaxis_billing.fields import (
    Answer,
    Key,
    Money,
    Name,
    Request,
    SignedUsd,
    Text,
    Time,
    Tokens,
    Usd,
)
from synaxis_billing.pages import Page, page
from synaxis_billing.validation import invalid_request

TransactionType = Literal["topup", "charge", "refund", "adjustment"]
LARGEST_BATCH = 1000


class Usage(Request):
    """What an LLM call used, and who used it."""

    reference_id: Name | None = None
    request_id: Name | None = None
    team_id: UUID | None = None
    virtual_key_id: UUID | None = None
    model: Name | None = None
    provider: Name | None = None
    tokens: Tokens | None = None
    region: Name | None = None


class ChargeRequest(Usage):
    amount_usd: Usd
    description: Text


class BatchItem(ChargeRequest):
    organization_id: UUID
    idempotency_key: Key


class BatchRequest(Request):
    """Up to 1,000 charges. Each is checked by itself, so that one that fails, fails alone."""

    charges: Annotated[
        list[SkipValidation[BatchItem]], Field(min_length=1, max_length=LARGEST_BATCH)
    ]


class TopUpRequest(Request):
    """`reference_id` names the payment, which credits once."""

    amount_usd: Usd
    description: Text | None = None
    reference_id: Name | None = None
    initiated_by: Name | None = None


class RefundRequest(Request):
    """Without an amount: all that is left of the charge."""

    transaction_id: UUID
    amount_usd: Usd | None = None
    description: Text | None = None


class AdjustmentRequest(Request):
    """`allow_negative_balance` lets it take more credit than is available."""

    amount_usd: SignedUsd
    description: Text
    allow_negative_balance: Annotated[bool, Field(strict=True)] = False


class Transaction(Answer):
    """`amount_usd` is signed: balance_after_usd = balance_before_usd + amount_usd."""

    id: UUID
    organization_id: UUID
    transaction_type: TransactionType
    amount_usd: Money
    balance_before_usd: Money
    balance_after_usd: Money
    version: int
    description: str | None
    reference_id: str | None
    initiated_by: str | None
    hold_id: UUID | None
    refunded_transaction_id: UUID | None
    hash: str
    created_at: Time


class Charged(Answer):
    """An item of a batch: the status that the charge alone would have had."""

    status: int
    transaction: Transaction
    replayed: bool


class Refused(Answer):
    """An item of a batch that failed alone; `error` is its problem."""

    status: int
    error: dict[str, Any]


class BatchAnswer(Answer):
    results: list[Charged | Refused]


class Caller(Answer):
    """Who asks: `tenant` is an organization's id, or * for all; `subject` is the token's."""

    tenant: str
    subject: str | None = None


_BATCH_ITEM = TypeAdapter(BatchItem)


def fingerprint(operation: str, request: Request) -> bytes:
    """What tells a retry from another request that has the same key."""
    content = request.model_dump_json(exclude_defaults=True)
    return hashlib.sha256(f"{operation}\n{content}".encode()).digest()


def usage_arguments(
    operation: str, caller: Caller, request: Request, **more: Any
) -> dict[str, Any]:
    """`billing.usage_request` as JSON."""
    return {
        "initiated_by": caller.subject,
        **request.model_dump(mode="json", exclude_none=True),
        "fingerprint": "\\x" + fingerprint(operation, request).hex(),
        **more,
    }


def charge(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, key: str, request: ChargeRequest
) -> tuple[Transaction, bool]:
    """The charge's transaction, and whether the key had it already.

    Raises InsufficientCredits, NotFound, Conflict (request_id was counted before), Unprocessable
    (key reused).
    """
    arguments = usage_arguments(
        "charge", caller, request, organization_id=str(organization_id), idempotency_key=key
    )
    try:
        outcome = sql.call(db, "charge", caller.tenant, Jsonb(arguments))
    except psycopg.errors.UniqueViolation:
        # The LLM request was counted under another key; the batch tells by what.
        [outcome] = sql.call(db, "charge_batch", caller.tenant, Jsonb([arguments]))
    return _transaction(outcome)


def charge_batch(
    db: psycopg.Connection, caller: Caller, request: BatchRequest
) -> list[Charged | Refused]:
    """One result per charge, in order; what one refuses does not touch the others."""
    results: list[Charged | Refused | None] = []
    valid = []
    for position, raw in enumerate(request.charges):
        try:
            item = _BATCH_ITEM.validate_python(raw)
        except ValidationError as error:
            results.append(_failed(_invalid_item(error, position)))
            continue
        results.append(None)
        body = ChargeRequest.model_construct(
            **{name: getattr(item, name) for name in ChargeRequest.model_fields}
        )
        valid.append(
            usage_arguments(
                "charge",
                caller,
                body,
                organization_id=str(item.organization_id),
                idempotency_key=item.idempotency_key,
            )
        )
    outcomes = iter(sql.call(db, "charge_batch", caller.tenant, Jsonb(valid)) if valid else [])
    return [result or _result(next(outcomes)) for result in results]


def top_up(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, key: str, request: TopUpRequest
) -> tuple[Transaction, bool]:
    """Raises NotFound, Conflict (the payment was credited), Unprocessable (key reused)."""
    return _transaction(
        sql.call(
            db,
            "top_up",
            caller.tenant,
            organization_id,
            key,
            fingerprint("top_up", request),
            request.amount_usd,
            request.description,
            request.reference_id,
            request.initiated_by or caller.subject,
        )
    )


def refund(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, key: str, request: RefundRequest
) -> tuple[Transaction, bool]:
    """Raises NotFound, Conflict (not a charge), Unprocessable (beyond the charge, key reused)."""
    return _transaction(
        sql.call(
            db,
            "refund",
            caller.tenant,
            organization_id,
            key,
            fingerprint("refund", request),
            request.transaction_id,
            request.amount_usd,
            request.description,
            caller.subject,
        )
    )


def adjust(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    key: str,
    request: AdjustmentRequest,
) -> tuple[Transaction, bool]:
    """Raises NotFound, InsufficientCredits, Unprocessable (key reused)."""
    return _transaction(
        sql.call(
            db,
            "adjust",
            caller.tenant,
            organization_id,
            key,
            fingerprint("adjust", request),
            request.amount_usd,
            request.allow_negative_balance,
            request.description,
            caller.subject,
        )
    )


def transactions(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: UUID,
    transaction_type: TransactionType | None,
    start: datetime | None,
    end: datetime | None,
    limit: int,
    cursor: str | None,
) -> Page[Transaction]:
    """Newest first, of the half-open period. Raises NotFound, InvalidRequest (cursor)."""

    def fetch(before: datetime | None, most: int) -> list[Transaction]:
        outcome = sql.call(
            db,
            "transactions",
            caller.tenant,
            organization_id,
            transaction_type,
            start,
            before,
            most,
        )
        return [Transaction.model_validate(row) for row in sql.accepted(outcome)[0]]

    items, following = page("transactions", organization_id, limit, cursor, end, fetch)
    return Page[Transaction](items=items, next_cursor=following)


def _transaction(outcome: dict[str, Any]) -> tuple[Transaction, bool]:
    value, replayed = sql.accepted(outcome)
    return Transaction.model_validate(value), replayed


def _result(outcome: dict[str, Any]) -> Charged | Refused:
    try:
        transaction, replayed = _transaction(outcome)
    except BillingError as error:
        return _failed(error)
    return Charged(status=201, transaction=transaction, replayed=replayed)


def _invalid_item(error: ValidationError, position: int) -> BillingError:
    return invalid_request(
        {**found, "loc": ("body", "charges", position, *found["loc"])}
        for found in error.errors(include_url=False, include_input=False)
    )


def _failed(error: BillingError) -> Refused:
    return Refused(status=int(error.status), error=error.problem())
