"""Charges by tokens: priced in the charge itself, kept when there is no price, corrected later."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pydantic import ValidationError

from synaxis_billing import procedures
from synaxis_billing.caller import Caller
from synaxis_billing.errors import BillingError, Conflict, Forbidden
from synaxis_billing.idempotency import IdempotencyKeyReused
from synaxis_billing.ledger import charges, holds, transactions
from synaxis_billing.ledger.transactions import (
    InsufficientCredits,
    OrganizationSuspended,
    Transaction,
)
from synaxis_billing.organizations import profile
from synaxis_billing.prices import reratings, unpriced
from synaxis_billing.prices.unpriced import (
    Uncharged,
    Unpriced,
    charge_all_unpriced,
    charge_unpriced,
    list_unpriced,
)
from synaxis_billing.prices.usage import PriceUnknown
from synaxis_billing.usage import spend_logs
from synaxis_billing.usage.dimensions import UsageFilter
from tests.conftest import Database
from tests.prices.test_book import add, quote, rate
from tests.support import steps
from tests.support.steps import PLATFORM, new_key, new_organization

MILLION = {"format": "openai", "prompt_tokens": 10**6, "completion_tokens": 0}


def request(model: str = "gpt-4o", **more: Any) -> dict[str, Any]:
    return {
        "description": "chat completion",
        "provider": "openai",
        "model": model,
        "usage": MILLION,
        **more,
    }


def charge(
    db: psycopg.Connection, organization_id: UUID, key: str = "", **more: Any
) -> Transaction | Unpriced:
    body = charges.ChargeRequest.model_validate(request(**more))
    return charges.charge(db, PLATFORM, organization_id, key or new_key(), body)[0]


def charged(db: psycopg.Connection, organization_id: UUID, **more: Any) -> Transaction:
    transaction = charge(db, organization_id, **more)
    assert isinstance(transaction, Transaction)
    return transaction


def kept(db: psycopg.Connection, organization_id: UUID, **more: Any) -> Unpriced:
    usage = charge(db, organization_id, **more)
    assert isinstance(usage, Unpriced)
    return usage


def rerate(db: psycopg.Connection, **more: Any) -> reratings.Rerating:
    body = {
        "provider": "openai",
        "model": "gpt-4o",
        "from": (datetime.now(UTC) - timedelta(days=1)).isoformat(),
        "to": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        "dry_run": False,
        **more,
    }
    return reratings.rerate(db, PLATFORM, reratings.NewRerating.model_validate(body))


def corrections(rerating: reratings.Rerating) -> dict[UUID, Decimal]:
    return {found.organization_id: found.correction_usd for found in rerating.organizations}


def test_a_charge_by_tokens_costs_what_a_quote_says(database: Database) -> None:
    with database.connect() as db:
        organization = new_organization(db, "10", price_multiplier="1.1")
        price = add(db, rate("input", "1.50", "batch"))
        transaction = charged(db, organization, service_tier="batch")
        quoted = quote(db, organization, tier="batch", input=10**6)
        assert -transaction.amount_usd == quoted.amount_usd == Decimal("1.65")
        with database.admin() as admin:
            row = admin.execute(
                "SELECT amount_usd, tokens, usage, service_tier, price_id, price_multiplier"
                " FROM billing.spend_logs WHERE transaction_id = %s",
                [transaction.id],
            ).fetchone()
    # All that makes the amount again is stored with it.
    assert row == (
        Decimal("1.65"),
        10**6,
        {"input": 10**6},
        "batch",
        price.id,
        Decimal("1.1"),
    )
    assert database.audit().whole


def test_the_answer_to_a_charge_by_tokens_is_what_is_stored(database: Database) -> None:
    with database.connect() as db:
        organization = new_organization(db, "10", price_multiplier="1.1")
        price = add(db)
        transaction = charged(db, organization, request_id="r", metadata={"trace": "t"})
        assert (transaction.price_id, transaction.usage) == (price.id, {"input": 10**6})
        read = transactions.get_transaction(db, PLATFORM, organization, transaction.id)
        assert transaction == read
        [logged] = list_logs(db, organization)
        assert (logged.price_id, logged.service_tier) == (price.id, "standard")
        assert logged.price_multiplier == Decimal("1.1")


def list_logs(db: psycopg.Connection, organization_id: UUID) -> list[spend_logs.SpendLog]:
    page = spend_logs.list_spend_logs(
        db, PLATFORM, organization_id, UsageFilter(), None, None, 10, None
    )
    return page.items


def test_spend_is_logged_by_tokens_and_not_charged(database: Database) -> None:
    with database.connect() as db:
        organization = new_organization(db, "1")
        price = add(db)

        def log(model: str) -> spend_logs.SpendLog:
            fields = {name: of for name, of in request(model).items() if name != "description"}
            asked = spend_logs.SpendLogRequest.model_validate(fields)
            return spend_logs.log_spend(db, PLATFORM, organization, None, asked)[0]

        logged = log("gpt-4o")
        assert (logged.amount_usd, logged.tokens) == (Decimal("2.5"), 10**6)
        assert (logged.price_id, logged.transaction_id) == (price.id, None)
        with pytest.raises(PriceUnknown):
            log("unheard-of")
        assert list_logs(db, organization) == [logged]
        assert steps.available(db, organization) == 1
    assert database.audit().whole


def test_no_key_of_a_client_stops_the_charge_of_usage_that_waited(database: Database) -> None:
    with database.connect() as db:
        organization = new_organization(db, "10")
        waiting = kept(db, organization)
        for key in (f"unpriced {waiting.id}", str(waiting.id)):
            steps.charge(db, organization, "1", key)
        add(db)
        assert charge_unpriced(db, PLATFORM) == 1
        assert steps.available(db, organization) == Decimal("5.5")
    assert database.audit().whole


def test_no_id_of_an_organization_is_left_out(database: Database) -> None:
    with database.connect() as db:
        for first_or_last in (1, 2**128 - 1):
            kept(db, steps.new_organization(db, "10", id=UUID(int=first_or_last)))
        add(db)
        assert charge_unpriced(db, PLATFORM) == 2


def test_a_suspended_organization_keeps_no_usage_and_pays_what_waited(database: Database) -> None:
    with database.connect() as db:
        organization = new_organization(db, "10")
        kept(db, organization)
        change = profile.OrganizationChange(status="suspended")
        profile.update_organization(db, PLATFORM, organization, change)
        for model in ("gpt-4o", "unheard-of"):
            with pytest.raises(OrganizationSuspended):
                charge(db, organization, model=model)
        add(db)
        assert charge_unpriced(db, PLATFORM) == 1
        assert steps.available(db, organization) == Decimal("7.5")
    assert database.audit().whole


def test_a_batch_prices_each_of_its_items(database: Database) -> None:
    with database.connect() as db:
        organization = new_organization(db, "10")
        add(db)
        add(db, rate("input", "4"), model="gpt-5")
        items = [
            {**request(model), "organization_id": str(organization), "idempotency_key": new_key()}
            for model in ("gpt-4o", "unheard-of", "gpt-5", "gpt-5")
        ]
        first, missing, third, short = steps.charge_batch(db, *items)
        assert isinstance(first, charges.Charged)
        assert first.transaction.amount_usd == Decimal("-2.5")
        assert isinstance(missing, charges.Kept)
        assert (missing.status, missing.unpriced.model) == (202, "unheard-of")
        assert isinstance(third, charges.Charged)
        assert third.transaction.balance_after_usd == Decimal("3.5")
        assert isinstance(short, charges.Refused)
        assert short.error["code"] == "insufficient_credits"
    assert database.audit().whole


def test_a_batch_that_repeats_itself_keeps_its_usage_once(database: Database) -> None:
    with database.connect() as db:
        organization = new_organization(db, "10")
        add(db)

        def item(key: str, model: str, request_id: str | None = None) -> dict[str, Any]:
            more = {"organization_id": str(organization), "idempotency_key": key}
            return {**request(model, request_id=request_id), **more}

        first, again, other, counted = steps.charge_batch(
            db,
            item("a", "unheard-of", "r"),
            item("a", "unheard-of", "r"),
            item("a", "gpt-4o"),
            item("b", "gpt-4o", "r"),
        )
        assert isinstance(first, charges.Kept)
        assert first == again
        assert isinstance(other, charges.Refused)
        assert other.error["code"] == "idempotency_key_reused"
        assert isinstance(counted, charges.Refused)
        assert "already counted by unpriced usage" in counted.error["detail"]
        assert steps.available(db, organization) == 10
        assert len(list_unpriced(db, PLATFORM, 10, None).items) == 1


def test_the_audit_tells_whose_unpriced_usage_has_lost_its_key(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization = new_organization(db, "10")
        kept(db, organization)
        add(db)
        assert charge_unpriced(db, PLATFORM) == 1
        admin.execute("SET session_replication_role = replica")
        admin.execute("DELETE FROM billing.idempotency WHERE key LIKE '%unpriced%'")
    [own] = database.audit().organizations
    assert "usage without a price is charged once, by its own key" in " ".join(own.broken)


@pytest.mark.parametrize(
    "change",
    ["amount_usd = amount_usd - 0.00000001", "tokens = 1", "price_multiplier = 2", "cost_usd = 2"],
)
def test_the_audit_computes_every_priced_amount_again(change: str, database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization = new_organization(db, "10")
        add(db)
        charged(db, organization)
        assert database.audit().whole
        admin.execute("SET session_replication_role = replica")
        admin.execute(f"UPDATE billing.credit_transactions SET {change}")
    broken = database.audit().all_broken
    promise = "the cost of usage is" if "cost" in change else "an amount is what its price makes"
    assert any(promise in line for line in broken)


def test_a_retry_after_a_change_of_the_price_gets_its_first_answer(database: Database) -> None:
    with database.connect() as db:
        organization = new_organization(db, "100")
        add(db)
        first = charge(db, organization, "key")
        add(db, rate("input", "9"))
        assert charge(db, organization, "key") == first
        with pytest.raises(IdempotencyKeyReused):
            charge(db, organization, "key", model="gpt-5")


def hold(
    db: psycopg.Connection, organization_id: UUID, model: str = "gpt-4o", **more: Any
) -> holds.Hold:
    asked = holds.HoldRequest.model_validate(request(model, **more))
    return holds.hold(db, PLATFORM, organization_id, new_key(), asked)[0]


def capture(db: psycopg.Connection, held: holds.Hold, **more: Any) -> Transaction | Unpriced:
    asked = holds.CaptureRequest.model_validate(request(**more))
    return holds.capture(db, PLATFORM, held.organization_id, held.id, new_key(), asked)[0]


def test_a_hold_by_tokens_reserves_their_price_and_an_unknown_model_is_refused(
    database: Database,
) -> None:
    with database.connect() as db:
        organization = new_organization(db, "10")
        add(db)
        assert hold(db, organization).amount_usd == Decimal("2.5")
        with pytest.raises(PriceUnknown, match="has no price"):
            hold(db, organization, "unheard-of")
        assert steps.available(db, organization) == Decimal("7.5")
    assert database.audit().whole


def test_a_capture_by_tokens_is_rated_like_its_hold(database: Database) -> None:
    with database.connect() as db:
        organization = new_organization(db, "10")
        add(db)
        transaction = capture(
            db, hold(db, organization), usage={"format": "buckets", "input": 10**5}
        )
        assert isinstance(transaction, Transaction)
        assert transaction.amount_usd == Decimal("-0.25")
        with pytest.raises(holds.CaptureExceedsHold):
            capture(db, hold(db, organization), usage={"format": "buckets", "output": 10**6})
        # The call was answered by a model that nobody has priced.
        waiting = capture(db, hold(db, organization), model="unheard-of")
        assert isinstance(waiting, Unpriced)
    assert database.audit().whole


def test_a_free_call_is_held_captured_charged_and_counted(database: Database) -> None:
    nothing = {"format": "openai", "prompt_tokens": 0, "completion_tokens": 0}
    with database.connect() as db:
        organization = new_organization(db, "0.01")
        add(db, rate("input", "0"), rate("output", "0"))
        held = hold(db, organization)
        assert held.amount_usd == 0
        for transaction in (capture(db, held), charge(db, organization, usage=nothing)):
            assert isinstance(transaction, Transaction)
            assert transaction.amount_usd == 0
        assert steps.available(db, organization) == Decimal("0.01")
    assert database.audit().whole


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"usage": None}, "amount_usd", "Field required"),
        ({"amount_usd": "1"}, "amount_usd", "must not be given beside usage"),
        ({"tokens": 5}, "tokens", "must not be given beside usage"),
        ({"provider": None}, "provider", "Field required"),
        ({"model": None}, "model", "Field required"),
        (
            {"usage": None, "amount_usd": "1", "service_tier": "flex"},
            "service_tier",
            "is for usage in tokens",
        ),
    ],
)
def test_a_charge_has_either_an_amount_or_tokens(
    changes: dict[str, Any], field: str, rule: str
) -> None:
    with pytest.raises(ValidationError, match=rule) as refused:
        charges.ChargeRequest.model_validate({**request(), **changes})
    assert refused.value.errors()[0]["loc"] == (field,)


def test_usage_without_a_price_is_kept_and_charged_once_when_the_price_comes(
    database: Database,
) -> None:
    with database.connect() as db:
        organization = new_organization(db, "10")
        usage = kept(db, organization, key="key", request_id="r1", reference_id="job")
        assert (usage.usage, usage.idempotency_key) == ({"input": 10**6}, "key")
        assert charge(db, organization, "key", request_id="r1", reference_id="job") == usage
        with pytest.raises(IdempotencyKeyReused):
            charge(db, organization, "key", model="other")
        with pytest.raises(Conflict, match="request_id"):
            charge(db, organization, request_id="r1")
        assert list_unpriced(db, PLATFORM, 10, None).items == [usage]
        assert charge_unpriced(db, PLATFORM) == 0
        assert steps.available(db, organization) == 10

        add(db)
        assert charge_unpriced(db, PLATFORM) == 1
        assert charge_unpriced(db, PLATFORM) == 0
        assert steps.available(db, organization) == Decimal("7.5")
        assert list_unpriced(db, PLATFORM, 10, None).items == []
        # The client's retry finds the charge.
        retried = charged(db, organization, key="key", request_id="r1", reference_id="job")
        assert (retried.amount_usd, retried.reference_id) == (Decimal("-2.5"), "job")
    assert database.audit().whole


def test_usage_is_charged_in_order_and_waits_for_credit(database: Database) -> None:
    with database.connect() as db:
        poor, rich = new_organization(db, "3"), new_organization(db, "30")
        first, second = kept(db, poor), kept(db, poor)
        kept(db, rich, model="still-unknown")
        kept(db, rich)
        add(db)
        assert charge_unpriced(db, PLATFORM) == 2
        waiting = [usage.id for usage in list_unpriced(db, PLATFORM, 10, None).items]
        assert first.id not in waiting
        assert second.id in waiting
        assert len(waiting) == 2
        steps.top_up(db, poor, "10")
        assert charge_unpriced(db, PLATFORM) == 1
    assert database.audit().whole


def test_an_organization_whose_usage_cannot_be_charged_stops_no_other(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        many = sorted(new_organization(db, "10") for _ in range(3))
        for organization in many:
            kept(db, organization)
        add(db)
        # Whatever the reason is, here one that only an administrator can make.
        admin.execute(
            "CREATE FUNCTION pg_temp.fail() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'XX001'; END$$"
        )
        admin.execute(
            "CREATE TRIGGER fail BEFORE INSERT ON billing.credit_transactions FOR EACH ROW"
            f" WHEN (NEW.organization_id = '{many[0]}' AND NEW.transaction_type = 'charge')"
            " EXECUTE FUNCTION pg_temp.fail()".encode()
        )
        with pytest.raises(Uncharged, match=rf"{many[0]} \(XX001\)"):
            charge_all_unpriced(db, PLATFORM)
        assert [steps.available(db, one) for one in many] == [10, Decimal("7.5"), Decimal("7.5")]
        admin.execute("DROP TRIGGER fail ON billing.credit_transactions")
        assert charge_all_unpriced(db, PLATFORM) == 1
    assert database.audit().whole


def test_an_organization_with_too_many_calls_under_way_stops_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No call ends, so nobody needs to wait for one.
    monkeypatch.setattr(procedures, "PATIENCE_SECONDS", 0)
    with database.connect() as db, database.admin() as admin:
        many = sorted(new_organization(db, "10") for _ in range(2))
        for organization in many:
            kept(db, organization)
        add(db)
        with admin.transaction():
            # The places of calls in the database.
            admin.execute(
                "SELECT pg_advisory_xact_lock(uuid_hash_extended(%s, place))"
                " FROM generate_series(0, 7) AS place",
                [many[0]],
            )
            with pytest.raises(Uncharged, match=rf"{many[0]} \(too_many_requests\)"):
                charge_all_unpriced(db, PLATFORM)
        assert [steps.available(db, one) for one in many] == [10, Decimal("7.5")]
        assert charge_all_unpriced(db, PLATFORM) == 1
    assert database.audit().whole


def test_a_long_backlog_without_credit_stops_no_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpriced, "MOST_CHARGED", 2)
    with database.connect() as db:
        first, second = sorted(new_organization(db) for _ in range(2))
        for _ in range(5):
            kept(db, first)
            kept(db, second)
        steps.top_up(db, second, "100")
        add(db)
        assert charge_all_unpriced(db, PLATFORM) == 5
        waiting = list_unpriced(db, PLATFORM, 10, None).items
        assert {usage.organization_id for usage in waiting} == {first}
    assert database.audit().whole


def read_in_order(db: psycopg.Connection) -> None:
    """Let the database read rows as they are asked for, as it does when there are many."""
    for plan in ("sort", "hashagg", "incremental_sort", "bitmapscan"):
        db.execute(f"SET enable_{plan} = off".encode())


def test_one_run_charges_the_usage_of_every_organization(database: Database) -> None:
    # More than the database reads ahead of the first.
    with database.connect() as db:
        many = [new_organization(db, "10") for _ in range(70)]
        for organization in many:
            kept(db, organization)
        add(db)
        read_in_order(db)
        assert charge_unpriced(db, PLATFORM) == len(many)
        assert {steps.available(db, one) for one in many} == {Decimal("7.5")}
    assert database.audit().whole


def test_an_erasure_empties_usage_that_waits_and_what_is_charged_of_it(database: Database) -> None:
    with database.connect() as db, database.admin() as admin:
        organization = new_organization(db, "10")
        kept(db, organization, description="of Jane")
        steps.erase(db, organization)
        kept(db, organization, description="of Joe")
        add(db)
        assert charge_unpriced(db, PLATFORM) == 2
        rows = admin.execute(
            "SELECT description FROM billing.credit_transactions"
            " WHERE transaction_type = 'charge' ORDER BY created_at"
        ).fetchall()
        assert rows == [(None,), ("of Joe",)]
        left = "SELECT count((request).description) FROM billing.unpriced_usage"
        assert admin.execute(left).fetchone() == (0,)
    assert database.audit().whole


def test_usage_that_two_runs_find_at_once_is_charged_once(database: Database) -> None:
    with database.connect() as db:
        organization = new_organization(db, "100")
        for _ in range(8):
            kept(db, organization)
        add(db)

        def run(_: int) -> int:
            with database.connect() as own:
                return charge_unpriced(own, PLATFORM)

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(run, range(4))) == 8
        assert steps.available(db, organization) == 80
    assert database.audit().whole


def test_a_rerating_corrects_each_organization_once(database: Database) -> None:
    with database.connect() as db:
        dear, own, other = (new_organization(db, "10") for _ in range(3))
        add(db, rate("input", "3"))
        add(db, rate("input", "1"), organization_id=str(own))
        first = charged(db, dear)
        charged(db, dear)
        charged(db, own)
        steps.charge(db, other, "1", model="gpt-4o", provider="openai")
        assert corrections(rerate(db)) == {}
        # The price was wrong all the time.
        add(db, rate("input", "2.50"))
        told = rerate(db, dry_run=True)
        assert corrections(told) == {dear: Decimal("-1")}
        assert told.id is None
        assert steps.available(db, dear) == 4
        done = rerate(db)
        [correction] = done.organizations
        assert (correction.charges, correction.charged_usd) == (2, Decimal("6"))
        assert correction.rerated_usd == Decimal("5")
        assert steps.available(db, dear) == 5
        assert stored(database, correction.transaction_id)[:2] == (str(done.id), "adjustment")
        assert corrections(rerate(db)) == {}
        # Another correction counts from what the first one left; the charge is as it was.
        add(db, rate("input", "4"))
        assert corrections(rerate(db)) == {dear: Decimal("3")}
        assert stored(database, first.id)[2] == Decimal("-3")
    assert database.audit().whole


@pytest.mark.parametrize("model", ["gpt-4o", "openai/gpt-4o-2024-11-20"])
def test_a_rerating_keeps_the_multiplier_of_each_charge(database: Database, model: str) -> None:
    with database.connect() as db:
        organization = new_organization(db, "10", price_multiplier="1.1")
        add(db)
        charged(db, organization, model=model)
        change = profile.OrganizationChange.model_validate({"price_multiplier": "2"})
        profile.update_organization(db, PLATFORM, organization, change)
        assert corrections(rerate(db)) == {}
        add(db, rate("input", "3.50"))
        assert corrections(rerate(db)) == {organization: Decimal("1.1")}
    assert database.audit().whole


def stored(database: Database, transaction_id: UUID | None) -> tuple[str | None, str, Decimal]:
    """The transaction's reference_id, type and amount."""
    with database.admin() as admin:
        row = admin.execute(
            "SELECT reference_id, transaction_type::text, amount_usd"
            " FROM billing.credit_transactions WHERE id = %s",
            [transaction_id],
        ).fetchone()
    assert row is not None
    return row


def test_a_rerating_may_take_more_than_there_is_and_leaves_refunds_alone(
    database: Database,
) -> None:
    with database.connect() as db:
        organization = new_organization(db, "5")
        add(db)
        refunded = charged(db, organization)
        steps.refund(db, refunded)
        charged(db, organization)
        add(db, rate("input", "9"))
        assert corrections(rerate(db)) == {organization: Decimal("6.5")}
        assert steps.available(db, organization) == -4
        with pytest.raises(InsufficientCredits):
            charge(db, organization)
    assert database.audit().whole


def test_only_the_platform_rerates_and_charges_what_waited(database: Database) -> None:
    with database.connect() as db:
        tenant = Caller(tenant=str(new_organization(db)))
        body = {
            "provider": "openai",
            "model": "gpt-4o",
            "from": "2026-01-01T00:00:00Z",
            "to": "2026-02-01T00:00:00Z",
        }
        for call in (
            lambda: charge_unpriced(db, tenant),
            lambda: reratings.rerate(db, tenant, reratings.NewRerating.model_validate(body)),
        ):
            with pytest.raises(Forbidden):
                call()


def test_a_tenant_sees_its_own_unpriced_usage_alone(database: Database) -> None:
    with database.connect() as db:
        mine, theirs = new_organization(db), new_organization(db)
        usage = kept(db, mine)
        kept(db, theirs)
        tenant = Caller(tenant=str(mine))
        assert list_unpriced(db, tenant, 10, None).items == [usage]


def test_a_period_that_ends_before_it_begins_is_refused(database: Database) -> None:
    at = "2026-01-01T00:00:00Z"
    with database.connect() as db, pytest.raises((BillingError, ValidationError), match="before"):
        rerate(db, **{"from": at, "to": at})


def test_one_rerating_corrects_every_organization(database: Database) -> None:
    with database.connect() as db:
        many = [new_organization(db, "10") for _ in range(70)]
        add(db, rate("input", "3"))
        for organization in many:
            charged(db, organization)
        add(db, rate("input", "2.50"))
        read_in_order(db)
        assert corrections(rerate(db)) == dict.fromkeys(many, Decimal("-0.5"))
        assert corrections(rerate(db)) == {}
        assert {steps.available(db, one) for one in many} == {Decimal("7.5")}
    assert database.audit().whole
