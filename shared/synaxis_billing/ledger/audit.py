"""Check every promise of the ledger on a live database."""

from collections import defaultdict
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import psycopg


class OrganizationAudit(NamedTuple):
    """`drift_usd` is the balance minus the sum of the transactions."""

    organization_id: UUID
    transactions: int
    balance_usd: Decimal
    drift_usd: Decimal
    head_hash: str
    broken: list[str]


class Audit(NamedTuple):
    """`broken` are promises about the whole database: privileges, policies, triggers."""

    organizations: list[OrganizationAudit]
    broken: list[str]

    @property
    def all_broken(self) -> list[str]:
        """Every broken promise, those of an organization with its id."""
        return self.broken + [
            f"organization {organization.organization_id}: {promise}"
            for organization in self.organizations
            for promise in organization.broken
        ]

    @property
    def whole(self) -> bool:
        return not self.all_broken


def audit(connection: psycopg.Connection) -> Audit:
    """Audit one consistent snapshot. `connection` is an administrator's, in autocommit mode."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        broken: dict[UUID | None, list[str]] = defaultdict(list)
        for organization_id, promise, detail in connection.execute("SELECT * FROM billing.audit()"):
            broken[organization_id].append(f"{promise}: {detail}")
        rows = connection.execute(
            "SELECT o.id, o.version, o.balance_usd, encode(o.head_hash, 'hex'), coalesce(("
            " SELECT sum(amount_usd) FROM billing.credit_transactions WHERE organization_id = o.id"
            "), 0) FROM billing.organizations AS o ORDER BY o.id"
        ).fetchall()
    organizations = [
        OrganizationAudit(id_, version, balance, balance - total, head, broken.pop(id_, []))
        for id_, version, balance, head, total in rows
    ]
    return Audit(organizations, [line for lines in broken.values() for line in lines])
