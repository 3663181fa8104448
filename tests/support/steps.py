"""What tests do to a ledger, in few words."""

import itertools
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from synaxis_billing.budgets import budgets
from synaxis_billing.cache import Cache
from synaxis_billing.caller import Caller
from synaxis_billing.grants import grants
from synaxis_billing.ledger import charges, credit, holds
from synaxis_billing.ledger.transactions import Transaction
from synaxis_billing.organizations import balance, personal_data, profile
from synaxis_billing.usage import spend_logs

NO_CACHE = Cache(None)
PLATFORM = Caller(tenant="*", subject="gateway")
GRACE_DAYS = 30
_keys = itertools.count(1)


def new_key() -> str:
    return f"key-{next(_keys)}"


def new_organization(db: psycopg.Connection, credit_usd: str | None = None, **fields: Any) -> UUID:
    """The id of an organization that has so much credit."""
    request = profile.NewOrganization.model_validate(
        {"name": "Acme", "billing_currency": "USD", **fields}
    )
    organization_id = profile.create_organization(db, PLATFORM, request).id
    if credit_usd is not None:
        top_up(db, organization_id, credit_usd)
    return organization_id


def change_organization(
    db: psycopg.Connection, organization_id: UUID, **fields: Any
) -> profile.Organization:
    request = profile.OrganizationChange.model_validate(fields)
    return profile.update_organization(db, PLATFORM, organization_id, request)


def top_up(
    db: psycopg.Connection, organization_id: UUID, amount_usd: str, key: str = "", **more: Any
) -> Transaction:
    request = credit.TopUpRequest.model_validate({"amount_usd": amount_usd, **more})
    return credit.top_up(db, PLATFORM, organization_id, key or new_key(), request)[0]


def charge(
    db: psycopg.Connection, organization_id: UUID, amount_usd: str, key: str = "", **more: Any
) -> Transaction:
    request = charges.ChargeRequest.model_validate(
        {"amount_usd": amount_usd, "description": "chat completion", **more}
    )
    charged, _ = charges.charge(db, PLATFORM, organization_id, key or new_key(), request)
    assert isinstance(charged, Transaction)
    return charged


def charge_batch(
    db: psycopg.Connection, *items: dict[str, Any]
) -> list[charges.Charged | charges.Kept | charges.Refused]:
    request = charges.BatchRequest.model_validate(
        {"charges": [{"description": "chat completion", **item} for item in items]}
    )
    return charges.charge_batch(db, PLATFORM, request)


def item(organization_id: UUID, amount_usd: str, key: str = "", **more: Any) -> dict[str, Any]:
    return {
        "organization_id": str(organization_id),
        "amount_usd": amount_usd,
        "idempotency_key": key or new_key(),
        **more,
    }


def hold(
    db: psycopg.Connection, organization_id: UUID, amount_usd: str, key: str = "", **more: Any
) -> holds.Hold:
    request = holds.HoldRequest.model_validate({"amount_usd": amount_usd, **more})
    return holds.hold(db, PLATFORM, organization_id, key or new_key(), request)[0]


def capture(
    db: psycopg.Connection, held: holds.Hold, amount_usd: str, key: str = "", **more: Any
) -> Transaction:
    request = holds.CaptureRequest.model_validate({"amount_usd": amount_usd, **more})
    charged, _ = holds.capture(
        db, PLATFORM, held.organization_id, held.id, key or new_key(), request
    )
    assert isinstance(charged, Transaction)
    return charged


def release(db: psycopg.Connection, held: holds.Hold, key: str = "") -> holds.Hold:
    return holds.release(db, PLATFORM, held.organization_id, held.id, key or new_key())[0]


def refund(
    db: psycopg.Connection,
    charged: Transaction,
    amount_usd: str | None = None,
    key: str = "",
    grace_days: int = GRACE_DAYS,
) -> Transaction:
    request = credit.RefundRequest.model_validate(
        {"transaction_id": charged.id, "amount_usd": amount_usd}
    )
    ids = charged.organization_id, key or new_key()
    return credit.refund(db, PLATFORM, *ids, request, grace_days)[0]


def adjust(
    db: psycopg.Connection, organization_id: UUID, amount_usd: str, key: str = "", **more: Any
) -> Transaction:
    request = credit.AdjustmentRequest.model_validate(
        {"amount_usd": amount_usd, "description": "correction", **more}
    )
    return credit.adjust(db, PLATFORM, organization_id, key or new_key(), request)[0]


def grant(
    db: psycopg.Connection, organization_id: UUID, amount_usd: str, key: str = "", **more: Any
) -> grants.Grant:
    request = grants.GrantRequest.model_validate(
        {"amount_usd": amount_usd, "kind": "promotional", "description": "welcome", **more}
    )
    return grants.create_grant(db, PLATFORM, organization_id, key or new_key(), request)[0]


def void(db: psycopg.Connection, granted: grants.Grant, key: str = "") -> Transaction:
    return grants.void_grant(db, PLATFORM, granted.organization_id, granted.id, key or new_key())[0]


def list_grants(
    db: psycopg.Connection, organization_id: UUID, status: grants.GrantStatus | None = None
) -> list[grants.Grant]:
    return grants.list_grants(db, PLATFORM, organization_id, status, 100, None).items


def log_spend(
    db: psycopg.Connection, organization_id: UUID, amount_usd: str, **more: Any
) -> spend_logs.SpendLog:
    request = spend_logs.SpendLogRequest.model_validate({"amount_usd": amount_usd, **more})
    return spend_logs.log_spend(db, PLATFORM, organization_id, None, request)[0]


def erase(
    db: psycopg.Connection,
    organization_id: UUID,
    initiated_by: str | None = None,
    cursor: str | None = None,
    **more: Any,
) -> personal_data.Erasure:
    request = personal_data.ErasureRequest.model_validate(
        {"reason": "asked for", "initiated_by": initiated_by, **more}
    )
    return personal_data.erase_personal_data(db, PLATFORM, organization_id, request, cursor)


def available(db: psycopg.Connection, organization_id: UUID) -> Decimal:
    return balance.get_balance(lambda: db, NO_CACHE, PLATFORM, organization_id).available_usd


def budget(
    db: psycopg.Connection,
    organization_id: UUID,
    limit_usd: str,
    window: str = "lifetime",
    **more: Any,
) -> budgets.Budget:
    """A budget of the organization itself, or by its name in `more`: team="team-7"."""
    subjects = ("team", "virtual_key", "end_user", "model", "provider")
    named = {"subject": "organization"} | {
        key: of
        for name in subjects
        if name in more
        for key, of in (("subject", name), ("subject_id", more.pop(name)))
    }
    request = budgets.NewBudget.model_validate(
        {"limit_usd": limit_usd, "window": window, **named, **more}
    )
    return budgets.create_budget(db, PLATFORM, organization_id, request)


def budget_now(db: psycopg.Connection, budget: budgets.Budget) -> budgets.Budget:
    return budgets.get_budget(db, PLATFORM, budget.organization_id, budget.id)


def change_budget(db: psycopg.Connection, budget: budgets.Budget, **change: Any) -> budgets.Budget:
    request = budgets.BudgetChange.model_validate(change)
    return budgets.update_budget(db, PLATFORM, budget.organization_id, budget.id, request)


def change_hold(db: psycopg.Connection, held: holds.Hold, **change: Any) -> holds.Hold:
    request = holds.HoldChange.model_validate(change)
    return holds.change(db, PLATFORM, held.organization_id, held.id, request)
