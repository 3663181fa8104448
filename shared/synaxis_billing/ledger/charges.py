"""Charges: credit taken for usage, one by one or in batches."""

from typing import Annotated, Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field, SkipValidation, TypeAdapter, ValidationError

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import BillingError
from synaxis_billing.fields import Answer, Key, Request, Text
from synaxis_billing.ledger.transactions import Transaction, charged_or_kept
from synaxis_billing.prices.unpriced import Unpriced
from synaxis_billing.usage.dimensions import PricedUsage, usage_arguments
from synaxis_billing.validation import invalid_request

LARGEST_BATCH = 1000


class ChargeRequest(PricedUsage):
    description: Text


class BatchItem(ChargeRequest):
    organization_id: UUID
    idempotency_key: Key


class BatchRequest(Request):
    """Up to 1,000 charges. A failed item does not affect the others."""

    # Each is validated by itself, in charge_batch().
    charges: Annotated[
        list[SkipValidation[BatchItem]], Field(min_length=1, max_length=LARGEST_BATCH)
    ]


class Charged(Answer):
    """An item of a batch: the status that the charge alone would have had."""

    status: int
    transaction: Transaction
    replayed: bool


class Kept(Answer):
    """An item of a batch whose model has no price yet."""

    status: int
    unpriced: Unpriced


class Refused(Answer):
    """An item of a batch that failed; `error` is its problem."""

    status: int
    error: dict[str, Any]


class BatchAnswer(Answer):
    results: list[Charged | Kept | Refused]


_BATCH_ITEM = TypeAdapter(BatchItem)


def charge(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, key: str, request: ChargeRequest
) -> tuple[Transaction | Unpriced, bool]:
    """Charge an organization; return the transaction, and whether it is an earlier one replayed.

    Usage whose model has no price is kept, to be charged when the price comes.
    Raises InsufficientCredits, OrganizationNotFound, Conflict (request_id was counted before),
    IdempotencyKeyReused.
    """
    arguments = usage_arguments(
        "charge", caller, request, organization_id=str(organization_id), idempotency_key=key
    )
    try:
        outcome = procedures.call(db, "charge", tenant=caller.tenant, charge=Jsonb(arguments))
    except psycopg.errors.UniqueViolation:
        # The LLM request was counted under another key; the batch tells which.
        [outcome] = procedures.call(
            db, "charge_batch", tenant=caller.tenant, charges=Jsonb([arguments])
        )
    return charged_or_kept(outcome)


def charge_batch(
    db: psycopg.Connection, caller: Caller, request: BatchRequest
) -> list[Charged | Kept | Refused]:
    """Charge many organizations at once; return one result per charge, in order."""
    results: list[Charged | Kept | Refused | None] = []
    valid = []
    for position, raw in enumerate(request.charges):
        try:
            item = _BATCH_ITEM.validate_python(raw)
        except ValidationError as error:
            results.append(_refused(_invalid_item(error, position)))
            continue
        results.append(None)
        valid.append(_batch_arguments(caller, item))
    outcomes = iter(
        procedures.call(db, "charge_batch", tenant=caller.tenant, charges=Jsonb(valid))
        if valid
        else []
    )
    return [result or _result(next(outcomes)) for result in results]


def _batch_arguments(caller: Caller, item: BatchItem) -> dict[str, Any]:
    # The fingerprint is that of the charge alone, so that either may be the other's retry.
    body = ChargeRequest.model_construct(
        **{name: getattr(item, name) for name in ChargeRequest.model_fields}
    )
    return usage_arguments(
        "charge",
        caller,
        body,
        organization_id=str(item.organization_id),
        idempotency_key=item.idempotency_key,
    )


def _result(outcome: dict[str, Any]) -> Charged | Kept | Refused:
    try:
        charged, replayed = charged_or_kept(outcome)
    except BillingError as error:
        return _refused(error)
    if isinstance(charged, Unpriced):
        return Kept(status=202, unpriced=charged)
    return Charged(status=201, transaction=charged, replayed=replayed)


def _invalid_item(error: ValidationError, position: int) -> BillingError:
    return invalid_request(
        {**found, "loc": ("body", "charges", position, *found["loc"])}
        for found in error.errors(include_url=False, include_input=False)
    )


def _refused(error: BillingError) -> Refused:
    return Refused(status=int(error.status), error=error.problem())
