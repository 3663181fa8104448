"""The hourly settlement, and the events of grants and of a balance that is exhausted."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from synaxis_billing import procedures
from synaxis_billing.grants import schedule
from synaxis_billing.ledger.transactions import InsufficientCredits
from synaxis_billing.webhooks import endpoints
from synaxis_billing.webhooks.events import BODIES
from tests.conftest import Database
from tests.grants.test_grants import DAY, balance, expiring, grants, now, types
from tests.support import steps
from tests.support.clock import move_clock


def settle(db: psycopg.Connection) -> int:
    return schedule.settle_organizations(lambda: db, steps.PLATFORM)


def events(db: psycopg.Connection, organization_id: UUID) -> list[tuple[str, dict[str, Any]]]:
    """Oldest first; each as the document says."""
    found = endpoints.list_events(db, steps.PLATFORM, organization_id, None, 100, None).items[::-1]
    for event in found:
        body = {"type": event.type, "timestamp": event.created_at, "data": event.data}
        BODIES[event.type].model_validate(body, extra="forbid")
    return [(event.type, event.data) for event in found]


def told(db: psycopg.Connection, organization_id: UUID) -> list[str]:
    return [kind for kind, _ in events(db, organization_id)]


def test_an_idle_organization_is_settled_within_the_hour(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        idle, others = (steps.new_organization(db, "1") for _ in range(2))
        given = expiring(db, admin, idle)
        steps.charge(db, idle, "2")
        steps.grant(db, idle, "3", effective_at=(now(admin) + DAY / 2).isoformat())
        move_clock(admin, DAY)
        assert settle(db) == 1
        assert types(admin, idle) == [
            ("topup", 1),
            ("grant", 5),
            ("charge", -2),
            ("grant", 3),
            ("expiry", -3),
        ]
        assert types(admin, others) == [("topup", 1)]
        kind, data = events(db, idle)[-1]
        assert (kind, data["grant_id"], data["expired_usd"]) == (
            "grant.expired",
            str(given.id),
            "3.00",
        )
        # Nothing is left to do.
        assert settle(db) == 0
        assert told(db, idle) == ["grant.created", "grant.created", "grant.expired"]
    assert database.audit().whole


def test_a_grant_is_told_of_seven_days_and_one_day_before_it_expires_once_each(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        ends = now(admin) + 10 * DAY
        given = steps.grant(db, organization_id, "5", expires_at=ends.isoformat())
        steps.charge(db, organization_id, "2")
        seen = []
        for _ in range(11):
            seen.append(settle(db))
            assert settle(db) == 0
            # As another run does that found it due at the same moment.
            procedures.call(db, "settle_organization", tenant="*", organization_id=organization_id)
            move_clock(admin, DAY)
        assert seen == [0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1]
        assert told(db, organization_id) == [
            "grant.created",
            "grant.expiring",
            "grant.expiring",
            "grant.expired",
        ]
        _, data = events(db, organization_id)[1]
        assert (data["grant_id"], data["remaining_usd"]) == (str(given.id), "3.00")


def test_credit_that_is_used_up_or_voided_is_not_told_of(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        expiring(db, admin, organization_id)
        steps.charge(db, organization_id, "5")
        steps.void(db, expiring(db, admin, organization_id))
        settle(db)
        move_clock(admin, DAY)
        settle(db)
        assert told(db, organization_id) == ["grant.created"] * 2
        assert {grant.status for grant in grants(db, organization_id).values()} <= {
            "voided",
            "expired",
        }


def test_a_monthly_grant_comes_in_time_without_a_call(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        steps.grant(db, organization_id, "5", every="month")
        move_clock(admin, 31 * DAY)
        settle(db)
        assert types(admin, organization_id) == [("grant", 5), ("grant", 5), ("expiry", -5)]
        assert balance(db, organization_id).balance_usd == 5


def test_credit_that_waits_for_a_hold_is_settled_when_the_hold_has_ended(
    database: Database,
) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db)
        expiring(db, admin, organization_id)
        move_clock(admin, DAY - timedelta(minutes=30))
        steps.hold(db, organization_id, "5", expires_in_seconds=3600)
        move_clock(admin, timedelta(minutes=31))
        settle(db)
        assert types(admin, organization_id) == [("grant", 5)]
        move_clock(admin, timedelta(hours=1))
        settle(db)
        assert types(admin, organization_id) == [("grant", 5), ("expiry", -5)]
        assert settle(db) == 0
    assert database.audit().whole


def test_an_exhausted_balance_is_told_once_until_credit_comes(database: Database) -> None:
    with database.connect() as db:
        organization_id = steps.new_organization(db, "1")
        held = steps.hold(db, organization_id, "1")

        def refused() -> None:
            for spend in (
                lambda: steps.charge(db, organization_id, "2"),
                lambda: steps.hold(db, organization_id, "2"),
                lambda: steps.adjust(db, organization_id, "-2"),
            ):
                with pytest.raises(InsufficientCredits):
                    spend()
            steps.charge_batch(db, *(steps.item(organization_id, "2") for _ in range(3)))

        refused()
        assert events(db, organization_id) == [
            (
                "balance.exhausted",
                {
                    "organization_id": str(organization_id),
                    "available_usd": "0.00",
                    "required_usd": "2.00",
                },
            )
        ]
        # A release is no credit that came.
        steps.release(db, held)
        refused()
        assert told(db, organization_id) == ["balance.exhausted"]
        steps.top_up(db, organization_id, "0.5")
        refused()
        assert told(db, organization_id) == ["balance.exhausted"] * 2
        steps.change_organization(db, organization_id, credit_limit_usd="0.1")
        refused()
        assert told(db, organization_id) == ["balance.exhausted"] * 3
    assert database.audit().whole


def test_only_the_platform_settles_every_organization(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        own, others = (steps.new_organization(db) for _ in range(2))
        for organization_id in (own, others):
            expiring(db, admin, organization_id)
        move_clock(admin, DAY)
        tenant = steps.PLATFORM.__class__(tenant=str(own), subject="tenant")
        assert schedule.settle_organizations(lambda: db, tenant) == 1
        assert types(admin, others) == [("grant", 5)]
