"""What grants cost: a charge beside one without grants, and settlements of many grants."""

import itertools
import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from bench.rates import CALLER, USAGE
from synaxis_billing import procedures
from synaxis_billing.grants import grants
from synaxis_billing.organizations import profile

COUNTS = (0, 3, 50)
MANY = 1_000
_numbers = itertools.count()


class Settlement(NamedTuple):
    """Seconds of a settlement in which so many grants were used up, or have expired."""

    used: float
    expired: float


def charges(app_url: str, seconds: int) -> dict[int, float]:
    """The median seconds of a charge, by the number of grants, taken in random turns."""
    with psycopg.connect(app_url, autocommit=True, prepare_threshold=None) as db:
        ids = {count: _organization(db, count, "1000") for count in COUNTS}
        taken: dict[int, list[float]] = {count: [] for count in COUNTS}
        ends = time.monotonic() + 3 * seconds
        while time.monotonic() < ends:
            for count in random.sample(COUNTS, len(COUNTS)):
                began = time.perf_counter()
                _charge(db, ids[count], "0.00012345")
                taken[count].append(time.perf_counter() - began)
    return {count: statistics.median(of) for count, of in taken.items()}


def settlement(app_url: str, admin_url: str) -> Settlement:
    with (
        psycopg.connect(app_url, autocommit=True, prepare_threshold=None) as db,
        psycopg.connect(admin_url, autocommit=True) as admin,
    ):
        used, expired = (_organization(db, MANY, "1") for _ in range(2))
        _charge(db, used, str(MANY - 1))
        admin.execute(
            "UPDATE billing.credit_grants SET effective_at = effective_at - interval '1 year',"
            " expires_at = expires_at - interval '1 year' WHERE organization_id = %s",
            [expired],
        )
        admin.execute(
            "UPDATE billing.organizations SET settle_at = changed_at WHERE id = %s", [expired]
        )
        return Settlement(*(_settle(db, organization_id) for organization_id in (used, expired)))


def _settle(db: psycopg.Connection, organization_id: UUID) -> float:
    began = time.perf_counter()
    procedures.call(db, "settle_organization", tenant="*", organization_id=organization_id)
    return time.perf_counter() - began


def _organization(db: psycopg.Connection, count: int, amount: str) -> UUID:
    request = profile.NewOrganization.model_validate(
        {"name": "Bench", "billing_currency": "USD", "credit_limit_usd": "1000000"}
    )
    organization_id = profile.create_organization(db, CALLER, request).id
    for number in range(count):
        asked = grants.GrantRequest.model_validate(
            {
                "amount_usd": amount,
                "kind": "promotional",
                "description": "bench",
                # Past the week in which a warning is due.
                "expires_at": (datetime.now(UTC) + timedelta(days=10, hours=number)).isoformat(),
            }
        )
        grants.create_grant(db, CALLER, organization_id, f"grant {number}", asked)
    return organization_id


def _charge(db: psycopg.Connection, organization_id: UUID, amount_usd: str) -> None:
    key = f"granted {next(_numbers)}"
    arguments = {
        **USAGE,
        "amount_usd": amount_usd,
        "idempotency_key": key,
        "request_id": key,
        "fingerprint": "\\x" + "ab" * 32,
        "initiated_by": "bench",
    }
    outcome = procedures.call_procedure(
        db,
        "spend",
        operation="charge",
        tenant="*",
        organization_id=organization_id,
        request=Jsonb(arguments),
    )
    assert outcome["outcome"] == "created"
