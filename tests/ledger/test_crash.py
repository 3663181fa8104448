"""A server that dies at once loses no charge whose answer was given."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from local import servers
from local.database import prepare
from synaxis_billing import procedures
from synaxis_billing.ledger.audit import audit
from tests.support import steps

CALLERS = 8
CHARGES = 25
# Nothing is written to the disk but what a commit waits for.
SETTINGS = {"wal_writer_delay": "10s", "wal_buffers": "64MB"}


@contextlib.contextmanager
def killed_at_the_end(folder: Path) -> Iterator[str]:
    """A durable server, all of whose processes are killed at the end."""
    with servers.postgres(folder, settings=SETTINGS) as url:
        yield url
        postmaster = int((folder / "postgres/data/postmaster.pid").read_text().splitlines()[0])
        server = psutil.Process(postmaster)
        for process in [server, *server.children(recursive=True)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


def charge_by(app_url: str, act: Callable[[psycopg.Connection, str], str]) -> set[str]:
    """The ids of the charges that callers of one organization were told of."""

    def caller(number: int) -> list[str]:
        with psycopg.connect(app_url, autocommit=True, prepare_threshold=None) as db:
            return [act(db, f"{number} {count}") for count in range(CHARGES)]

    with ThreadPoolExecutor(CALLERS) as pool:
        return {one for told in pool.map(caller, range(CALLERS)) for one in told}


def surviving(folder: Path) -> set[str]:
    """The ids of the charges after recovery."""
    with servers.postgres(folder) as url, psycopg.connect(url, autocommit=True) as admin:
        assert audit(admin).whole
        return {
            str(row[0])
            for row in admin.execute(
                "SELECT id FROM billing.credit_transactions WHERE transaction_type = 'charge'"
            )
        }


@pytest.mark.usefixtures("patient")
def test_no_acknowledged_charge_is_lost(folders: Callable[[str], Path]) -> None:
    folder = folders("crash")
    with killed_at_the_end(folder) as admin_url:
        app_url = prepare(admin_url)
        with psycopg.connect(app_url, autocommit=True) as db:
            organization_id = steps.new_organization(db, "100")
        told = charge_by(
            app_url,
            lambda db, key: str(steps.charge(db, organization_id, "0.01", key).id),
        )
    assert len(told) == CALLERS * CHARGES
    assert told <= surviving(folder)


def test_a_commit_that_waits_for_nothing_is_lost(folders: Callable[[str], Path]) -> None:
    """The control: the crash is one that loses what was not written."""
    folder = folders("crash")
    with killed_at_the_end(folder) as admin_url:
        app_url = prepare(admin_url)
        with psycopg.connect(app_url, autocommit=True) as db:
            organization_id = steps.new_organization(db, "100")
        careless = make_conninfo(app_url, options="-c synchronous_commit=off")

        def charge(db: psycopg.Connection, key: str) -> str:
            request = {
                "idempotency_key": key,
                "fingerprint": "\\xab",
                "amount_usd": "0.01",
                "description": "chat",
            }
            outcome = procedures.call(
                db,
                "charge",
                tenant="*",
                organization_id=organization_id,
                request=Jsonb(request),
            )
            return str(outcome["value"]["id"])

        told = charge_by(careless, charge)
    assert len(told) == CALLERS * CHARGES
    assert told - surviving(folder)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procedures, "PATIENCE_SECONDS", 60)
