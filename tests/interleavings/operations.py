"""The operations that change one organization, and an organization that each of them changes."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from synaxis_billing import procedures
from synaxis_billing.budgets import budgets
from synaxis_billing.invoices import credit_notes, invoices, month_end, topups
from synaxis_billing.ledger import charges
from synaxis_billing.ledger.holds import Hold
from synaxis_billing.ledger.transactions import Transaction
from synaxis_billing.organizations import profile
from synaxis_billing.payments.providers import State
from synaxis_billing.prices import book, reratings, unpriced
from synaxis_billing.rates.rates import Rate
from tests.interleavings import stepping
from tests.support import billing, steps

# The two that race read their clocks before and after the instant at which a month, credit and a
# hold end.
EARLIER, DUE, LATER = "2026-03-31T23:59:59Z", "2026-04-01T00:00:00Z", "2026-04-01T00:00:01Z"
AFTERWARDS = "2026-04-01T00:01:00Z"
# Who made every call, and what was told before those that race.
PERSON, PERSONAL = steps.PLATFORM.subject, "Ann's"
_AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
_RATES = [
    Rate(name, Decimal(rate), _AS_OF, "ecb", False) for name, rate in (("USD", 1), ("EUR", 2))
]
_JANUARY, _FEBRUARY, _MARCH = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3))
TOKENS = {"format": "buckets", "input": 1000, "output": 1000}


class Scene(NamedTuple):
    """An organization to which everything can happen that the table names."""

    id: UUID
    charged: Transaction
    bought: Transaction
    captured: Hold
    released: Hold
    expiring: Hold
    voided: Any
    budget: Any
    draft: invoices.Invoice
    issued: invoices.Invoice
    sold: invoices.Invoice
    paying: UUID
    paid: UUID


Act = Callable[[psycopg.Connection, Scene, str], Any]


class Operation(NamedTuple):
    """`function` is the SQL function that it calls; `act` takes the connection, the scene and a
    key."""

    function: str
    act: Act


def _price(db: psycopg.Connection, model: str, rate: str, since: datetime) -> None:
    rates = [{"bucket": bucket, "usd_per_million": rate} for bucket in ("input", "output")]
    request = {
        "provider": "openai",
        "model": model,
        "effective_from": since.isoformat(),
        "rates": rates,
    }
    book.create_price(db, steps.PLATFORM, book.NewPrice.model_validate(request))


def _by_tokens(model: str) -> dict[str, Any]:
    return {"provider": "openai", "model": model, "usage": TOKENS}


def make(db: psycopg.Connection) -> Scene:
    """Bought, given and borrowed credit; holds; budgets; a draft, an issued invoice; a price that
    was wrong, and usage whose price came late; credit and a hold that end between the two clocks.
    """
    stepping.set_clock(db, "2026-01-10T00:00:00Z")
    id_ = steps.new_organization(
        db, billing_currency="EUR", credit_limit_usd="20", low_balance_threshold_usd="9"
    )
    _price(db, "gpt-4o", "1000", _JANUARY)
    spent = steps.top_up(db, id_, "10")
    steps.charge(db, id_, "12", description=PERSONAL)
    steps.charge(db, id_, "1", description=PERSONAL, provider="openai", model="gpt-4o")
    stepping.set_clock(db, "2026-02-10T00:00:00Z")
    drafted = billing.draft(db, id_, _JANUARY, _FEBRUARY, _RATES)
    issued = billing.issue(db, drafted, _RATES)
    sold = topups.invoice_topup(db, steps.PLATFORM, id_, spent.id, _RATES, billing.ISSUER)
    bought = steps.top_up(db, id_, "10")
    charged = steps.charge(db, id_, "3", team_id="red", description=PERSONAL)
    _charge_tokens(db, id_, "gpt-4o", "priced", PERSONAL)
    _charge_tokens(db, id_, "new", "unpriced", PERSONAL)
    _price(db, "new", "500", _JANUARY)
    # It was half as much.
    _price(db, "gpt-4o", "500", _JANUARY)
    stepping.set_clock(db, "2026-03-31T23:00:00Z")
    draft = billing.draft(db, id_, _FEBRUARY, _MARCH, _RATES)
    budget = steps.budget(db, id_, "16", team="red")
    steps.budget(db, id_, "1000", "day")
    voided = steps.grant(db, id_, "3", description=PERSONAL)
    steps.grant(db, id_, "4", expires_at=DUE, description=PERSONAL)
    steps.grant(db, id_, "1", effective_at=DUE, description=PERSONAL)
    steps.grant(db, id_, "1", every="month", description=PERSONAL)
    paying, paid = (
        _payment(db, id_, key, credit_usd="5")["value"]["id"] for key in ("paying", "paid")
    )
    card = {"customer_id": "cus_1", "payment_method_id": "pm_1"}
    _settlement(db, id_, paid, LATER, captured="2.5", **card)
    _call(
        db,
        "set_auto_topup",
        id_,
        threshold_usd="50",
        target_usd="60",
        monthly_limit_usd="500",
        initiated_by=PERSON,
    )
    _call(db, "mark_overdue", id_)
    captured, released, expiring = (
        steps.hold(db, id_, "2", team_id="red", expires_in_seconds=seconds, description=PERSONAL)
        for seconds in (7200, 7200, 3600)
    )
    return Scene(
        id_,
        charged,
        bought,
        captured,
        released,
        expiring,
        voided,
        budget,
        draft,
        issued,
        sold,
        paying,
        paid,
    )


def _call(db: psycopg.Connection, function: str, id_: UUID, **arguments: Any) -> Any:
    return procedures.call(
        db, function, tenant=steps.PLATFORM.tenant, organization_id=id_, **arguments
    )


def _payment(db: psycopg.Connection, id_: UUID, key: str, **asked: Any) -> Any:
    arguments = {"credit_usd": None, "invoice_id": None} | asked
    return _call(
        db,
        "create_payment",
        id_,
        key=key,
        fingerprint=b"payment",
        purpose="topup" if arguments["credit_usd"] else "invoice",
        provider="stripe",
        return_url="https://example.com",
        terms=invoices.terms(_RATES, billing.ISSUER),
        initiated_by=PERSON,
        **arguments,
    )


def _checkout(db: psycopg.Connection, of: Scene, _: str) -> Any:
    arguments = {"external_id": "cs_1", "checkout_url": "https://example.com/cs_1"}
    return _call(
        db,
        "record_checkout",
        of.id,
        payment_id=of.paying,
        expires_at=datetime(2026, 4, 2, tzinfo=UTC),
        customer_id="cus_1",
        **arguments,
    )


def _settlement(
    db: psycopg.Connection, id_: UUID, payment_id: UUID, as_of: str, **amounts: str
) -> Any:
    state = State.model_validate({"status": "succeeded", "currency": "EUR", **amounts})
    arguments = {"as_of": as_of, "state": Jsonb(state.model_dump(mode="json"))}
    return _call(db, "settle_payment", id_, payment_id=payment_id, **arguments)


def _claim_auto_topup(db: psycopg.Connection, of: Scene, _: str) -> Any:
    terms = invoices.terms(_RATES, billing.ISSUER)
    return _call(db, "claim_auto_topup", of.id, terms=terms) is not None


def _payment_refund(db: psycopg.Connection, of: Scene, key: str) -> Any:
    return _call(
        db,
        "create_payment_refund",
        of.id,
        payment_id=of.paid,
        key=key,
        fingerprint=b"refund",
        amount_usd="1",
        allow_negative_balance=False,
        initiated_by=PERSON,
    )


def _charge_tokens(
    db: psycopg.Connection, id_: UUID, model: str, key: str, description: str = "chat"
) -> Any:
    request = charges.ChargeRequest.model_validate(
        {"description": description, **_by_tokens(model)}
    )
    return charges.charge(db, steps.PLATFORM, id_, key, request)


def _charge(amount_usd: str, **more: Any) -> Act:
    return lambda db, of, key: steps.charge(db, of.id, amount_usd, key, **more)


def _charge_batch(db: psycopg.Connection, of: Scene, key: str) -> Any:
    items = [steps.item(of.id, "4", f"{key} {n}", team_id="red") for n in (1, 2)]
    return steps.charge_batch(db, *items)


def _credit(**request: Any) -> Act:
    def credit(db: psycopg.Connection, of: Scene, key: str) -> Any:
        asked = credit_notes.CreditNoteRequest.model_validate({"reason": "wrong", **request})
        ids = of.issued.organization_id, of.issued.id
        by = billing.ISSUER, steps.GRACE_DAYS
        return credit_notes.credit_invoice(db, steps.PLATFORM, *ids, key, asked, *by)[0]

    return credit


def _reissue(db: psycopg.Connection, of: Scene, key: str) -> Any:
    return billing.credit(db, of.sold, key, reissue=True)


def _bill_month(db: psycopg.Connection, of: Scene, _: str) -> Any:
    job = month_end.Job(month="2026-02", organization_id=of.id)
    return month_end.bill_month(db, job, _RATES, billing.ISSUER)


def _invoice_topup(db: psycopg.Connection, of: Scene, _: str) -> Any:
    ids = of.id, of.bought.id
    return topups.invoice_topup(db, steps.PLATFORM, *ids, _RATES, billing.ISSUER)


def _rerate(db: psycopg.Connection, _of: Scene, _: str) -> Any:
    request = {
        "provider": "openai",
        "model": "gpt-4o",
        "from": _JANUARY.isoformat(),
        "to": _MARCH.isoformat(),
        "dry_run": False,
    }
    return reratings.rerate(db, steps.PLATFORM, reratings.NewRerating.model_validate(request))


def _settle(db: psycopg.Connection, of: Scene, _: str) -> Any:
    return procedures.call(db, "settle_organization", tenant="*", organization_id=of.id)


def _change_profile(db: psycopg.Connection, of: Scene, _: str) -> Any:
    request = profile.OrganizationChange.model_validate(
        {"credit_limit_usd": "1", "timezone": "Asia/Tokyo"}
    )
    return profile.update_organization(db, steps.PLATFORM, of.id, request)


OPERATIONS = {
    "charge": Operation("charge", _charge("4", team_id="red")),
    "charge of nearly all": Operation("charge", _charge("21", request_id="request-1")),
    "charge by tokens": Operation(
        "charge", lambda db, of, key: _charge_tokens(db, of.id, "gpt-4o", key)
    ),
    "batch": Operation("charge_batch", _charge_batch),
    "hold": Operation("hold", lambda db, of, key: steps.hold(db, of.id, "4", key, team_id="red")),
    "hold of nearly all": Operation("hold", lambda db, of, key: steps.hold(db, of.id, "21", key)),
    "capture": Operation(
        "capture_hold", lambda db, of, key: steps.capture(db, of.captured, "1", key)
    ),
    "capture of an expiring hold": Operation(
        "capture_hold", lambda db, of, key: steps.capture(db, of.expiring, "2", key)
    ),
    "release": Operation("release_hold", lambda db, of, key: steps.release(db, of.released, key)),
    "release of what is captured": Operation(
        "release_hold", lambda db, of, key: steps.release(db, of.captured, key)
    ),
    "change of a hold": Operation(
        "change_hold", lambda db, of, _: steps.change_hold(db, of.captured, amount_usd="4")
    ),
    "top-up": Operation("top_up", lambda db, of, key: steps.top_up(db, of.id, "5", key)),
    "top-up of one payment": Operation(
        "top_up", lambda db, of, key: steps.top_up(db, of.id, "5", key, reference_id="pi_1")
    ),
    "refund": Operation("refund", lambda db, of, key: steps.refund(db, of.charged, "2", key)),
    "adjustment upward": Operation("adjust", lambda db, of, key: steps.adjust(db, of.id, "1", key)),
    "adjustment downward": Operation(
        "adjust", lambda db, of, key: steps.adjust(db, of.id, "-6", key)
    ),
    "grant": Operation("create_grant", lambda db, of, key: steps.grant(db, of.id, "2", key)),
    "monthly grant": Operation(
        "create_grant", lambda db, of, key: steps.grant(db, of.id, "2", key, every="month")
    ),
    "void": Operation("void_grant", lambda db, of, key: steps.void(db, of.voided, key)),
    "settlement": Operation("settle_organization", _settle),
    "draft": Operation(
        "draft_invoice",
        lambda db, of, _: billing.draft(db, of.id, _FEBRUARY, _MARCH, _RATES),
    ),
    "issue": Operation("issue_invoice", lambda db, of, _: billing.issue(db, of.draft, _RATES)),
    "cancel": Operation("cancel_invoice", lambda db, of, _: billing.cancel(db, of.draft)),
    "pay": Operation("pay_invoice", lambda db, of, _: billing.pay(db, of.issued)),
    "credit note": Operation("credit_invoice", _credit(amount_usd="1")),
    "credit note that refunds": Operation(
        "credit_invoice", _credit(amount_usd="2", refund_credit=True)
    ),
    "invoice of a top-up": Operation("invoice_topup", _invoice_topup),
    "reissue": Operation("reissue_invoice", _reissue),
    "month end": Operation("bill_month", _bill_month),
    "payment": Operation(
        "create_payment", lambda db, of, key: _payment(db, of.id, key, credit_usd="5")
    ),
    "payment of an invoice": Operation(
        "create_payment",
        lambda db, of, key: _payment(db, of.id, key, invoice_id=of.issued.id),
    ),
    "checkout": Operation("record_checkout", _checkout),
    "payment settlement": Operation(
        "settle_payment",
        lambda db, of, _: _settlement(db, of.id, of.paying, AFTERWARDS, captured="2.5"),
    ),
    "payment dispute": Operation(
        "settle_payment",
        lambda db, of, _: _settlement(
            db, of.id, of.paid, AFTERWARDS, captured="2.5", disputed="2.5", dispute_state="open"
        ),
    ),
    "automatic top-up": Operation("claim_auto_topup", _claim_auto_topup),
    "dunning": Operation("dun", lambda db, of, _: _call(db, "dun", of.id, suspend=True)),
    "payment refund": Operation("create_payment_refund", _payment_refund),
    "erasure of a person": Operation(
        "erase_personal_data", lambda db, of, _: steps.erase(db, of.id, PERSON)
    ),
    "erasure with the profile": Operation(
        "erase_profile", lambda db, of, _: steps.erase(db, of.id, profile=True)
    ),
    "erasure of everybody": Operation("erase_persons", lambda db, of, _: steps.erase(db, of.id)),
    "budget": Operation(
        "create_budget", lambda db, of, _: steps.budget(db, of.id, "5", end_user=PERSON)
    ),
    "change of a budget": Operation(
        "update_budget", lambda db, of, _: steps.change_budget(db, of.budget, limit_usd="3")
    ),
    "end of a budget": Operation(
        "delete_budget",
        lambda db, of, _: budgets.delete_budget(db, steps.PLATFORM, of.id, of.budget.id),
    ),
    "change of the profile": Operation("update_organization", _change_profile),
    "spend log": Operation("log_spend", lambda db, of, _: steps.log_spend(db, of.id, "1")),
    "rerating": Operation("rerate", _rerate),
    "usage that was unpriced": Operation(
        "charge_unpriced", lambda db, _of, _: unpriced.charge_unpriced(db, steps.PLATFORM)
    ),
}
# The functions that change an organization and belong to no pair, each with its reason.
LEFT_OUT = {
    "create_webhook_endpoint": "webhooks move no money",
    "update_webhook_endpoint": "webhooks move no money",
    "delete_webhook_endpoint": "webhooks move no money",
    "rotate_webhook_secret": "webhooks move no money",
    "webhook_attempted": "webhooks move no money",
    "replay_webhooks": "webhooks move no money",
    "claim_webhooks": "webhooks move no money",
    "webhooks_unsent": "webhooks move no money",
    "create_organization": "before it, the organization has no other operation",
    "mark_overdue": "it changes a status by the clock alone, in one statement",
    "claim_topups": "it hands out work, in one statement",
    "refuse_events": "it lists what was refused, and changes nothing else",
    "used_event_keys": "it reads",
    "payment_order": "it reads",
    "set_auto_topup": "it says when to buy, and buys nothing",
    "delete_auto_topup": "it says when to buy, and buys nothing",
    "preview_payment": "it reads",
    "create_payment_link": "a link moves no money before its payment",
    "put_label": "a name of a team or key moves no money",
    "delete_label": "a name of a team or key moves no money",
    "claim_payments": "it hands out work, in one statement",
    "create_client": "a client of the API moves no money by itself",
    "revoke_client": "a client of the API moves no money by itself",
    "rotate_client_secret": "a client of the API moves no money by itself",
    "request_invalidation": "it writes the outbox of the caches",
    "set_home": "an organization of another region has no other operation here",
    "month_failed": "it writes a reason into the list of month end",
    "topup_failed": "it writes a reason into the list of top-ups",
    "store_forecast": "a forecast is computed before, and stored whole",
    "spend": "it calls functions of the table",
    "spend_batch_of": "it calls functions of the table",
    "take_place": "every function of the table calls it",
}
