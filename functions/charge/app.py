"""Takes credit for usage: charges, batches of them, holds, and spend that is only logged."""

from uuid import UUID

from aws_lambda_powertools.event_handler import Response

from synaxis_billing import holds, ledger, usage
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http import (
    Api,
    IdempotencyKey,
    OptionalIdempotencyKey,
    answered,
    created,
    entry,
)

api = Api()
handler = entry(api)
ORGANIZATION = "/v1/organizations/{organization_id}"
HOLD = f"{ORGANIZATION}/holds/{{hold_id}}"


@api.endpoint(f"POST {ORGANIZATION}/charges", "billing:charge", status=201, refuses=(402, 409, 422))
def charge(
    organization_id: UUID, key: IdempotencyKey, body: ledger.ChargeRequest
) -> Response[ledger.Transaction]:
    return created(ledger.charge(connection(), api.caller, organization_id, key, body))


@api.endpoint("POST /v1/charges/batch", "billing:charge")
def charge_batch(body: ledger.BatchRequest) -> Response[ledger.BatchAnswer]:
    results = ledger.charge_batch(connection(), api.caller, body)
    return answered(ledger.BatchAnswer(results=results))


@api.endpoint(f"POST {ORGANIZATION}/holds", "billing:charge", status=201, refuses=(402, 422))
def hold(
    organization_id: UUID, key: IdempotencyKey, body: holds.HoldRequest
) -> Response[holds.Hold]:
    return created(holds.hold(connection(), api.caller, organization_id, key, body))


@api.endpoint(f"POST {HOLD}/capture", "billing:charge", status=201, refuses=(402, 409, 422))
def capture(
    organization_id: UUID, hold_id: UUID, key: IdempotencyKey, body: holds.CaptureRequest
) -> Response[ledger.Transaction]:
    return created(holds.capture(connection(), api.caller, organization_id, hold_id, key, body))


@api.endpoint(f"POST {HOLD}/release", "billing:charge", refuses=(409, 422))
def release(organization_id: UUID, hold_id: UUID, key: IdempotencyKey) -> Response[holds.Hold]:
    released, replayed = holds.release(connection(), api.caller, organization_id, hold_id, key)
    return answered(released, replayed=replayed)


@api.endpoint(f"POST {ORGANIZATION}/spend-logs", "billing:charge", status=201, refuses=(409, 422))
def log_spend(
    organization_id: UUID, body: usage.SpendLogRequest, key: OptionalIdempotencyKey = None
) -> Response[usage.SpendLog]:
    return created(usage.log_spend(connection(), api.caller, organization_id, key, body))
