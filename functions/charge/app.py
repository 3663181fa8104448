"""Takes credit for usage: charges, batches of them, holds, and spend that is only logged."""

from uuid import UUID

from aws_lambda_powertools.metrics import MetricUnit

from synaxis_billing.caller import Caller
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import IdempotencyKey, OptionalIdempotencyKey
from synaxis_billing.edge.invocation import metrics
from synaxis_billing.ledger import charges, holds
from synaxis_billing.ledger.transactions import Transaction
from synaxis_billing.prices.unpriced import Unpriced
from synaxis_billing.usage import spend_logs

handler = api = Api()
ORGANIZATION = "/v1/organizations/{organization_id}"
HOLD = f"{ORGANIZATION}/holds/{{hold_id}}"


@api.endpoint(
    f"POST {ORGANIZATION}/charges", "billing:charge", status=201, other=202, refuses=(402, 409, 422)
)
def create_charge(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: charges.ChargeRequest
) -> Reply[Transaction | Unpriced]:
    charged, replayed = charges.charge(connection(), caller, organization_id, key, body)
    return _charged(charged, replayed)


@api.endpoint("POST /v1/charges/batch", "billing:charge")
def create_charges(caller: Caller, body: charges.BatchRequest) -> Reply[charges.BatchAnswer]:
    results = charges.charge_batch(connection(), caller, body)
    return Reply(charges.BatchAnswer(results=results))


@api.endpoint(f"POST {ORGANIZATION}/holds", "billing:charge", status=201, refuses=(402, 422))
def create_hold(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: holds.HoldRequest
) -> Reply[holds.Hold]:
    return Reply(*holds.hold(connection(), caller, organization_id, key, body))


@api.endpoint(
    f"POST {HOLD}/capture", "billing:charge", status=201, other=202, refuses=(402, 409, 422)
)
def capture_hold(
    caller: Caller,
    organization_id: UUID,
    hold_id: UUID,
    key: IdempotencyKey,
    body: holds.CaptureRequest,
) -> Reply[Transaction | Unpriced]:
    return _charged(*holds.capture(connection(), caller, organization_id, hold_id, key, body))


@api.endpoint(f"POST {HOLD}/release", "billing:charge", refuses=(409, 422))
def release_hold(
    caller: Caller, organization_id: UUID, hold_id: UUID, key: IdempotencyKey
) -> Reply[holds.Hold]:
    return Reply(*holds.release(connection(), caller, organization_id, hold_id, key))


@api.endpoint(f"POST {ORGANIZATION}/spend-logs", "billing:charge", status=201, refuses=(409, 422))
def create_spend_log(
    caller: Caller,
    organization_id: UUID,
    body: spend_logs.SpendLogRequest,
    key: OptionalIdempotencyKey = None,
) -> Reply[spend_logs.SpendLog]:
    return Reply(*spend_logs.log_spend(connection(), caller, organization_id, key, body))


def _charged(charged: Transaction | Unpriced, replayed: bool) -> Reply[Transaction | Unpriced]:
    if isinstance(charged, Unpriced):
        metrics.add_metric("Unpriced", MetricUnit.Count, 1)
        return Reply(charged, status=202)
    return Reply(charged, replayed)
