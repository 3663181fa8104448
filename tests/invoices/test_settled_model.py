"""Any history of usage, credit, documents, payments and credit notes settles every charge once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from synaxis_billing.errors import BillingError
from synaxis_billing.grants import revenue
from synaxis_billing.invoices.invoices import Invoice
from synaxis_billing.ledger.audit import audit
from synaxis_billing.ledger.transactions import Transaction
from tests.conftest import Database
from tests.support import billing, steps
from tests.support.clock import move_clock, set_clock

START = datetime(2031, 1, 20, 12, tzinfo=UTC)
TAX = {"label": "VAT", "rate_percent": "19", "tax_id": "DE811"}
FIGURES = tuple(revenue.RevenueFigures.model_fields)
amounts = st.decimals("0.00000001", "9", places=8).map("{:f}".format)
positions = st.integers(0, 1000)
shares = st.sampled_from(["0.5", "1"]).map(Decimal)
lives = st.none() | st.sampled_from([5, 30])


def part(amount: Decimal, share: Decimal) -> str:
    return f"{max(amount * share, Decimal('1e-8')).quantize(Decimal('1e-8')):f}"


class Documents(RuleBasedStateMachine):
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.db = self.database.connect()
        self.admin = self.database.admin()
        set_clock(self.admin, START)
        self.id = steps.new_organization(
            self.db, credit_limit_usd="50", billing_currency="EUR", tax=TAX
        )
        self.charged: list[Transaction] = []
        self.documents: list[Invoice] = []
        self.documented = START - timedelta(hours=1)
        self.closed: dict[str, dict[str, Decimal]] = {}

    def teardown(self) -> None:
        self.db.close()
        self.admin.close()

    def now(self) -> datetime:
        [(now,)] = self.admin.execute("SELECT billing.now()").fetchall()
        assert isinstance(now, datetime)
        return now

    def ending(self, life: int | None) -> dict[str, Any]:
        return {"expires_at": (self.now() + timedelta(days=life)).isoformat()} if life else {}

    @rule(amount=amounts)
    def charge(self, amount: str) -> None:
        made = _try(lambda: steps.charge(self.db, self.id, amount, model="gpt-4o"))
        if isinstance(made, Transaction):
            self.charged.append(made)

    @rule(amount=amounts, life=lives, discounted=st.booleans())
    def top_up(self, amount: str, life: int | None, discounted: bool) -> None:
        paid: dict[str, Any] = {"paid": {"amount": "1", "currency": "USD"}} if discounted else {}
        steps.top_up(self.db, self.id, amount, **self.ending(life), **paid)

    @rule(amount=amounts, life=lives, later=st.booleans())
    def grant(self, amount: str, life: int | None, later: bool) -> None:
        start = {"effective_at": (self.now() + timedelta(days=4)).isoformat()} if later else {}
        steps.grant(self.db, self.id, amount, **start, **self.ending(life))

    @rule(amount=amounts)
    def adjust_downward(self, amount: str) -> None:
        _try(lambda: steps.adjust(self.db, self.id, f"-{amount}"))

    @precondition(lambda self: self.charged)
    @rule(which=positions, share=shares)
    def refund(self, which: int, share: Decimal) -> None:
        charged = self.charged[which % len(self.charged)]
        _try(lambda: steps.refund(self.db, charged, part(-charged.amount_usd, share)))

    @rule()
    def issue_the_next_period(self) -> None:
        end = self.now()
        drafted = billing.draft(self.db, self.id, self.documented, end)
        self.documents.append(billing.issue(self.db, drafted))
        self.documented = end

    @precondition(lambda self: self.documents)
    @rule(which=positions)
    def issue_again_what_was_cancelled(self, which: int) -> None:
        old = self.documents[which % len(self.documents)]
        drafted = billing.draft(self.db, self.id, old.period_start, old.period_end)
        issued = billing.issue(self.db, drafted)
        if issued.id not in {known.id for known in self.documents}:
            self.documents.append(issued)

    @precondition(lambda self: self.documents)
    @rule(which=positions)
    def pay(self, which: int) -> None:
        _try(lambda: billing.pay(self.db, self.documents[which % len(self.documents)]))

    @precondition(lambda self: self.documents)
    @rule(which=positions, share=shares, back=st.booleans())
    def credit(self, which: int, share: Decimal, back: bool) -> None:
        owed = [document for document in self.documents if document.amount_due_usd]
        if owed:
            asked = owed[which % len(owed)]
            amount = part(asked.amount_due_usd - asked.tax_usd, share)
            _try(lambda: billing.credit(self.db, asked, amount_usd=amount, refund_credit=back))

    @rule(days=st.sampled_from([1, 8, 35]))
    def wait(self, days: int) -> None:
        move_clock(self.admin, timedelta(days=days))

    @invariant()
    def settles_each_document_and_owes_what_is_unpaid(self) -> None:
        total = unpaid = Decimal(0)
        for known in self.documents:
            found = billing.get_invoice(self.db, self.id, known.id)
            settled = sum((one.amount_usd for one in found.settled), Decimal(0))
            due = found.amount_due_usd - found.tax_usd
            total += found.subtotal_usd - settled - due
            assert sum((line.amount_usd for line in found.line_items), Decimal(0)) == settled + due
            if found.status in ("issued", "overdue"):
                unpaid += due - self.credited(found)
        assert total == 0
        [(debt,)] = self.admin.execute(
            "SELECT coalesce(sum(to_usd - from_usd), 0) FROM billing.allocations WHERE"
            " organization_id = %s AND invoice_id IS NOT NULL AND grant_id IS NULL"
            " AND refund_id IS NULL",
            [self.id],
        ).fetchall()
        assert unpaid == debt

    def credited(self, document: Invoice) -> Decimal:
        [(usd,)] = self.admin.execute(
            "SELECT coalesce(sum(subtotal_usd), 0) FROM billing.credit_notes WHERE invoice_id = %s",
            [document.id],
        ).fetchall()
        assert isinstance(usd, Decimal)
        return usd

    @invariant()
    def reconciles_its_revenue_and_never_changes_a_closed_month(self) -> None:
        month = START.replace(day=1)
        closing = Decimal(0)
        while month <= self.now():
            name = f"{month:%Y-%m}"
            month = (month + timedelta(days=31)).replace(day=1)
            found = revenue.get_revenue(lambda: self.db, steps.PLATFORM, name)
            own = [item for item in found.items if item.organization_id == self.id]
            figures = {key: getattr(item, key) for item in own for key in FIGURES}
            if own:
                gone = sum(figures[f"{key}_usd"] for key in ("recognized", "breakage", "paid_out"))
                assert figures["opening_deferred_usd"] == closing
                closing = figures["closing_deferred_usd"]
                assert figures["opening_deferred_usd"] + figures["sold_usd"] - gone == closing
            if month <= self.now():
                assert self.closed.setdefault(name, figures) == figures

    @invariant()
    def keeps_every_promise(self) -> None:
        # The organizations of earlier runs are in the future of this one's clock.
        [own] = [o for o in audit(self.admin).organizations if o.organization_id == self.id]
        assert own.broken == []


def _try(action: Any) -> Any:
    try:
        return action()
    except BillingError as error:
        return error


def test_every_charge_is_settled_once_by_credit_or_by_a_document(database: Database) -> None:
    Documents.database = database
    run_state_machine_as_test(
        Documents,
        settings=settings(
            max_examples=6,
            stateful_step_count=20,
            # To shrink a failure, each attempt of which is audited, would take minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
