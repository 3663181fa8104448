"""Takes credit for usage: charges, batches of them, holds, and spend that is only logged."""

from uuid import UUID

from synaxis_billing.budgets.budgets import BudgetExceeded
from synaxis_billing.caller import Caller
from synaxis_billing.edge.charging import count_results, reply_to_batch, reply_to_charge
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import IdempotencyKey, OptionalIdempotencyKey
from synaxis_billing.errors import Conflict
from synaxis_billing.events import traces, usage_events
from synaxis_billing.ledger import charges, holds
from synaxis_billing.ledger.transactions import (
    InsufficientCredits,
    OrganizationSuspended,
    Transaction,
)
from synaxis_billing.prices.unpriced import Unpriced
from synaxis_billing.prices.usage import PriceUnknown
from synaxis_billing.usage import spend_logs

handler = api = Api()
ORGANIZATION = "/v1/organizations/{organization_id}"
HOLD = f"{ORGANIZATION}/holds/{{hold_id}}"


@api.endpoint(
    f"POST {ORGANIZATION}/charges",
    "billing:charge",
    status=201,
    other=202,
    refuses=(InsufficientCredits, BudgetExceeded, OrganizationSuspended, Conflict),
)
def create_charge(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: charges.ChargeRequest
) -> Reply[Transaction | Unpriced]:
    """Charge an organization for a call.

    Takes the amount from the balance and counts the spend in one transaction. Give `request_id`,
    the id of the LLM call, and the call is charged once, whichever key or route it comes by. The
    amount is `amount_usd`, or the price of the tokens in `usage`; usage whose model has no price
    yet is kept, answered by 202, and charged when the price comes.
    """
    return reply_to_charge(*charges.charge(connection(), caller, organization_id, key, body))


@api.endpoint("POST /v1/charges/batch", "billing:charge")
def create_charges(caller: Caller, body: charges.BatchRequest) -> Reply[charges.BatchAnswer]:
    """Charge up to 1,000 calls at once.

    Answers one result per charge, in order. A failed charge does not affect the others. Each has
    the `idempotency_key` that it would have had alone.
    """
    return reply_to_batch(charges.charge_batch(connection(), caller, body))


@api.endpoint(
    "POST /v1/usage-events",
    "billing:charge",
    takes=(usage_events.BATCH, usage_events.STRUCTURED),
)
def create_usage_events(caller: Caller, body: usage_events.Events) -> Reply[charges.BatchAnswer]:
    """Take usage events.

    Charges the usage of one CloudEvent, or of a batch of up to 1,000, and answers one result per
    event, in order, as a batch of charges does. `source` and `id` are the idempotency key. A failed
    event does not affect the others, and is kept among the refused events.
    """
    return reply_to_batch(usage_events.take(connection(), caller, body))


@api.endpoint("POST /v1/usage-events/otlp/v1/traces", "billing:charge")
def create_usage_events_from_traces(
    caller: Caller, body: traces.Traces
) -> Reply[traces.TracesAnswer]:
    """Take usage from traces.

    For the exporter `otlphttp` of an OpenTelemetry Collector, in JSON. Charges the usage of spans
    of LLM calls, each by its trace and span id, to the organization in the attribute
    `synaxis.organization`. Refused spans are listed among the refused usage events.
    """
    answer, results = traces.take(connection, caller, body)
    count_results(results)
    return Reply(answer)


@api.endpoint(
    f"POST {ORGANIZATION}/holds",
    "billing:charge",
    status=201,
    refuses=(InsufficientCredits, BudgetExceeded, OrganizationSuspended, PriceUnknown),
)
def create_hold(
    caller: Caller, organization_id: UUID, key: IdempotencyKey, body: holds.HoldRequest
) -> Reply[holds.Hold]:
    """Hold credit for a call whose cost is not known yet.

    The balance stays and the available credit shrinks, until the hold is captured or released, or
    expires by itself.
    """
    return Reply(*holds.hold(connection(), caller, organization_id, key, body))


@api.endpoint(
    f"PATCH {HOLD}",
    "billing:charge",
    refuses=(
        holds.HoldNotFound,
        InsufficientCredits,
        BudgetExceeded,
        OrganizationSuspended,
        Conflict,
    ),
)
def update_hold(
    caller: Caller, organization_id: UUID, hold_id: UUID, body: holds.HoldChange
) -> Reply[holds.Hold]:
    """Change how much a hold reserves, and for how long from now.

    A larger amount needs the credit, and the budgets. A hold that has ended is not changed.
    """
    return Reply(holds.change(connection(), caller, organization_id, hold_id, body))


@api.endpoint(
    f"POST {HOLD}/capture",
    "billing:charge",
    status=201,
    other=202,
    refuses=(holds.HoldNotFound, InsufficientCredits, Conflict, holds.CaptureExceedsHold),
)
def capture_hold(
    caller: Caller,
    organization_id: UUID,
    hold_id: UUID,
    key: IdempotencyKey,
    body: holds.CaptureRequest,
) -> Reply[Transaction | Unpriced]:
    """Capture a hold: charge what the call did cost.

    Charges at most the held amount and frees the rest at once. A hold that has expired can still be
    captured if the credit is still available. Usage that is left out is that of the hold. Tokens of
    a model without a price are kept as those of a charge are, and the hold stays.
    """
    return reply_to_charge(
        *holds.capture(connection(), caller, organization_id, hold_id, key, body)
    )


@api.endpoint(f"POST {HOLD}/release", "billing:charge", refuses=(holds.HoldNotFound, Conflict))
def release_hold(
    caller: Caller, organization_id: UUID, hold_id: UUID, key: IdempotencyKey
) -> Reply[holds.Hold]:
    """Release a hold.

    Frees all of the held amount. Nothing is charged.
    """
    return Reply(*holds.release(connection(), caller, organization_id, hold_id, key))


@api.endpoint(
    f"POST {ORGANIZATION}/spend-logs",
    "billing:charge",
    status=201,
    refuses=(Conflict, PriceUnknown),
)
def create_spend_log(
    caller: Caller,
    organization_id: UUID,
    body: spend_logs.SpendLogRequest,
    key: OptionalIdempotencyKey = None,
) -> Reply[spend_logs.SpendLog]:
    """Log the spend of a call without charging it.

    The key is optional; without a key and without a `request_id`, a retry counts twice.
    """
    return Reply(*spend_logs.log_spend(connection(), caller, organization_id, key, body))
