"""Budgets of an organization and its parts."""

from uuid import UUID

from synaxis_billing.budgets import budgets
from synaxis_billing.caller import Caller
from synaxis_billing.edge.database import connection
from synaxis_billing.edge.http.answers import Reply
from synaxis_billing.edge.http.api import Api
from synaxis_billing.edge.http.parameters import Cursor, Limit
from synaxis_billing.errors import Conflict
from synaxis_billing.paging import DEFAULT_LIMIT, Page

handler = api = Api()
BUDGETS = "/v1/organizations/{organization_id}/budgets"
BUDGET = f"{BUDGETS}/{{budget_id}}"


@api.endpoint(f"POST {BUDGETS}", "billing:admin", status=201, refuses=(budgets.BudgetExists,))
def create_budget(
    caller: Caller, organization_id: UUID, body: budgets.NewBudget
) -> Reply[budgets.Budget]:
    """Create a budget of an organization, a team, a key, a person, a model or a provider.

    It counts what its present window contains already. A hard budget refuses charges and holds
    that would exceed it, with 402 `budget_exceeded`; a soft one only alerts. A rate lets through
    `burst_usd` at once and `limit_usd` per hour in the long run.
    """
    return Reply(budgets.create_budget(connection(), caller, organization_id, body))


@api.endpoint(f"GET {BUDGETS}", "billing:read")
def list_budgets(
    caller: Caller, organization_id: UUID, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Reply[Page[budgets.Budget]]:
    """List the budgets of an organization.

    Newest first, each with what it contains now.
    """
    return Reply(budgets.list_budgets(connection(), caller, organization_id, limit, cursor))


@api.endpoint(f"GET {BUDGET}", "billing:read", refuses=(budgets.BudgetNotFound,))
def get_budget(caller: Caller, organization_id: UUID, budget_id: UUID) -> Reply[budgets.Budget]:
    """Get a budget.

    With what its window contains now.
    """
    return Reply(budgets.get_budget(connection(), caller, organization_id, budget_id))


@api.endpoint(
    f"PATCH {BUDGET}",
    "billing:admin",
    refuses=(budgets.BudgetNotFound, budgets.BudgetExists, Conflict),
)
def update_budget(
    caller: Caller, organization_id: UUID, budget_id: UUID, body: budgets.BudgetChange
) -> Reply[budgets.Budget]:
    """Change the limit, the mode or the alerts of a budget.

    Changes only the fields that the request names. What is spent stays: a limit below it refuses
    from now on.
    """
    return Reply(budgets.update_budget(connection(), caller, organization_id, budget_id, body))


@api.endpoint(f"DELETE {BUDGET}", "billing:admin", refuses=(budgets.BudgetNotFound,))
def delete_budget(caller: Caller, organization_id: UUID, budget_id: UUID) -> Reply[budgets.Budget]:
    """Delete a budget.

    Answers the budget as it was.
    """
    return Reply(budgets.delete_budget(connection(), caller, organization_id, budget_id))
