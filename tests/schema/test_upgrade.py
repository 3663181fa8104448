"""During an upgrade the release before and the new one serve side by side, on the new schema, while
customers' calls go on: nothing is refused."""

import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from synaxis_billing import procedures
from synaxis_billing.errors import BillingError
from synaxis_billing.organizations import residency
from synaxis_billing.schema import migrate
from tests.conftest import Database
from tests.support import steps
from tests.support.paying import Payer
from tests.support.running import wait_until

CORE = Path(migrate.__file__).parents[1]
CALLERS = 4
# So many rounds of each caller before the migration, and after it.
ROUNDS = 5
NEXT = "0099_next.sql"


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SQL of a release to come: a column more, one function gone, others with an argument
    more."""
    copy = tmp_path / "core"
    for path in CORE.rglob("*.sql"):
        target = copy / path.relative_to(CORE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    column = "ALTER TABLE billing.organizations ADD COLUMN remark text;"
    (copy / "schema" / "migrations" / NEXT).write_text(column)
    file = copy / "organizations" / "residency.sql"
    text = file.read_text()
    gone = text.index("-- The other region that holds")
    file.write_text(text[:gone] + text[gone:].replace("billing.home(", "billing.home_of("))
    # What answers a balance, makes a grant, and shows a payment gets an argument more.
    for name, last in (
        ("organizations/balance.sql", "p_organization_id uuid)"),
        ("grants/grants.sql", "p_initiated_by text\n) RETURNS json"),
        ("payments/payments.sql", "p_payment_id uuid)"),
    ):
        text = (copy / name).read_text()
        changed = text.replace(last, re.sub(r"(\s*\))", r", p_more text\1", last, count=1), 1)
        assert changed != text, name
        (copy / name).write_text(changed)
    monkeypatch.setattr(migrate, "_HERE", copy / "schema")


@pytest.mark.parametrize("path", migrate.function_files(), ids=lambda path: path.stem)
def test_a_function_that_is_called_by_its_names_has_no_default(path: Path) -> None:
    """A release that gave one an argument more, with a default, would make the calls of the release
    before ambiguous."""
    for name, arguments in re.findall(
        r"OR REPLACE \w+ billing\.(\w+)\((.*?)\)\s+(?:RETURNS|LANG)", path.read_text(), re.S
    ):
        assert "p_tenant" not in arguments or "DEFAULT" not in arguments, name


class Load:
    """Callers of the release before, each with an organization and a connection of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stop = threading.Event()
        self.rounds = [0] * CALLERS
        self.refused: list[Exception] = []

    def call(self, number: int) -> None:
        with self._database.connect() as db:
            acme = steps.new_organization(db, "1000")
            payer = Payer(db, acme)
            while not self._stop.is_set() and not self.refused:
                try:
                    self._round(db, acme)
                    self._credit(payer)
                except (psycopg.Error, BillingError) as error:
                    self.refused.append(error)
                self.rounds[number] += 1

    def _round(self, db: psycopg.Connection, acme: UUID) -> None:
        steps.charge(db, acme, "0.01")
        steps.charge_batch(db, steps.item(acme, "0.01"))
        steps.hold(db, acme, "0.01")
        steps.top_up(db, acme, "0.02")
        assert steps.available(db, acme) > 0
        # It calls a function that the next release does not have.
        residency.check_home(db, str(acme), acme, {})

    def _credit(self, payer: Payer) -> None:
        """Grant credit and take it back, and buy some and give it back."""
        granted = steps.grant(payer.db, payer.organization_id, "5")
        steps.charge(payer.db, payer.organization_id, "0.01")
        steps.void(payer.db, granted)
        assert steps.list_grants(payer.db, payer.organization_id)
        paid = payer.buy("10")
        assert paid.status == "succeeded"
        payer.refund(paid, "4")
        assert payer.get(paid).refunded > 0

    def go_on(self) -> None:
        """Wait until each caller has made so many rounds more."""
        least = [done + ROUNDS for done in self.rounds]
        wait_until(
            lambda: bool(self.refused) or all(map(int.__ge__, self.rounds, least)),
        )
        assert self.refused == []

    def stop(self) -> None:
        self._stop.set()


@pytest.mark.usefixtures("next_release")
def test_nothing_is_refused_while_two_releases_run_side_by_side(database: Database) -> None:
    load = Load(database)
    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(load.call, number) for number in range(CALLERS)]
        try:
            load.go_on()
            with database.admin() as admin:
                assert NEXT in migrate.migrate(admin)
            # The release before serves on.
            load.go_on()
            with psycopg.connect(database.app_url, autocommit=True) as new:
                # And so does the new one, by its own signatures.
                acme = steps.new_organization(new, "1")
                arguments = {"tenant": str(acme), "organization_id": acme}
                assert procedures.call(new, "home_of", **arguments) is None
                steps.charge(new, acme, "1")
            load.go_on()
        finally:
            load.stop()
        for caller in callers:
            caller.result()
    with psycopg.connect(database.app_url, autocommit=True) as old, database.admin() as admin:
        # The deployment after that drops what nobody calls any more.
        text = next((migrate._HERE / "webhooks").parent.parent.rglob("residency.sql"))
        text.write_text(text.read_text() + "\n-- One release later.\n")
        assert "functions" in migrate.migrate(admin)
        acme = steps.new_organization(old)
        with pytest.raises(psycopg.errors.UndefinedFunction):
            residency.check_home(old, str(acme), acme, {})
    assert database.audit().whole
