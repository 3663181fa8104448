"""Charges: credit taken for usage, one by one or in batches."""

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import Field, SkipValidation, ValidationError

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import BillingError, PayloadTooLarge, TooManyRequests
from synaxis_billing.fields import Answer, Key, Request, Text
from synaxis_billing.ledger.transactions import Transaction, accepted_transaction
from synaxis_billing.prices.unpriced import Unpriced
from synaxis_billing.usage.dimensions import PricedUsage, usage_arguments
from synaxis_billing.validation import invalid_request

# What waits for its turn, turns.sql.
type Operation = Literal["charge", "hold", "capture_hold", "release_hold", "change_hold"]

LARGEST_BATCH = 1000
# Lambda returns 6 MB of JSON; each charge's answer adds so much to the texts of its request.
LARGEST_ANSWER_BYTES = 6_000_000
MOST_ADDED_BYTES = 2000
# A control character, in JSON within JSON.
_LONGEST_ESCAPE = 7


class ChargeRequest(PricedUsage):
    """The cost of an LLM call."""

    description: Text
    """What is charged, as it is to be read in the list of transactions."""


class BatchItem(ChargeRequest):
    """A charge of a batch."""

    organization_id: UUID
    """Id of the organization to charge."""
    idempotency_key: Key
    """The key of this charge, in place of the header `Idempotency-Key`."""


class BatchRequest(Request):
    """Up to 1,000 charges. A failed item does not affect the others."""

    # Each is validated by itself, in charge_batch().
    charges: Annotated[
        list[SkipValidation[BatchItem]], Field(min_length=1, max_length=LARGEST_BATCH)
    ]
    """The charges, at most 1,000."""


class Charged(Answer):
    """An item of a batch: the status that the charge alone would have had."""

    status: int
    """The HTTP status that the charge alone would have had: 201."""
    transaction: Transaction
    """The charge."""
    replayed: bool
    """Whether this is an earlier answer to the same key, given again."""


class Kept(Answer):
    """An item of a batch whose model has no price yet."""

    status: int
    """The HTTP status that the charge alone would have had: 202."""
    unpriced: Unpriced
    """The usage that waits for a price."""


class Refused(Answer):
    """An item of a batch that failed; `error` is its problem."""

    status: int
    """The HTTP status that the charge alone would have had."""
    error: dict[str, Any]
    """The problem that the charge alone would have had, without `request_id`."""


type Result = Charged | Kept | Refused


class Accepted(NamedTuple):
    """A charge of a batch that the database took: its usage_arguments(), and the outcome."""

    charge: dict[str, Any]
    outcome: dict[str, Any]

    @property
    def is_unpriced(self) -> bool:
        return bool(self.outcome["outcome"] == "unpriced")


class BatchAnswer(Answer):
    """The results of a batch."""

    results: list[Charged | Kept | Refused]
    """One result per charge, in the order of the request."""


# A transaction of a charge that names nothing.
_EMPTY = dict.fromkeys(Transaction.model_fields)


def charge(
    db: psycopg.Connection, caller: Caller, organization_id: UUID, key: str, request: ChargeRequest
) -> tuple[Transaction | Unpriced, bool]:
    """Charge an organization; return the transaction, and whether it is an earlier one replayed.

    Usage whose model has no price is kept, to be charged when the price comes.
    Raises InsufficientCredits, OrganizationSuspended, OrganizationNotFound, Conflict (request_id
    was counted before), IdempotencyKeyReused, TooManyRequests.
    """
    arguments = usage_arguments("charge", caller, request, idempotency_key=key)
    try:
        outcome = spend(db, "charge", caller, organization_id, arguments)
    except psycopg.errors.UniqueViolation:
        # The LLM request was counted under another key, or another call with this key was quicker;
        # the batch tells.
        addressed = {**arguments, "organization_id": str(organization_id)}
        [outcome] = _charge_all(db, caller, [addressed])
    return charged_or_kept(outcome, _known(organization_id, arguments))


def spend(
    db: psycopg.Connection,
    operation: Operation,
    caller: Caller,
    organization_id: UUID,
    arguments: dict[str, Any],
) -> dict[str, Any]:
    """Return the outcome of an operation; its arguments are those of `billing.usage_request`.

    Raises TooManyRequests.
    """
    outcome: dict[str, Any] = procedures.call_procedure(
        db,
        "spend",
        operation=operation,
        tenant=caller.tenant,
        organization_id=organization_id,
        request=Jsonb(arguments),
    )
    return outcome


def charged_or_kept(
    outcome: dict[str, Any], known: dict[str, Any] | None = None
) -> tuple[Transaction | Unpriced, bool]:
    """Return the charge of an outcome, or the usage that waits for a price, and whether it is
    replayed. Raises its refusal.

    `known` are the fields that a charge's outcome may leave out.
    """
    if outcome["outcome"] == "unpriced":
        return Unpriced.model_validate(outcome["value"]), False
    return accepted_transaction(outcome, known)


def charge_batch(db: psycopg.Connection, caller: Caller, request: BatchRequest) -> list[Result]:
    """Charge many organizations at once; return one result per charge, in order.

    Raises PayloadTooLarge, before anything is charged, if the answer could be too large.
    """
    refusals: list[Refused | None] = []
    valid = []
    for position, raw in enumerate(request.charges):
        try:
            item = BatchItem.model_validate(raw)
        except ValidationError as error:
            refusals.append(refused(invalid_item(error, "charges", position)))
            continue
        refusals.append(None)
        valid.append(_batch_arguments(caller, item))
    require_room(request.charges, filter(None, refusals))
    charged = iter(charge_all(db, caller, valid))
    return [refusal or answer(next(charged)) for refusal in refusals]


def answer(item: Accepted | Refused) -> Result:
    """Return what the client gets of an item."""
    if isinstance(item, Refused):
        return item
    known = _known(item.charge["organization_id"], item.charge)
    charged, replayed = charged_or_kept(item.outcome, known)
    if isinstance(charged, Unpriced):
        return Kept(status=202, unpriced=charged)
    return Charged(status=201, transaction=charged, replayed=replayed)


def is_busy(item: Accepted | Refused) -> bool:
    """Say whether an item was not applied because its organization has too much under way."""
    return isinstance(item, Refused) and item.error["code"] == TooManyRequests.code


def charge_all(
    db: psycopg.Connection, caller: Caller, charges: Sequence[dict[str, Any]]
) -> list[Accepted | Refused]:
    """Charge many organizations at once, each item by its own key; return what became of each, in
    order. `charges` are usage_arguments(), with an organization_id and an idempotency_key."""
    outcomes = _charge_all(db, caller, charges) if charges else []
    return [_decided(*both) for both in zip(charges, outcomes, strict=True)]


def _charge_all(
    db: psycopg.Connection, caller: Caller, charges: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the outcomes. Organizations that nobody else has are charged in one transaction, each
    other one in its own, when it has a place for it; in a cluster that is each of them."""
    waiting: dict[str, list[int]] = {}
    for position, charge in enumerate(charges):
        waiting.setdefault(charge["organization_id"], []).append(position)
    outcomes: list[dict[str, Any]] = [{}] * len(charges)
    if len(waiting) > 1:
        answer = procedures.call_procedure(
            db, "spend_batch", tenant=caller.tenant, charges=Jsonb(charges)
        )
        if answer is not None:
            outcomes = answer
            waiting = {of: own for of, own in waiting.items() if _waits(outcomes[own[0]])}
    for _ in procedures.turns():
        for organization_id, own in waiting.items():
            _charge_in_place(db, caller, organization_id, charges, own, outcomes)
        waiting = {of: own for of, own in waiting.items() if _waits(outcomes[own[0]])}
        if not waiting:
            break
    return outcomes


def _charge_in_place(
    db: psycopg.Connection,
    caller: Caller,
    organization_id: str,
    charges: Sequence[dict[str, Any]],
    own: Sequence[int],
    outcomes: list[dict[str, Any]],
) -> None:
    """Write the outcomes of an organization's own charges, which all have one fate when it is
    busy."""
    try:
        answer = procedures.call_procedure(
            db,
            "spend_batch_of",
            tenant=caller.tenant,
            organization_id=UUID(organization_id),
            charges=Jsonb([charges[position] for position in own]),
        )
    except psycopg.errors.LockNotAvailable:
        if not outcomes[own[0]]:
            raise
        # Others of the batch are charged, and their caller is told so; these wait for a turn.
        return
    for position, outcome in zip(own, answer, strict=True):
        outcomes[position] = outcome


def _waits(outcome: dict[str, Any]) -> bool:
    return bool(outcome["outcome"] == TooManyRequests.code)


def require_room(requests: Sequence[Any], refusals: Iterable[Refused]) -> None:
    """Refuse a batch whose answer could be larger than Lambda returns: each charge's answer repeats
    the texts of its request."""
    refused = sum(_bytes(refusal.model_dump()) for refusal in refusals)
    room = LARGEST_ANSWER_BYTES - refused - MOST_ADDED_BYTES * len(requests)
    # Few batches are near the limit: those are counted with every escape.
    if (
        _LONGEST_ESCAPE * sum(len(str(raw)) for raw in requests) > room
        and sum(map(_bytes, requests)) > room
    ):
        raise PayloadTooLarge("The answer could be larger than 6 MB: send fewer charges at once.")


def _bytes(value: Any) -> int:
    """Return the size of a value in the JSON of an answer, which is itself text in JSON."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))


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


def _known(organization_id: UUID | str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what the answer to a new charge leaves out."""
    amount = arguments.get("amount_usd")
    return {
        **_EMPTY,
        **arguments,
        "organization_id": organization_id,
        "transaction_type": "charge",
        "amount_usd": None if amount is None else -Decimal(amount),
    }


def _decided(charge: dict[str, Any], outcome: dict[str, Any]) -> Accepted | Refused:
    accepted = Accepted(charge, outcome)
    try:
        if not accepted.is_unpriced:
            procedures.accepted(outcome)
    except BillingError as error:
        return refused(error)
    return accepted


def invalid_item(error: ValidationError, *path: str | int) -> BillingError:
    """Return the refusal of an item at a path of the body."""
    return invalid_request(
        {**found, "loc": ("body", *path, *found["loc"])}
        for found in error.errors(include_url=False, include_input=False)
    )


def refused(error: BillingError) -> Refused:
    """Return the result of an item that failed."""
    return Refused(status=int(error.status), error=error.problem())
