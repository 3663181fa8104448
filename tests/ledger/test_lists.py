"""Finding a transaction, a hold, a spend log or an organization again."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from synaxis_billing import paging
from synaxis_billing.caller import Caller
from synaxis_billing.errors import Forbidden, InvalidRequest, NotFound
from synaxis_billing.fields import Answer
from synaxis_billing.ledger import holds, transactions
from synaxis_billing.organizations import listing, profile
from synaxis_billing.paging import Page
from synaxis_billing.usage import forecasts, spend_logs
from synaxis_billing.usage.dimensions import UsageFilter
from tests.conftest import Database
from tests.support import clock, steps

CALLS: list[dict[str, Any]] = [
    {
        "request_id": f"req-{number}",
        "reference_id": f"invoice-{number % 2}",
        "team_id": f"team-{number % 3}",
        "virtual_key_id": f"key-{number % 4}",
        "end_user": f"user-{number % 5}",
        "model": f"model-{number % 2}",
        "provider": f"provider-{number % 3}",
        "metadata": {"number": str(number)},
    }
    for number in range(12)
]


@pytest.fixture
def organization_id(database: Database) -> UUID:
    """An organization with charges, and between them the same spend only logged."""
    with database.connect() as db:
        found = steps.new_organization(db, "100")
        for call in CALLS:
            steps.charge(db, found, "1", **call)
            steps.log_spend(db, found, "2", **{**call, "request_id": f"log-{call['request_id']}"})
        return found


def everything[Item: Answer](page_of: Any) -> list[Item]:
    """Every item of a list, page by page."""
    items: list[Item] = []
    cursor = None
    while True:
        page: Page[Item] = page_of(cursor)
        items += page.items
        if (cursor := page.next_cursor) is None:
            return items


FIELDS = [name for name in UsageFilter.model_fields if name != "request_id"]


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("names", [[], *([name] for name in FIELDS), ["team_id", "model"]])
def test_a_filter_finds_what_it_names_and_no_more(
    database: Database,
    organization_id: UUID,
    names: list[str],
    limit: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A page searches a few rows alone.
    for module in (transactions, spend_logs):
        monkeypatch.setattr(module, "SEARCHED_ROWS", 5)
    wanted = {name: CALLS[4][name] for name in names}
    expected = [call for call in CALLS[::-1] if all(call[name] == wanted[name] for name in names)]
    usage = UsageFilter.model_validate(wanted)
    with database.connect() as db:

        def charges_page(cursor: str | None) -> Page[transactions.Transaction]:
            return transactions.list_transactions(
                db, steps.PLATFORM, organization_id, "charge", usage, None, None, limit, cursor
            )

        def logs_page(cursor: str | None) -> Page[spend_logs.SpendLog]:
            return spend_logs.list_spend_logs(
                db, steps.PLATFORM, organization_id, usage, None, None, limit, cursor
            )

        charged: list[transactions.Transaction] = everything(charges_page)
        logged: list[spend_logs.SpendLog] = everything(logs_page)
    assert [one.request_id for one in charged] == [call["request_id"] for call in expected]
    assert [one.metadata for one in charged] == [call["metadata"] for call in expected]
    assert [one.request_id for one in logged] == [
        name for call in expected for name in (f"log-{call['request_id']}", call["request_id"])
    ]
    assert [one.transaction_id is None for one in logged] == [True, False] * len(expected)


def test_a_list_of_a_period_names_each_transaction_once(
    database: Database, organization_id: UUID
) -> None:
    with database.connect() as db:
        first, *_, last = made = [steps.charge(db, organization_id, "1") for _ in range(4)]
        found = transactions.list_transactions(
            *(db, steps.PLATFORM, organization_id, None, UsageFilter()),
            *(first.created_at, last.created_at, 10, None),
        )
    assert found.items == made[2::-1]


def test_one_transaction_is_found_by_its_id_and_by_its_organization_alone(
    database: Database, organization_id: UUID
) -> None:
    with database.connect() as db:
        charged = steps.charge(db, organization_id, "1", metadata={"a": "b"})
        held = steps.hold(db, organization_id, "1")
        captured = steps.capture(db, held, "1")
        for one in (charged, captured):
            got = transactions.get_transaction(db, steps.PLATFORM, organization_id, one.id)
            assert got == one
        stranger = steps.new_organization(db, "1")
        for unknown in (
            (organization_id, uuid4()),
            (organization_id, held.id),
            (stranger, charged.id),
            (uuid4(), charged.id),
        ):
            with pytest.raises(NotFound):
                transactions.get_transaction(db, steps.PLATFORM, *unknown)


def test_holds_are_listed_as_they_are_now(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization_id = steps.new_organization(db, "100")
        made = [
            steps.hold(db, organization_id, "1", request_id=f"req-{number}") for number in range(5)
        ]
        steps.capture(db, made[0], "1")
        steps.release(db, made[1])
        admin.execute("UPDATE billing.holds SET expires_at = now() WHERE id = %s", [made[2].id])

        def listed(status: holds.HoldStatus | None, request_id: str | None = None) -> list[UUID]:
            page = holds.list_holds(
                db, steps.PLATFORM, organization_id, status, request_id, 100, None
            )
            return [one.id for one in page.items]

        assert listed(None) == [one.id for one in made[::-1]]
        assert listed("captured") == [made[0].id]
        assert listed("released") == [made[1].id]
        assert listed("expired") == [made[2].id]
        assert listed("held") == [made[4].id, made[3].id]
        assert listed(None, "req-3") == [made[3].id]
        expired = holds.get_hold(db, steps.PLATFORM, organization_id, made[2].id)
        assert expired.status == "expired"
        with pytest.raises(NotFound):
            holds.get_hold(db, steps.PLATFORM, organization_id, uuid4())


def test_the_platform_finds_an_organization_by_name_and_by_its_own_id(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "SEARCHED_ROWS", 2)
    with database.connect() as db:
        made = [
            steps.new_organization(db, "5", name=f"Acme {number}", external_id=f"acme-{number}")
            for number in range(5)
        ]
        steps.hold(db, made[0], "2")

        def page(
            external_id: str | None = None, name: str | None = None, cursor: str | None = None
        ) -> Page[listing.OrganizationWithBalance]:
            listed = listing.OrganizationFilter(external_id=external_id, q=name)
            return listing.list_organizations(db, steps.PLATFORM, listed, 2, cursor)

        listed: list[listing.OrganizationWithBalance] = everything(lambda at: page(cursor=at))
        assert [one.id for one in listed] == made[::-1]
        [first] = page("acme-0").items
        assert [first.balance_usd, first.held_usd, first.available_usd] == [5, 2, 3]
        named: list[listing.OrganizationWithBalance] = everything(
            lambda at: page(name="ME 1", cursor=at)
        )
        assert [one.id for one in named] == [made[1]]
        assert page("nobody").items == []
        with pytest.raises(Forbidden):
            listing.list_organizations(
                db, Caller(tenant=str(made[0])), listing.OrganizationFilter(), 2, None
            )


def test_an_external_id_names_one_organization(database: Database) -> None:
    with database.connect() as db:
        first = steps.new_organization(db, external_id="acme")
        with pytest.raises(profile.ExternalIdExists):
            steps.new_organization(db, external_id="acme")
        second = steps.new_organization(db, external_id="other")

        def rename(organization_id: UUID, external_id: str | None) -> profile.Organization:
            change = profile.OrganizationChange.model_validate({"external_id": external_id})
            return profile.update_organization(db, steps.PLATFORM, organization_id, change)

        with pytest.raises(profile.ExternalIdExists):
            rename(second, "acme")
        assert rename(first, None).external_id is None
        assert rename(second, "acme").external_id == "acme"
        with pytest.raises(profile.OrganizationExists):
            steps.new_organization(db, id=str(first))


def test_a_filtered_list_reads_a_bounded_number_of_rows(
    database: Database, organization_id: UUID
) -> None:
    """The deepest search of one page ends within the time that a statement has."""
    assert paging.SEARCHED_ROWS <= 20_000
    with database.connect() as db:
        for _ in range(8):
            steps.charge(db, organization_id, "0.01")
            steps.log_spend(db, organization_id, "0.01")
    with database.admin() as admin, admin.transaction():
        admin.execute("SET LOCAL enable_seqscan = off")
        newest = admin.execute(
            "SELECT FROM billing.newest_spend_logs(%s, '-infinity', 'infinity', 5)",
            [organization_id],
        )
        assert newest.rowcount == 5
        [(read,)] = admin.execute(
            "SELECT sum(idx_tup_fetch + seq_tup_read) FROM pg_stat_xact_user_tables"
            " WHERE schemaname = 'billing'"
        ).fetchall()
    assert 5 <= read <= 10


def test_organizations_are_sorted_by_what_an_operator_looks_for(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        rich, poor, owing, silent = (
            steps.new_organization(db, credit, name=name, credit_limit_usd="50")
            for name, credit in (("Rich", "1000"), ("Poor", "10"), ("Owing", "1"), ("Silent", "5"))
        )
        for day, organization, amount in (
            (8, poor, "7"),
            (6, poor, "1"),
            (1, rich, "3"),
            (0, owing, "2.5"),
        ):
            clock.set_clock(admin, datetime.now(UTC) + timedelta(days=20 - day))
            steps.charge(db, organization, amount)
            # Logged, and paid by nobody.
            steps.log_spend(db, silent, "99")
        clock.set_clock(admin, datetime.now(UTC) + timedelta(days=20))
        forecasts.make_forecasts(db, lambda: True)

        def listed(**asked: Any) -> listing.OrganizationPage:
            by = listing.OrganizationFilter.model_validate(asked)
            return listing.list_organizations(db, steps.PLATFORM, by, 100, None)

        def ids(**asked: Any) -> list[UUID]:
            return [of.id for of in listed(**asked).items]

        assert ids(sort="balance") == [owing, poor, silent, rich]
        assert ids(sort="spent")[:3] == [rich, owing, poor]
        spent = {of.id: of.spent_7_days_usd for of in listed().items}
        assert spent == {rich: 3, owing: Decimal("2.5"), poor: 1, silent: 0}
        for of in listed(sort="runs_out").items:
            forecast = forecasts.get_forecast(db, steps.PLATFORM, of.id, 90)
            assert of.runs_out == (None if of.id == silent else forecast.runs_out.expected)
        days = [of.runs_out or date.max for of in listed(sort="runs_out").items]
        assert days == sorted(days)
        assert days[0] < date.max
        totals = listed(sort="spent").totals
        assert totals is not None
        assert totals.model_dump() == {
            "organizations": 4,
            "balance_usd": "1002.50",
            "debt_usd": "1.50",
            "spent_7_days_usd": "6.50",
        }
        steps.change_organization(db, poor, status="suspended")
        assert ids(status="suspended") == ids(status="suspended", sort="spent") == [poor]
        assert ids(q="OWI", sort="balance") == [owing]
        assert listed(q="OWI", sort="balance").totals == listing.OrganizationTotals(
            organizations=1,
            balance_usd=Decimal("-1.5"),
            debt_usd=Decimal("1.5"),
            spent_7_days_usd=Decimal("2.5"),
        )
        two = listing.OrganizationFilter(sort="balance")
        first = listing.list_organizations(db, steps.PLATFORM, two, 2, None)
        second = listing.list_organizations(db, steps.PLATFORM, two, 2, first.next_cursor)
        assert [of.id for of in (*first.items, *second.items)] == ids(sort="balance")
        assert second.totals is None
        other = listing.OrganizationFilter(sort="spent")
        with pytest.raises(InvalidRequest):
            listing.list_organizations(db, steps.PLATFORM, other, 2, first.next_cursor)
        with pytest.raises(InvalidRequest):
            listed(sort="spent", external_id="x")
        with pytest.raises(Forbidden):
            listing.list_organizations(db, Caller(tenant=str(poor)), two, 2, None)
