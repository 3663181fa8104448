"""The audit compares budgets with the charges and holds that they count."""

import pytest

from tests.conftest import Database
from tests.support import steps

SPENT = "a budget has spent what its subject was charged in its window"
DAMAGE = {
    "UPDATE billing.budgets SET spent_usd = spent_usd + 1 WHERE subject = 'organization'": SPENT,
    "UPDATE billing.budgets SET spent_usd = spent_usd + 1 WHERE subject LIKE 'end_user%'": SPENT,
    "UPDATE billing.budgets SET spent_usd = spent_usd - 1 WHERE subject LIKE 'end_user%'": SPENT,
    "UPDATE billing.budgets SET spent_usd = -1 WHERE burst_usd IS NOT NULL": SPENT,
    "UPDATE billing.budgets SET held_usd = held_usd + 1": "a budget holds what its open holds hold",
    "UPDATE billing.budgets SET limit_usd = 3, ceiling_usd = 0": "a hard budget keeps its limit",
    "UPDATE billing.organizations SET budgeted = false": "charges count in budgets where there are",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_does_not_agree_is_reported(damage: str, database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "100")
        steps.budget(db, organization_id, "10")
        steps.budget(db, organization_id, "10", end_user="ann")
        steps.budget(db, organization_id, "10", "rate", burst_usd="10", team="core")
        for call in ({"end_user": "ann"}, {"team_id": "core"}):
            steps.charge(db, organization_id, "2", **call)
            steps.hold(db, organization_id, "1", **call)
        assert database.audit().whole
        admin.execute("SET session_replication_role = replica")
        admin.execute(damage.encode())
        [own] = database.audit().organizations
        assert DAMAGE[damage] in " ".join(own.broken)


def test_what_an_erased_person_was_charged_stays_counted(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "100")
        steps.charge(db, organization_id, "2", end_user="ann")
        steps.erase(db, organization_id)
        steps.budget(db, organization_id, "10", end_user="ben")
        steps.charge(db, organization_id, "3", end_user="ben")
        assert database.audit().whole
        admin.execute("SET session_replication_role = replica")
        # Of a person's budget it is only known that it cannot be more.
        admin.execute("UPDATE billing.budgets SET spent_usd = 5")
        assert database.audit().whole
        admin.execute("UPDATE billing.budgets SET spent_usd = 5.01")
        assert SPENT in " ".join(database.audit().all_broken)
